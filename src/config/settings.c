/*
 * settings.c
 *		The settings of a queue: one table of keys, defaults, units and checks.
 *		How a value is read and checked serves other tables of settings too.
 */
#include "config/config.h"
#include "types/types.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/varlena.h"

#include <math.h>

#define MAX_TEXT 200

#define SETTING(key, field, kind, applies, unit, value, min, max, description) \
	{key, kind, applies, unit, value, min, max, description, offsetof(QmsQueueSettings, field), "queue"}

/* min and max of durations are in seconds. */
static const QmsSettingKey keys[] = {
	SETTING("max_waiting", max_waiting, QMS_SET_INT, QMS_BOTH_KINDS, "people", "0", 0, 10000000,
			"How many may wait at a time; 0: no limit."),
	SETTING("max_number", max_number, QMS_SET_INT, QMS_COUNTER_KIND, "number", "999", 1, QMS_NUMBER_MAX,
			"The highest number given on a day."),
	SETTING("wrap", wrap, QMS_SET_BOOL, QMS_COUNTER_KIND, NULL, "false", 0, 0,
			"After max_number go on with 1; otherwise nobody can join until reset_time."),
	SETTING("reset_time", reset_time, QMS_SET_TIME_OF_DAY, QMS_COUNTER_KIND, "local time", "00:00", 0, 0,
			"When a new day of numbers begins."),
	SETTING("live_past_midnight", live_past_midnight, QMS_SET_BOOL, QMS_COUNTER_KIND, NULL, "false", 0, 0,
			"Tickets stay open when a new day begins."),
	SETTING("no_show_after", no_show_after, QMS_SET_DURATION, QMS_COUNTER_KIND, "duration", "0 s", 0, SECS_PER_DAY,
			"A called customer who has not come by then is a no-show; 0: never by itself."),
	SETTING("recall_limit", recall_limit, QMS_SET_INT, QMS_COUNTER_KIND, "recalls", "3", 0, 100,
			"How often a ticket may be called again."),
	SETTING("recall_gap", recall_gap, QMS_SET_DURATION, QMS_COUNTER_KIND, "duration", "0 s", 0, SECS_PER_HOUR,
			"The least time between two calls of a ticket."),
	SETTING("defer_limit", defer_limit, QMS_SET_INT, QMS_COUNTER_KIND, "times", "3", 0, 100,
			"How often a customer may let others go first."),
	SETTING("undo_window", undo_window, QMS_SET_DURATION, QMS_COUNTER_KIND, "duration", "1 min", 0, SECS_PER_HOUR,
			"How long an action at a counter can be taken back; 0: not at all."),
	SETTING("join_from", join_from, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", "0 s", 0, SECS_PER_DAY,
			"How long before opening one may join."),
	SETTING("requires_arrival", requires_arrival, QMS_SET_BOOL, QMS_COUNTER_KIND, NULL, "false", 0, 0,
			"Who joined from afar is called only after he has arrived."),
	SETTING("last_ticket_before", last_ticket_before, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", "0 s", 0, SECS_PER_DAY,
			"How long before closing the last ticket is given."),
	SETTING("expire_after_closing", expire_after_closing, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", NULL, 0, SECS_PER_DAY,
			"Who still waits that long after the closing time he came before goes home; none: when a new day begins."),
	SETTING("wanted_fallback", wanted_fallback, QMS_SET_DURATION, QMS_COUNTER_KIND, "duration", "15 min", 0, SECS_PER_DAY,
			"How long a ticket waits for the counter or clerk it wants before anybody may call it."),
	SETTING("priority_step", priority_step, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", "5 min", 0, SECS_PER_DAY,
			"The credit of each step of priority."),
	SETTING("public", is_public, QMS_SET_BOOL, QMS_BOTH_KINDS, NULL, "true", 0, 0,
			"Everybody may join, and see numbers and wait figures; else staff, applications and kiosks."),
	SETTING("simulated", simulated, QMS_SET_BOOL, QMS_BOTH_KINDS, NULL, "false", 0, 0,
			"Its tickets are not real: statistics leave them out."),
	SETTING("subject_required", subject_required, QMS_SET_BOOL, QMS_BOTH_KINDS, NULL, "false", 0, 0,
			"Joining needs a subject, so that each has one place."),
	SETTING("rate", rate, QMS_SET_RATE, QMS_RELEASE_KIND, "release_rate", NULL, 0, 0,
			"How fast people are let in, such as 30/min; none: by release_next only."),
	SETTING("max_active", max_active, QMS_SET_INT, QMS_RELEASE_KIND, "people", "0", 0, 10000000,
			"How many may be inside at a time; 0: no limit."),
	SETTING("token_life", token_life, QMS_SET_DURATION, QMS_RELEASE_KIND, "duration", "10 min", 1, 30 * SECS_PER_DAY,
			"How long an access token is valid."),
	SETTING("claim_window", claim_window, QMS_SET_DURATION, QMS_RELEASE_KIND, "duration", "5 min", 1, 30 * SECS_PER_DAY,
			"How long after its release a ticket can be claimed."),
	SETTING("single_use", single_use, QMS_SET_BOOL, QMS_RELEASE_KIND, NULL, "true", 0, 0,
			"An access token lets in once; else as often as it is shown until it expires."),
	SETTING("heartbeat_timeout", heartbeat_timeout, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", "0 s", 0, SECS_PER_DAY,
			"Who has not been heard of for that long loses the place; 0: never."),
	SETTING("opens_at", opens_at, QMS_SET_TIME, QMS_RELEASE_KIND, "timestamptz", NULL, 0, 0,
			"When letting in begins; none: at once."),
	SETTING("lottery", lottery, QMS_SET_BOOL, QMS_RELEASE_KIND, NULL, "false", 0, 0,
			"Those who are there at opens_at are put into a random order."),
	SETTING("no_show_compensation", no_show_compensation, QMS_SET_BOOL, QMS_RELEASE_KIND, NULL, "false", 0, 0,
			"More are let in than the rate says, as many as do not come: the rate is that of people who come."),
	SETTING("weight", weight, QMS_SET_INT, QMS_RELEASE_KIND, "shares", "1", 1, 1000,
			"Its share of the release pool, beside those of the pool's other queues."),
	SETTING("adapt_min", adapt_min, QMS_SET_INT, QMS_RELEASE_KIND, "percent", "10", 1, 100,
			"How far reported load may bring the rate down."),
	SETTING("overflow_hint", overflow_hint, QMS_SET_TEXT, QMS_BOTH_KINDS, "text", NULL, 0, MAX_TEXT,
			"What a full queue tells those who cannot join."),
	SETTING("invite_only", invite_only, QMS_SET_BOOL, QMS_BOTH_KINDS, NULL, "false", 0, 0,
			"Only subjects that qms.invite() has named may join."),
	SETTING("challenge", challenge, QMS_SET_TEXT, QMS_BOTH_KINDS, "hook", NULL, 0, MAX_TEXT,
			"The hook that says whether the challenge of a join is solved; see qms.hooks."),
	SETTING("join_subject", join_subject, QMS_SET_LIMIT, QMS_BOTH_KINDS, "count/time", "off", 0, 0,
			"How often a subject may join this queue, beside the limits of the organization."),
	SETTING("join_address", join_address, QMS_SET_LIMIT, QMS_BOTH_KINDS, "count/time", "off", 0, 0,
			"How often somebody may join this queue from one address, beside the limits of the organization."),
	SETTING("wait_target", wait_target, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", "10 min", 1, 30 * SECS_PER_DAY,
			"Who waits no longer counts as called in time: the share within target of the statistics.")
};

/* The table, for qms.queue_setting_keys(); NULL behind its end. */
const QmsSettingKey *
qms_settings_key(size_t n)
{
	return n < lengthof(keys) ? &keys[n] : NULL;
}

const char *
qms_settings_kind_name(QmsSettingKind kind)
{
	static const char *const names[] = {"integer", "boolean", "duration", "time of day", "rate", "timestamp", "text", "limit", "language"};

	return names[kind];
}

const char *
qms_settings_applies_name(int applies)
{
	return applies == QMS_BOTH_KINDS ? "both" : applies == QMS_COUNTER_KIND ? "counter" : "release";
}

/* The known key that is written most alike, if it is near. */
static const char *
nearest_key(const char *name, int length)
{
	const char *best = NULL;
	int			least = 4;
	size_t		i;

	for (i = 0; i < lengthof(keys) && length <= NAMEDATALEN; i++)
	{
		int			distance = varstr_levenshtein_less_equal(name, length, keys[i].key, strlen(keys[i].key),
															 1, 1, 1, least, true);

		if (distance < least)
		{
			least = distance;
			best = keys[i].key;
		}
	}
	return best;
}

static pg_attribute_noreturn() void
unknown_key(const char *name, int length, int kind)
{
	const char *best = nearest_key(name, length);
	StringInfoData list;
	size_t		i;

	initStringInfo(&list);
	for (i = 0; i < lengthof(keys); i++)
	{
		if (keys[i].applies & kind)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", keys[i].key);
	}
	ereport(ERROR,
			(errcode(ERRCODE_QMS_UNKNOWN_SETTING),
			 errmsg("unknown queue setting \"%.*s\"", length, name),
			 errdetail("Known for a %s queue are %s.", qms_settings_applies_name(kind), list.data),
			 best ? errhint("Did you mean \"%s\"?", best) :
			 errhint("See qms.queue_setting_keys() for what each means.")));
}

/* The entry of a key that may be set for queues of this kind. */
static const QmsSettingKey *
find_key(const char *name, size_t length, int kind)
{
	size_t		i;

	for (i = 0; i < lengthof(keys); i++)
	{
		if (strlen(keys[i].key) == length && strncmp(keys[i].key, name, length) == 0)
			break;
	}
	if (i == lengthof(keys))
		unknown_key(name, length, kind);
	if ((keys[i].applies & kind) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_UNKNOWN_SETTING),
				 errmsg("setting \"%s\" is not for a %s queue", keys[i].key, qms_settings_applies_name(kind)),
				 errdetail("It applies to %s queues only.", qms_settings_applies_name(keys[i].applies)),
				 errhint("Leave it out. qms.queue_setting_keys() tells which setting applies to which kind.")));
	return &keys[i];
}

/* What a value has to look like, in words. */
static const char *
expectation(const QmsSettingKey *key)
{
	switch (key->kind)
	{
		case QMS_SET_INT:
			return psprintf("an integer from %lld to %lld", (long long) key->min, (long long) key->max);
		case QMS_SET_BOOL:
			return "true or false";
		case QMS_SET_DURATION:
			return psprintf("an interval text such as \"90 s\", or a number of seconds, from %lld to %lld s, without months",
							(long long) key->min, (long long) key->max);
		case QMS_SET_TIME_OF_DAY:
			return "a time of day such as \"04:00\"";
		case QMS_SET_RATE:
			return "a release rate such as \"30/min\"";
		case QMS_SET_TIME:
			return "a timestamp with its time zone such as \"2030-01-31 10:00:00+01\"";
		case QMS_SET_TEXT:
			return psprintf("a text of 1 to %d bytes", (int) key->max);
		case QMS_SET_LIMIT:
			return "a number and a span of time such as \"100/h\" or \"20/15 min\", or \"off\" for no limit";
		case QMS_SET_LANGUAGE:
			return "a language: \"en\", \"de\", \"fr\" or \"es\"";
	}
	return "";
}

static pg_attribute_noreturn() void
bad_value(const QmsSettingKey *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_SETTING),
			 errmsg("invalid value for %s setting \"%s\"", key->of, key->key),
			 errdetail("%s", key->description),
			 errhint("Give %s.", expectation(key))));
}

/* "90 s", "PT5M"; false if it is no interval, or has months. */
bool
qms_settings_interval(const char *text, double *seconds)
{
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	char		work[256];
	struct pg_itm_in itm = {0};
	int			nf;
	int			dtype;
	int			error;

	error = ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf);
	if (error == 0)
		error = DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, &dtype, &itm);
	if (error == DTERR_BAD_FORMAT)
		error = DecodeISO8601Interval(pstrdup(text), &dtype, &itm);
	if (error != 0 || dtype != DTK_DELTA || itm.tm_year != 0 || itm.tm_mon != 0)
		return false;
	*seconds = itm.tm_mday * (double) SECS_PER_DAY + itm.tm_usec / (double) USECS_PER_SEC;
	return true;
}

/* "HH:MM" or "HH:MM:SS" in microseconds since midnight, to 24:00 inclusive; -1 for anything else. */
int64
qms_time_of_day(const char *text)
{
	int			part[3] = {0, 0, 0};
	int			n;

	for (n = 0; n < 3; n++)
	{
		if (!isdigit((unsigned char) text[0]) || !isdigit((unsigned char) text[1]))
			return -1;
		part[n] = (text[0] - '0') * 10 + (text[1] - '0');
		text += 2;
		if (*text == '\0')
			break;
		if (*text++ != ':')
			return -1;
	}
	if (n < 1 || n > 2 || part[1] > 59 || part[2] > 59 || part[0] > 24 ||
		(part[0] == 24 && part[1] + part[2] > 0))
		return -1;
	return ((part[0] * MINS_PER_HOUR + part[1]) * SECS_PER_MINUTE + part[2]) * USECS_PER_SEC;
}

/*
 * A moment, the same in every session: year first, and with its time zone,
 * since what is stored is read again under other settings.
 */
static bool
parse_time(const char *text, TimestampTz *value)
{
	return strspn(text, "0123456789") >= 4 && text[4] == '-' && qms_time_parse(text, true, value);
}

static double
number_of(const JsonbValue *v)
{
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
}

static void
set_duration(const QmsSettingKey *key, const JsonbValue *v, const char *text, int64 *target)
{
	double		seconds;

	if (v->type == jbvNumeric)
		seconds = number_of(v);
	else if (text == NULL || !qms_settings_interval(text, &seconds))
		bad_value(key);
	if (!(seconds >= key->min && seconds <= key->max))
		bad_value(key);
	*target = (int64) rint(seconds * USECS_PER_SEC);
}

/* Put one value, of the settings or a default, into its place. */
void
qms_settings_set(const QmsSettingKey *key, const JsonbValue *v, void *out)
{
	char	   *target = (char *) out + key->offset;
	char	   *text = v->type == jbvString ? pnstrdup(v->val.string.val, v->val.string.len) : NULL;
	QmsReleaseRate rate;
	double		number;

	switch (key->kind)
	{
		case QMS_SET_INT:
			number = v->type == jbvNumeric ? number_of(v) : -1;
			if (number < key->min || number > key->max || number != floor(number))
				bad_value(key);
			*(int32 *) target = (int32) number;
			break;
		case QMS_SET_BOOL:
			if (v->type != jbvBool)
				bad_value(key);
			*(bool *) target = v->val.boolean;
			break;
		case QMS_SET_DURATION:
			set_duration(key, v, text, (int64 *) target);
			break;
		case QMS_SET_TIME_OF_DAY:
			*(int64 *) target = text ? qms_time_of_day(text) : -1;
			if (*(int64 *) target < 0 || *(int64 *) target >= USECS_PER_DAY)
				bad_value(key);
			break;
		case QMS_SET_RATE:
			if (text == NULL || qms_types_rate_parse(text, &rate) != QMS_RULE_KEPT)
				bad_value(key);
			*(char **) target = text;
			break;
		case QMS_SET_TIME:
			if (text == NULL || !parse_time(text, (TimestampTz *) target))
				bad_value(key);
			break;
		case QMS_SET_TEXT:
			if (text == NULL || *text == '\0' || (int64) strlen(text) > key->max)
				bad_value(key);
			*(char **) target = text;
			break;
		case QMS_SET_LIMIT:
			if (text == NULL || !qms_limit_parse(text, (QmsLimit *) target))
				bad_value(key);
			break;
		case QMS_SET_LANGUAGE:
			if (text == NULL || !qms_language_by_tag(text, (QmsLanguage *) target))
				bad_value(key);
			break;
	}
}

/* The default of a key, written as a user would write it. */
void
qms_settings_default(const QmsSettingKey *key, void *out)
{
	JsonbValue	v;

	if (key->kind == QMS_SET_TIME)
		*(TimestampTz *) ((char *) out + key->offset) = QMS_NO_TIME;
	if (key->kind == QMS_SET_DURATION)
		*(int64 *) ((char *) out + key->offset) = -1;
	if (key->default_value == NULL)
		return;
	v.type = key->kind == QMS_SET_INT ? jbvNumeric : key->kind == QMS_SET_BOOL ? jbvBool : jbvString;
	if (v.type == jbvNumeric)
		v.val.numeric = int64_to_numeric(atol(key->default_value));
	else if (v.type == jbvBool)
		v.val.boolean = strcmp(key->default_value, "true") == 0;
	else
	{
		v.val.string.val = unconstify(char *, key->default_value);
		v.val.string.len = strlen(key->default_value);
	}
	qms_settings_set(key, &v, out);
}

/*
 * Read settings, check each, and fill in defaults.  Texts are allocated in the
 * current memory context.  Errors: QM701, QM702.
 */
void
qms_settings_parse(const Jsonb *settings, bool is_release, QmsQueueSettings *out)
{
	int			kind = is_release ? QMS_RELEASE_KIND : QMS_COUNTER_KIND;
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &settings->root));
	JsonbIteratorToken token;
	JsonbValue	v;
	const QmsSettingKey *key = NULL;
	size_t		i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < lengthof(keys); i++)
		qms_settings_default(&keys[i], out);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = find_key(v.val.string.val, v.val.string.len, kind);
		else if (token == WJB_VALUE && v.type != jbvNull)
			qms_settings_set(key, &v, out);
	}
}

/* The old settings with the changes over them; a key with null is removed.  old may be NULL. */
Jsonb *
qms_settings_merge(const Jsonb *old, const Jsonb *changes)
{
	Datum		merged = JsonbPGetDatum(changes);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	Datum		key = (Datum) 0;
	Datum		result;

	if (old != NULL)
		merged = DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(old), merged);
	result = merged;
	it = JsonbIteratorInit(unconstify(JsonbContainer *, &changes->root));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = PointerGetDatum(cstring_to_text_with_len(v.val.string.val, v.val.string.len));
		else if (token == WJB_VALUE && v.type == jbvNull)
			result = DirectFunctionCall2(jsonb_delete, result, key);
	}
	return DatumGetJsonbP(result);
}
