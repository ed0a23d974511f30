/*
 * adopt.c
 *		Is the data of this database ours to work with?
 *
 * qms_internal.instance says on which server and in which database it was set
 * up.  It is never dumped, so a restored database has none; a template copy or a
 * clone has another database or server in it.  Such a database is left alone
 * until somebody says qms.adopt_database().
 */
#include "stats/stats.h"
#include "worker/worker.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* ACTIVE, or DORMANT with the reason. */
QmsDatabaseState
qms_adoption_state(char *reason, Size size)
{
	static QmsPlan instance = QMS_PLAN_NOARGS(
											  "SELECT system_identifier, database_oid::int8 FROM qms_internal.instance");
	static QmsPlan data = QMS_PLAN_NOARGS("SELECT 1 FROM qms.organization LIMIT 1");

	reason[0] = '\0';
	if (qms_spi_run(&instance, NULL) == 0)
	{
		if (qms_spi_run(&data, NULL) == 0)
			return QMS_DB_ACTIVE;
		strlcpy(reason, "Its data was restored from a dump.", size);
		return QMS_DB_DORMANT;
	}
	if ((uint64) qms_spi_int64(0, 0) != GetSystemIdentifier())
		strlcpy(reason, "Its data was set up on another server.", size);
	else if ((Oid) qms_spi_int64(0, 1) != MyDatabaseId)
		strlcpy(reason, "It is a copy of another database of this server.", size);
	else
		return QMS_DB_ACTIVE;
	return QMS_DB_DORMANT;
}

/*
 * Was it set up or adopted here?  An empty database was not yet, and whether it
 * is about to be filled by people or by a restore nobody knows: no worker does
 * anything in it.  Once true it stays so.
 */
bool
qms_adoption_is_ours(void)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.instance WHERE system_identifier = $1 AND database_oid = $2",
								   INT8OID, OIDOID);
	QmsParams	params = {0};

	qms_param_int64(&params, (int64) GetSystemIdentifier());
	qms_param_datum(&params, ObjectIdGetDatum(MyDatabaseId));
	return qms_spi_run(&plan, &params) > 0;
}

/* Identity sequences must be beyond what is there; a dump brings them, a copy of tables does not. */
static void
advance_sequences(void)
{
	static const char *const checks[] = {
		"SELECT pg_catalog.setval('qms.ticket_ticket_id_seq', greatest((SELECT pg_catalog.max(ticket_id) FROM qms.ticket), "
		"(SELECT pg_catalog.max(ticket_id) FROM qms.ticket_history), (SELECT last_value FROM qms.ticket_ticket_id_seq)))",
		"SELECT pg_catalog.setval('qms.event_event_id_seq', greatest((SELECT pg_catalog.max(event_id) FROM qms.event), "
		"(SELECT last_value FROM qms.event_event_id_seq)))",
		"SELECT pg_catalog.setval('qms.staff_session_staff_session_id_seq', greatest((SELECT pg_catalog.max(staff_session_id) FROM qms.staff_session), "
		"(SELECT last_value FROM qms.staff_session_staff_session_id_seq)))"
	};
	static QmsPlan plans[lengthof(checks)];
	size_t		i;

	for (i = 0; i < lengthof(checks); i++)
	{
		plans[i].sql = checks[i];
		qms_spi_run(&plans[i], NULL);
	}
}

/* Roles have other OIDs in another cluster: the bindings are those of the same names here. */
static void
find_roles(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "UPDATE qms.role_binding b SET role_oid = r.oid FROM pg_catalog.pg_roles r "
										  "WHERE r.rolname = b.role_name AND b.deleted_at IS NULL AND b.role_oid IS DISTINCT FROM r.oid");

	qms_spi_run(&plan, NULL);
}

/* The numbers of each queue must not be below those that its tickets of the day have. */
static void
check_numbers(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "UPDATE qms_internal.queue_number n SET last_number = g.highest "
										  "FROM (SELECT t.queue_id, t.service_day, pg_catalog.max(qms.number(t.number)) AS highest FROM qms.ticket t "
										  "JOIN qms.queue q ON q.queue_id = t.queue_id AND q.prefix = qms.prefix(t.number) GROUP BY 1, 2) g "
										  "WHERE g.queue_id = n.queue_id AND g.service_day = n.service_day AND g.highest > n.last_number "
										  "AND NOT n.skip_live");

	qms_spi_run(&plan, NULL);
}

/* Timers that came due while nobody looked: as if they had been run, or left for the scheduler. */
static void
skip_overdue(QmsCall *call)
{
	static QmsPlan plans[] = {
		/* holds last until somebody ends them */
		QMS_PLAN("UPDATE qms.ticket SET resume_at = NULL WHERE resume_at <= $1", TIMESTAMPTZOID),
		/* who is called, and who is heard of, begins to be waited for now */
		QMS_PLAN("UPDATE qms.ticket SET last_recall_at = $1 WHERE state = 'called'", TIMESTAMPTZOID),
		QMS_PLAN("UPDATE qms_internal.ticket_seen SET seen_at = $1", TIMESTAMPTZOID)
	};
	size_t		i;

	for (i = 0; i < lengthof(plans); i++)
	{
		QmsParams	params = {0};

		qms_param_time(&params, call->now);
		qms_spi_run(&plans[i], &params);
	}
}

QMS_FUNCTION(adopt_database, QMS_ACT_INSTALL, 0)
{
	/*
	 * Nobody is writing events any more when the floor is read: one with a lower
	 * id that commits later would never be published.
	 */
	static QmsPlan writers = QMS_PLAN_NOARGS("LOCK TABLE qms.event IN SHARE MODE");
	static QmsPlan clear = QMS_PLAN_NOARGS("DELETE FROM qms_internal.instance");
	/* A dump brings the positions of its origin along; ours begin with 1 again. */
	static QmsPlan positions = QMS_PLAN_NOARGS("DELETE FROM qms_internal.event_position");
	static QmsPlan write = QMS_PLAN(
									"INSERT INTO qms_internal.instance (system_identifier, database_oid, created_at) VALUES ($1, $2, $3)",
									INT8OID, OIDOID, TIMESTAMPTZOID);
	static QmsPlan progress = QMS_PLAN_NOARGS(
										  "WITH old AS (DELETE FROM qms_internal.publisher_progress RETURNING turn, last_position) "
										  "INSERT INTO qms_internal.publisher_progress (turn, snapshot, last_position) "
										  "SELECT coalesce(pg_catalog.max(turn), 0) + 1, pg_catalog.pg_current_snapshot(), "
										  "coalesce(pg_catalog.max(last_position), 0) FROM old RETURNING last_position");
	static QmsPlan publisher = QMS_PLAN(
										"INSERT INTO qms_internal.publisher (epoch, floor_event_id) "
										"VALUES ($1, (SELECT coalesce(pg_catalog.max(event_id), 0) FROM qms.event)) "
										"ON CONFLICT (only_row) DO UPDATE SET epoch = excluded.epoch, "
										"floor_event_id = excluded.floor_event_id, run_id = 0, clean = false, "
										"pruned_position = $2", TEXTOID, INT8OID);
	bool		run_overdue = qms_arg_bool(call, 0, false);
	const char *new_epoch = qms_random_hex(QMS_EPOCH_SIZE);
	int64		last_position;
	QmsParams	params = {0};
	QmsParams	epoch = {0};

	qms_lock(QMS_LOCK_SETUP, 0, true);
	qms_spi_run(&writers, NULL);
	qms_spi_run(&clear, NULL);
	qms_spi_run(&positions, NULL);
	qms_param_int64(&params, (int64) GetSystemIdentifier());
	qms_param_datum(&params, ObjectIdGetDatum(MyDatabaseId));
	qms_param_time(&params, call->now);
	qms_spi_run(&write, &params);
	qms_param_text(&epoch, new_epoch);
	qms_spi_run(&progress, NULL);
	last_position = qms_spi_int64(0, 0);
	qms_param_int64(&epoch, last_position);
	qms_spi_run(&publisher, &epoch);
	/* Whoever waits for more of the old epoch hears it now. */
	qms_published_note(new_epoch, last_position);
	find_roles();
	advance_sequences();
	check_numbers();
	qms_stats_adopt();
	if (!run_overdue)
		skip_overdue(call);
	qms_worker_extension_changed();
	PG_RETURN_VOID();
}
