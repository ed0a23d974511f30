/*
 * keys.c
 *		What can be set for a queue or an organization, as tables to be read.
 */
#include "setup/setup.h"

#include "utils/builtins.h"

/* One row; the last column is there for queues only. */
static void
answer_key(QmsCall *call, const QmsSettingKey *key)
{
	const char *texts[6];
	Datum		values[6];
	bool		nulls[6];
	size_t		c;

	texts[0] = key->key;
	texts[1] = qms_settings_kind_name(key->kind);
	texts[2] = key->unit;
	texts[3] = key->default_value;
	texts[4] = key->description;
	texts[5] = strcmp(key->of, "queue") == 0 ? qms_settings_applies_name(key->applies) : key->of;
	for (c = 0; c < lengthof(texts); c++)
	{
		nulls[c] = texts[c] == NULL;
		values[c] = nulls[c] ? (Datum) 0 : CStringGetTextDatum(texts[c]);
	}
	qms_answer_row(call, values, nulls);
}

QMS_FUNCTION(queue_setting_keys, QMS_ACT_PUBLIC, QMS_SETOF)
{
	const QmsSettingKey *key;
	size_t		i;

	for (i = 0; (key = qms_settings_key(i)) != NULL; i++)
		answer_key(call, key);
	return qms_answer_none(call);
}

QMS_FUNCTION(organization_setting_keys, QMS_ACT_PUBLIC, QMS_SETOF)
{
	const QmsSettingKey *key;
	size_t		i;

	for (i = 0; (key = qms_organization_setting_key(i)) != NULL; i++)
		answer_key(call, key);
	return qms_answer_none(call);
}
