/*
 * queue.c
 *		Queues and their prefixes.
 */
#include "release/release.h"
#include "setup/setup.h"
#include "room/room.h"

#include "catalog/pg_type.h"

static QmsField queue_fields[] = {
	QMS_FIELD("queue_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD("application_id", QMS_F_HELD),
	QMS_FIELD("release_pool_id", QMS_F_OTHER),
	QMS_FIELD("kind", QMS_F_OTHER),
	QMS_FIELD("name", QMS_F_NAME),
	QMS_FIELD_UNIQUE("slug", QMS_F_SLUG, QMS_IN_OWNER),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD_UNIQUE("prefix", QMS_F_OTHER, QMS_IN_BRANCH),
	QMS_FIELD("status", QMS_F_HELD),
	QMS_FIELD("settings", QMS_F_SETTINGS),
	QMS_FIELD("by_class", QMS_F_HELD),
	QMS_FIELDS_AT_END
};

#define EMPTY_IT "Close the queue with qms.close_queue() and serve, transfer or cancel its tickets first."

static QmsUse queue_uses[] = {
	{QMS_PLAN("SELECT coalesce(t.number::pg_catalog.text, t.ticket_id::pg_catalog.text) FROM qms.ticket t "
			  "WHERE t.queue_id = $1 LIMIT 1", INT8OID),
	"Ticket", "is still open in it.", EMPTY_IT},
	{QMS_PLAN("SELECT c.name FROM qms.counter c WHERE c.queue_ids OPERATOR(pg_catalog.@>) ARRAY[$1] "
			  "AND c.deleted_at IS NULL LIMIT 1", INT8OID),
	"Counter", "still calls from it.", "Change the queue_ids of the counter first."},
	{QMS_PLAN("SELECT p.name FROM qms.counter_profile p WHERE p.deleted_at IS NULL AND p.sources OPERATOR(pg_catalog.@>) "
			  "pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('queue_id', $1)) LIMIT 1", INT8OID),
	"Counter profile", "still names it as a source.", "Change the sources of the profile first."},
	{QMS_PLAN("SELECT s.name FROM qms.service_offer f JOIN qms.service s ON s.service_id = f.service_id "
			  "WHERE f.queue_id = $1 AND f.deleted_at IS NULL LIMIT 1", INT8OID),
	"Service", "is still offered through it.", "Take it out with qms.delete_service_offer() first."}
};

/* A live counter queue of the branch at work; else an error. */
void
qms_setup_counter_queue(const QmsSetup *setup, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.organization_id, q.branch_id, q.kind = 'counter' FROM qms.queue q "
								   "WHERE q.queue_id = $1 AND q.deleted_at IS NULL", INT8OID);

	if (qms_setup_organization_of(&plan, "queue", queue_id) != setup->organization_id)
		qms_not_found("queue", queue_id);
	if (!qms_spi_bool(0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is no counter queue", (long long) queue_id),
				 errdetail("Counters serve counter queues; a release queue lets people in by its rate."),
				 errhint("Give a queue of kind counter.")));
	if (qms_spi_int64(0, 1) != setup->branch_id)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("queue %lld belongs to another branch", (long long) queue_id),
				 errdetail("It is of branch %lld, and branch %lld is being set up.",
						   (long long) qms_spi_int64(0, 1), (long long) setup->branch_id),
				 errhint("Give a queue of the same branch.")));
}

/* A, B, ... Z, AA, AB, ...: the one of that number, from 0. */
static char *
prefix_of_number(int number)
{
	char		buffer[8] = {0};
	int			i = sizeof(buffer) - 1;

	do
	{
		buffer[--i] = 'A' + number % 26;
		number = number / 26 - 1;
	} while (number >= 0);
	return pstrdup(buffer + i);
}

/*
 * The first free prefix of the branch.  Two queues that are created at the same
 * time choose one after the other: the lock of the organization, which covers
 * its branches, is held.
 */
static char *
choose_prefix(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.queue q WHERE q.branch_id = $1 AND q.prefix = $2 "
								   "AND q.kind = 'counter' AND q.deleted_at IS NULL", INT8OID, TEXTOID);
	int			i;

	for (i = 0;; i++)
	{
		char	   *prefix = prefix_of_number(i);
		QmsParams	params = {0};

		qms_param_int64(&params, setup->branch_id);
		qms_param_text(&params, prefix);
		if (qms_spi_look(&plan, &params) == 0)
			return prefix;
	}
}

/*
 * Another queue may have had the prefix: its numbers that are still live are gone
 * round.
 *
 * Lock: exclusive on the queue, so that joins under its old prefix commit before
 * another queue gets that.
 */
static void
skip_live_numbers(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN("UPDATE qms_internal.queue_number SET skip_live = true WHERE queue_id = $1",
								   INT8OID);
	QmsParams	params = {0};

	qms_lock(QMS_LOCK_QUEUE, queue_id, true);
	qms_param_int64(&params, queue_id);
	qms_spi_run(&plan, &params);
}

static void
set_prefix(QmsSetup *setup, bool is_release)
{
	int			column = qms_setup_column(setup, "prefix");
	char	   *prefix = qms_arg_text_or_null(setup->call, qms_setup_argument(setup, "prefix"));
	char	   *p;

	if (prefix == NULL)
	{
		if (setup->creating && !is_release)
			qms_row_set_text(setup->row, column, choose_prefix(setup));
		return;
	}
	if (is_release)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a release queue has no prefix"),
				 errdetail("Its tickets have no numbers to be shown."),
				 errhint("Leave prefix out.")));
	for (p = prefix; *p != '\0'; p++)
		*p = pg_ascii_toupper((unsigned char) *p);
	if (strlen(prefix) > QMS_NUMBER_MAX_PREFIX || !qms_types_prefix_valid(prefix))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid prefix \"%s\"", prefix),
				 errdetail("A prefix has 0 to %d letters A to Z.", QMS_NUMBER_MAX_PREFIX),
				 errhint("Leave prefix out to get the next free letter of the branch.")));
	qms_row_set_text(setup->row, column, prefix);
	if (!setup->creating)
		skip_live_numbers(setup->id);
}

/* The pool whose rate a release queue shares; 0 takes it out. */
static void
set_release_pool(QmsSetup *setup, bool is_release)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT p.organization_id, p.application_id FROM qms.release_pool p "
								   "WHERE p.release_pool_id = $1 AND p.deleted_at IS NULL", INT8OID);
	int			column = qms_setup_column(setup, "release_pool_id");
	int			n = qms_setup_argument(setup, "release_pool_id");
	int64		id;

	if (qms_arg_isnull(setup->call, n))
		return;
	id = qms_setup_id_or_0(setup, n);
	if (id != 0)
	{
		if (qms_setup_organization_of(&plan, "release pool", id) != setup->organization_id)
			qms_not_found("release pool", id);
		if (!is_release || setup->application_id != qms_spi_int64(0, 1))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("this queue cannot be in release pool %lld", (long long) id),
					 errdetail("A pool is shared by the release queues of its application."),
					 errhint("Create the queue with the application_id of the pool.")));
	}
	qms_row_set_id(setup->row, column, id);
}

/* What the settings of a row say. */
static void
parse_settings(const QmsRow *row, const QmsSetup *setup, QmsQueueSettings *parsed)
{
	qms_settings_parse(qms_setup_jsonb(row, qms_setup_column(setup, "settings")),
					   strcmp(qms_row_text(row, qms_setup_column(setup, "kind")), "release") == 0, parsed);
}

/*
 * A queue of a pool shares the pool's rate, and has none of its own.  When it
 * comes or goes, nobody is let in meanwhile.
 */
static void
check_release(QmsSetup *setup, const QmsQueueSettings *settings)
{
	int			pool = qms_setup_column(setup, "release_pool_id");
	int64		now_in = qms_row_int64(setup->row, pool);
	int64		was_in = setup->old == NULL ? 0 : qms_row_int64(setup->old, pool);

	if (now_in != 0 && settings->rate != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_INVALID_SETTING),
				 errmsg("a queue of a release pool has no rate of its own"),
				 errdetail("It shares the rate of release pool %lld by its weight.", (long long) now_in),
				 errhint("Take \"rate\" out of the settings, and set the rate of the pool with qms.update_release_pool().")));
	if (setup->old != NULL && now_in != was_in)
		qms_release_lock_gates(setup->call, setup->id, was_in, now_in, setup->organization_id);
}

static void
check_queue(QmsSetup *setup)
{
	int			kind = qms_setup_column(setup, "kind");
	QmsQueueSettings parsed;
	QmsQueueSettings was;
	bool		is_release;

	if (setup->creating)
	{
		char	   *value = qms_arg_text_or_null(setup->call, qms_setup_argument(setup, "kind"));

		if (value == NULL)
			value = setup->branch_id != 0 ? "counter" : "release";
		if (strcmp(value, "counter") != 0 && strcmp(value, "release") != 0)
			qms_arg_choice_error("kind of queue", value, "counter and release");
		qms_row_set_text(setup->row, kind, value);
		qms_row_set_text(setup->row, qms_setup_column(setup, "status"), "open");
		qms_row_set_bool(setup->row, qms_setup_column(setup, "by_class"), false);
	}
	is_release = strcmp(qms_row_text(setup->row, kind), "release") == 0;
	if (!is_release && setup->branch_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("a counter queue belongs to a branch"),
				 errdetail("An application has release queues only."),
				 errhint("Give kind => 'release', or a branch_id.")));
	set_prefix(setup, is_release);
	set_release_pool(setup, is_release);
	parse_settings(setup->row, setup, &parsed);
	if (!setup->creating)
		parse_settings(setup->old, setup, &was);
	qms_hook_check(parsed.challenge);
	qms_lottery_check(setup->id, setup->creating ? NULL : &was, &parsed, setup->call->now);
	if (is_release)
		check_release(setup, &parsed);
}

/* A lottery is promised with the settings that say so; people are let in as it is set up from here on. */
static void
queue_written(QmsSetup *setup)
{
	QmsEvent	about = {0};
	QmsQueueSettings settings;

	parse_settings(setup->row, setup, &settings);
	about.organization_id = setup->organization_id;
	about.branch_id = setup->branch_id;
	about.application_id = setup->application_id;
	qms_lottery_commit(setup->call, setup->id, &about, &settings);
	if (strcmp(qms_row_text(setup->row, qms_setup_column(setup, "kind")), "release") == 0)
		qms_release_queue_changed(setup->call, setup->id, setup->organization_id,
								  qms_row_int64(setup->row, qms_setup_column(setup, "release_pool_id")), setup->creating);
}

/* Nobody joins while it is looked whether the queue is empty. */
static void
deleting_queue(QmsSetup *setup)
{
	qms_lock(QMS_LOCK_QUEUE, setup->id, true);
}

/* Nobody is invited to it any more. */
static void
queue_deleted(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN("DELETE FROM qms_internal.invitation WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->id);
	qms_spi_run(&plan, &params);
}

static QmsThing queue = {
	.name = "queue", .noun = "queue", .owner = QMS_OWNER_EITHER,
	QMS_FIELDS(queue_fields), QMS_USES(queue_uses), .check = check_queue, .written = queue_written,
	.deleting = deleting_queue, .deleted = queue_deleted
};

QMS_FUNCTION(create_queue, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &queue);
}

QMS_FUNCTION(update_queue, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &queue);
}

QMS_FUNCTION(delete_queue, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &queue);
}
