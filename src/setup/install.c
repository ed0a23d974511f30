/*
 * install.c
 *		What the install script asks C to do: the roles, and who owns what.
 */
#include "queue/queue.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Groups of people and programs; nobody logs in as one of them. */
static const char *const group_roles[] = {
	"qms_super_admin", "qms_admin", "qms_app_admin", "qms_reception", "qms_caller", "qms_servicer",
	"qms_display", "qms_kiosk", "qms_customer", "qms_app", "qms_gateway", "qms_authenticator"
};

/*
 * Make a role, or accept one that is there.  A role that somebody planted with
 * more than a group needs would hand its rights to whoever can become it.
 */
static void
make_role(const char *name, const char *options)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls "
								   "FROM pg_catalog.pg_roles WHERE rolname = $1", TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, name);
	if (qms_spi_run(&plan, &params) == 0)
	{
		qms_spi_utility(psprintf("CREATE ROLE %s NOLOGIN %s", quote_identifier(name), options));
		return;
	}
	if (qms_spi_bool(0, 0))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_UNSAFE_ROLE),
				 errmsg("role \"%s\" exists and has more rights than a group of qms may have", name),
				 errdetail("It has one of LOGIN, SUPERUSER, CREATEROLE, REPLICATION and BYPASSRLS."),
				 errhint("Find out who made it; then run ALTER ROLE %s NOLOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS, or drop it.",
						 name)));
}

static void
require_superuser(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to install qms")));
}

PG_FUNCTION_INFO_V1(qms_make_roles);

Datum
qms_make_roles(PG_FUNCTION_ARGS pg_attribute_unused())
{
	size_t		i;

	require_superuser();
	qms_spi_begin();
	make_role("qms_owner", "");
	for (i = 0; i < lengthof(group_roles); i++)
		make_role(group_roles[i], strcmp(group_roles[i], "qms_gateway") == 0 ? "NOINHERIT" : "");
	/* The gateway may become anybody but the super admin. */
	for (i = 0; i < lengthof(group_roles); i++)
	{
		if (strcmp(group_roles[i], "qms_super_admin") != 0 &&
			strcmp(group_roles[i], "qms_gateway") != 0)
			qms_spi_utility(psprintf("GRANT %s TO qms_gateway", group_roles[i]));
	}
	qms_spi_end();
	PG_RETURN_VOID();
}

/*
 * Every table with user data and every identity sequence is part of a dump;
 * qms_internal.instance is not: it tells a restored database from its origin.
 * The parents of partitions hold no rows; the partitions are ordinary tables.
 */
static void
configure_dump(void)
{
	static QmsPlan list = QMS_PLAN_NOARGS(
										  "SELECT c.oid FROM pg_catalog.pg_class c "
										  "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
										  "WHERE n.nspname IN ('qms', 'qms_internal') AND c.relkind IN ('r', 'S') "
										  "AND c.relname NOT IN ('instance', 'publisher', 'publisher_progress', 'permission', 'limit_bucket', "
										  "'stats_progress', 'stats_slot', 'stats_due', 'stats_hour') ORDER BY c.oid");
	static QmsPlan configure = QMS_PLAN("SELECT pg_catalog.pg_extension_config_dump($1, '')", REGCLASSOID);
	uint64		n = qms_spi_run(&list, NULL);
	Oid		   *relations = palloc(sizeof(Oid) * n);
	uint64		i;

	for (i = 0; i < n; i++)
	{
		bool		isnull;

		relations[i] = DatumGetObjectId(qms_spi_datum(i, 0, &isnull));
	}
	for (i = 0; i < n; i++)
	{
		QmsParams	params = {0};

		qms_param_datum(&params, ObjectIdGetDatum(relations[i]));
		qms_spi_run(&configure, &params);
	}
}

PG_FUNCTION_INFO_V1(qms_grant_permissions);

/* EXECUTE for the groups, as qms.permission says; the gate decides on each call. */
Datum
qms_grant_permissions(PG_FUNCTION_ARGS pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION qms.%I TO %s', p.function, g.roles) "
										  "FROM qms.permission p, LATERAL (SELECT pg_catalog.string_agg(r.role, ', ') AS roles FROM (VALUES "
										  "('qms_super_admin', p.super_admin), ('qms_admin', p.admin), ('qms_app_admin', p.app_admin), "
										  "('qms_reception', p.reception), ('qms_caller', p.caller), ('qms_servicer', p.servicer), "
										  "('qms_display', p.display), ('qms_kiosk', p.kiosk), ('qms_customer', p.customer), "
										  "('qms_app', p.application)) r (role, reach) WHERE r.reach <> 'no') g ORDER BY p.function");
	uint64		n;
	uint64		i;
	char	  **grants;

	require_superuser();
	qms_spi_begin();
	n = qms_spi_run(&plan, NULL);
	grants = palloc(sizeof(char *) * n);
	for (i = 0; i < n; i++)
		grants[i] = qms_spi_text(i, 0);
	for (i = 0; i < n; i++)
		qms_spi_utility(grants[i]);
	qms_spi_end();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(qms_take_ownership);

/*
 * Give every member of the extension to qms_owner, and take EXECUTE from
 * PUBLIC.  The members are read from the catalog: nothing can be forgotten.
 */
Datum
qms_take_ownership(PG_FUNCTION_ARGS pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT CASE WHEN i.type = 'composite type' THEN 'type' ELSE i.type END, i.identity "
										  "FROM pg_catalog.pg_depend d "
										  "JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'qms', "
										  "LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i "
										  "WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e' "
										  "AND i.type IN ('table', 'view', 'function', 'aggregate', 'type', 'composite type', 'operator', "
										  "'operator class', 'operator family', 'schema') "
										  "ORDER BY d.classid, d.objid");
	uint64		n;
	uint64		i;
	char	  **types;
	char	  **names;

	require_superuser();
	qms_spi_begin();
	configure_dump();
	n = qms_spi_run(&plan, NULL);
	types = palloc(sizeof(char *) * n);
	names = palloc(sizeof(char *) * n);
	for (i = 0; i < n; i++)
	{
		types[i] = qms_spi_text(i, 0);
		names[i] = qms_spi_text(i, 1);
	}
	for (i = 0; i < n; i++)
	{
		qms_spi_utility(psprintf("ALTER %s %s OWNER TO qms_owner", types[i], names[i]));
		if (strcmp(types[i], "function") == 0 || strcmp(types[i], "aggregate") == 0)
			qms_spi_utility(psprintf("REVOKE ALL ON FUNCTION %s FROM PUBLIC", names[i]));
	}
	qms_slot_forget_database();
	qms_counters_forget_database();
	qms_worker_extension_changed();
	if (!qms_is_preloaded)
		ereport(WARNING,
				(errmsg("qms is not in shared_preload_libraries"),
				 errdetail("Everything works, but nothing is remembered between sessions about the beginning of each line, and timed work and push are off."),
				 errhint("Set shared_preload_libraries = 'qms' and restart the server.")));
	qms_launcher_warn_of_slots();
	qms_spi_end();
	PG_RETURN_VOID();
}
