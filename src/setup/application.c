/*
 * application.c
 *		Applications, which own waiting rooms, and pools of release.
 */
#include "release/release.h"
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* ---- application ---- */

static QmsField application_fields[] = {
	QMS_FIELD("application_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_ORGANIZATION),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD("allowed_origins", QMS_F_WORDS),
	QMS_FIELD("settings", QMS_F_SETTINGS),
	QMS_FIELDS_AT_END
};

static QmsUse application_uses[] = {
	{QMS_PLAN("SELECT q.name FROM qms.queue q WHERE q.application_id = $1 AND q.deleted_at IS NULL LIMIT 1", INT8OID),
	"Queue", "still belongs to it.", "Delete its queues and release pools first."},
	{QMS_PLAN("SELECT p.release_pool_id::pg_catalog.text FROM qms.release_pool p "
			  "WHERE p.application_id = $1 AND p.deleted_at IS NULL LIMIT 1", INT8OID),
	"Release pool", "still belongs to it.", "Delete its queues and release pools first."}
};

/* "https://shop.example:8443": a scheme and a host as a browser sends them, nothing behind. */
static bool
is_origin(const char *text)
{
	const char *host;

	if (strncmp(text, "https://", 8) == 0)
		host = text + 8;
	else if (strncmp(text, "http://", 7) == 0)
		host = text + 7;
	else
		return false;
	return *host != '\0' && host[strcspn(host, "/?#@ *")] == '\0';
}

static void
check_application(QmsSetup *setup)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	if (!qms_setup_given(setup, "allowed_origins"))
		return;
	deconstruct_array(DatumGetArrayTypeP(setup->row->values[qms_setup_column(setup, "allowed_origins")]),
					  TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (!is_origin(TextDatumGetCString(elements[i])))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not an origin", TextDatumGetCString(elements[i])),
					 errdetail("An origin is a scheme, a host and perhaps a port, without a path."),
					 errhint("Write it as \"https://shop.example\".")));
	}
}

/* Roles bound to it belong to nobody then, and may be bound again. */
static void
unbind_application(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.role_binding SET deleted_at = $2 WHERE application_id = $1 AND deleted_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->id);
	qms_param_time(&params, setup->call->now);
	qms_spi_run(&plan, &params);
}

static QmsThing application = {
	.name = "application", .noun = "application", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(application_fields), QMS_USES(application_uses),
	.check = check_application, .deleted = unbind_application
};

QMS_FUNCTION(create_application, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &application);
}

QMS_FUNCTION(update_application, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &application);
}

QMS_FUNCTION(delete_application, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &application);
}

/* ---- release_pool ---- */

static QmsField release_pool_fields[] = {
	QMS_FIELD("release_pool_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("application_id", QMS_F_HELD),
	QMS_FIELD("rate", QMS_F_PLAIN),
	QMS_FIELD("max_active", QMS_F_COUNT),
	QMS_FIELDS_AT_END
};

static QmsUse release_pool_uses[] = {
	{QMS_PLAN("SELECT q.name FROM qms.queue q WHERE q.release_pool_id = $1 AND q.deleted_at IS NULL LIMIT 1", INT8OID),
	"Queue", "still shares its rate.", "Take its queues out with qms.update_queue(release_pool_id => 0) first."}
};

/* Its queues let people in as it is set up from here on. */
static void
follow_pool(QmsSetup *setup)
{
	qms_release_pool_changed(setup->call, setup->id, setup->organization_id, setup->creating);
}

static QmsThing release_pool = {
	.name = "release_pool", .noun = "release pool", .owner = QMS_OWNER_APPLICATION,
	QMS_FIELDS(release_pool_fields), QMS_USES(release_pool_uses), .written = follow_pool
};

QMS_FUNCTION(create_release_pool, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &release_pool);
}

QMS_FUNCTION(update_release_pool, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &release_pool);
}

QMS_FUNCTION(delete_release_pool, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &release_pool);
}
