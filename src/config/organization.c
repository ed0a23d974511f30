/*
 * organization.c
 *		The settings of an organization that qms itself reads, and the networks of
 *		its branches, remembered like the rest of the configuration.
 *
 * Organizations may keep keys of their own in the same object; only those that
 * begin like ours must be ours, or a misspelt limit would be none.
 */
#include "config/config.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define RETENTION_KEY "personal_data_retention"
#define MAX_COUNT	1000000
#define MAX_WINDOW	(31 * SECS_PER_DAY)

#define LIMIT(key, which, value, description) \
	{key, QMS_SET_LIMIT, QMS_BOTH_KINDS, "count/time", value, 0, 0, description, \
	offsetof(QmsOrganization, limits) + sizeof(QmsLimit) * (which), "organization"}
#define DURATION(key, field, value, min, max, description) \
	{key, QMS_SET_DURATION, QMS_BOTH_KINDS, "duration", value, min, max, description, \
	offsetof(QmsOrganization, field), "organization"}

static const QmsSettingKey keys[] = {
	LIMIT("limit_login", QMS_LIMIT_LOGIN, "5/15 min",
		  "Logins tried, for each user name and for each address."),
	LIMIT("limit_otp", QMS_LIMIT_OTP, "5/15 min",
		  "One-time passcodes asked for, for each contact and for each address."),
	LIMIT("limit_pair", QMS_LIMIT_PAIR, "10/15 min",
		  "Pairing codes tried, for each address."),
	LIMIT("limit_join_subject", QMS_LIMIT_JOIN_SUBJECT, "100/h",
		  "Joins by customers, for each subject."),
	LIMIT("limit_join_address", QMS_LIMIT_JOIN_ADDRESS, "1000/h",
		  "Joins by customers, for each address."),
	LIMIT("limit_create", QMS_LIMIT_CREATE, "20/15 min",
		  "New tickets made by customers, for each subject, or for each address where no subject is given."),
	LIMIT("limit_staff", QMS_LIMIT_STAFF, "600/min",
		  "Joins by staff, for each staff member."),
	LIMIT("limit_application", QMS_LIMIT_APPLICATION, "600000/min",
		  "Joins by applications, for each application."),
	LIMIT("limit_device", QMS_LIMIT_DEVICE, "60/min",
		  "Joins by kiosks, for each kiosk."),
	DURATION("api_token_life", api_token_life, "5 min", 60, SECS_PER_HOUR,
			 "How long the token is valid that an API key is exchanged for."),
	DURATION("device_token_life", device_token_life, "1 h", 60, SECS_PER_DAY,
			 "How long the token is valid that the key of a device is exchanged for."),
	/* Stored answers, kept for two days, are gone by then. */
	DURATION(RETENTION_KEY, personal_data_retention, NULL, 3 * SECS_PER_DAY, INT64CONST(36525) * SECS_PER_DAY,
			 "How long personal data is kept after a ticket has ended, or a customer was seen last; for ever if it is not set."),
	{"report_language", QMS_SET_LANGUAGE, QMS_BOTH_KINDS, NULL, "en", 0, 0,
		"The language of reports: en, de, fr or es.", offsetof(QmsOrganization, report_language), "organization"}
};

/* Beginnings of keys that are ours alone. */
static const char *const reserved[] = {"limit_", "api_", "device_", "personal_data_", "report_"};

static const char *const languages[QMS_LANGUAGES] = {[QMS_EN] = "en", [QMS_DE] = "de", [QMS_FR] = "fr", [QMS_ES] = "es"};

/* The language of a tag such as "de" or "de-AT"; false: there is none like it. */
bool
qms_language_by_tag(const char *tag, QmsLanguage *language)
{
	size_t		length = strcspn(tag, "-_");
	int			i;

	for (i = 0; i < QMS_LANGUAGES; i++)
	{
		if (strlen(languages[i]) == length && pg_strncasecmp(languages[i], tag, length) == 0)
		{
			*language = i;
			return true;
		}
	}
	return false;
}

const char *
qms_language_tag(QmsLanguage language)
{
	return languages[language];
}

/* The table, for qms.organization_setting_keys(); NULL behind its end. */
const QmsSettingKey *
qms_organization_setting_key(size_t n)
{
	return n < lengthof(keys) ? &keys[n] : NULL;
}

/* "100/h", "20/15 min", "off". */
bool
qms_limit_parse(const char *text, QmsLimit *limit)
{
	size_t		digits = strspn(text, "0123456789");
	const char *unit;
	double		seconds;

	limit->count = 0;
	limit->window = 0;
	if (strcmp(text, "off") == 0)
		return true;
	if (digits < 1 || digits > 7 || strlen(text) > 60)
		return false;
	unit = text + digits;
	unit += strspn(unit, " ");
	if (*unit++ != '/')
		return false;
	unit += strspn(unit, " ");
	if (!qms_settings_interval(isalpha((unsigned char) *unit) ? psprintf("1 %s", unit) : unit, &seconds) ||
		!(seconds >= 1 && seconds <= MAX_WINDOW) || atoi(text) < 1 || atoi(text) > MAX_COUNT)
		return false;
	limit->count = atoi(text);
	limit->window = (int64) (seconds * USECS_PER_SEC);
	return true;
}

static const QmsSettingKey *
find_key(const char *name, size_t length)
{
	size_t		i;

	for (i = 0; i < lengthof(keys); i++)
	{
		if (strlen(keys[i].key) == length && strncmp(keys[i].key, name, length) == 0)
			return &keys[i];
	}
	for (i = 0; i < lengthof(reserved); i++)
	{
		if (strncmp(name, reserved[i], Min(length, strlen(reserved[i]))) == 0 && length >= strlen(reserved[i]))
			ereport(ERROR,
					(errcode(ERRCODE_QMS_UNKNOWN_SETTING),
					 errmsg("unknown organization setting \"%.*s\"", (int) length, name),
					 errdetail("Keys that begin with \"%s\" belong to qms.", reserved[i]),
					 errhint("See qms.organization_setting_keys(); begin a key of your own in another way.")));
	}
	return NULL;
}

/* Read what is ours, check it, and fill in defaults.  Errors: QM701, QM702. */
static void
parse(const Jsonb *settings, QmsOrganization *out)
{
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &settings->root));
	JsonbIteratorToken token;
	JsonbValue	v;
	const QmsSettingKey *key = NULL;
	size_t		i;

	for (i = 0; i < lengthof(keys); i++)
		qms_settings_default(&keys[i], out);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = find_key(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE && key != NULL && v.type != jbvNull)
			qms_settings_set(key, &v, out);
	}
}

void
qms_organization_check_settings(const Jsonb *settings)
{
	QmsOrganization ignored;

	parse(settings, &ignored);
}

/*
 * How long these settings keep personal data, in microseconds; 0: for ever.
 * Errors: QM702; whatever else is wrong with them does not matter here.
 */
int64
qms_organization_retention(const Jsonb *settings)
{
	QmsOrganization organization;
	JsonbValue	buffer;
	JsonbValue *v = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &settings->root), RETENTION_KEY,
												 strlen(RETENTION_KEY), &buffer);

	if (v == NULL || v->type == jbvNull)
		return 0;
	qms_settings_set(find_key(RETENTION_KEY, strlen(RETENTION_KEY)), v, &organization);
	return organization.personal_data_retention;
}

/* Networks of its branches, of the present result, into the cache. */
static void
read_networks(QmsOrganization *organization, int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(0, column, &isnull);
	Datum	   *elements;
	int			n;
	int			i;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), CIDROID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	organization->networks = MemoryContextAlloc(qms_config_context(), sizeof(QmsNetwork) * Max(n, 1));
	for (i = 0; i < n; i++)
		qms_network_of_inet(DatumGetInetPP(elements[i]), &organization->networks[i]);
	organization->nnetworks = n;
}

/* Settings and networks of an organization; the defaults for 0, and for one that is not there. */
const QmsOrganization *
qms_config_organization(int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.settings, (SELECT pg_catalog.array_agg(n) FROM qms.branch b, "
								   "pg_catalog.unnest(b.networks) n WHERE b.organization_id = o.organization_id "
								   "AND b.deleted_at IS NULL) FROM qms.organization o "
								   "WHERE o.organization_id = $1 AND o.deleted_at IS NULL", INT8OID);
	HTAB	   *table = qms_config_organizations();
	QmsParams	params = {0};
	QmsOrganization read = {0};
	QmsOrganization *entry;
	bool		found;
	bool		isnull;
	size_t		i;

	entry = hash_search(table, &organization_id, HASH_FIND, &found);
	if (found)
		return entry;
	read.organization_id = organization_id;
	for (i = 0; i < lengthof(keys); i++)
		qms_settings_default(&keys[i], &read);
	qms_param_int64(&params, organization_id);
	if (organization_id != 0 && qms_spi_look(&plan, &params) > 0)
	{
		parse(DatumGetJsonbP(qms_spi_datum(0, 0, &isnull)), &read);
		read_networks(&read, 1);
	}
	entry = hash_search(table, &organization_id, HASH_ENTER, &found);
	*entry = read;
	return entry;
}
