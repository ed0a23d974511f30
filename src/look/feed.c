/*
 * feed.c
 *		What the gateway asks of the database first and all the time: where the
 *		stream is, and what is new.
 *
 * The gateway serves many people over one connection, so what it is given here
 * is not for one of them: it is told who may see what (gateway_check in access),
 * and each event comes in the forms that different people may see.  These
 * functions therefore are for members of qms_gateway only and do not pass the
 * gate; all that they read is read in one moment.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_ROWS 10000
#define MOST_PATIENCE 60000
/* At a counter that is in no zone: for displays of the whole branch. */
#define NO_ZONE (-1)

/* In the order of qms_internal.gateway_events. */
enum
{
	E_position, E_organization_id, E_branch_id, E_zone_id, E_queue_id, E_application_id, E_visit_id,
	E_is_system, E_recheck, E_public_text, E_full_text, E_system_text, E_visit_text,
	E_other_queue_id, E_resnapshot, E_at_us, E_COLUMNS
};

/* Figures of one queue, the same for all its events of a call. */
typedef struct Figures
{
	int64		queue_id;		/* hash key */
	char	   *text;			/* an object that has been begun */
} Figures;

typedef struct Feed
{
	QmsCall    *call;
	QmsMoment	moment;
	int			nwanted;		/* branches, or minus the id of a queue, in order */
	int64	   *wanted;
	HTAB	   *figures;
	MemoryContext context;		/* of the call */
} Feed;

/* Whoever has EXECUTE must be of the gateway all the same. */
static void
require_gateway(const char *function)
{
	Oid			group = get_role_oid("qms_gateway", true);

	if (!OidIsValid(group) || !is_member_of_role(GetOuterUserId(), group))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function),
				 errdetail("It is for the gateway, which serves people of all organizations."),
				 errhint("Read the stream with qms.events_since().")));
}

/* What the gate does for other functions; the rows of a set are answered with qms_answer_row. */
void
qms_feed_begin(QmsCall *call, FunctionCallInfo fcinfo, const QmsFunction *function)
{
	require_gateway(function->name);
	memset(call, 0, sizeof(*call));
	call->fcinfo = fcinfo;
	call->function = function;
	call->result_context = CurrentMemoryContext;
	InitMaterializedSRF(fcinfo, 0);
	qms_spi_begin();
	qms_gate_refresh();
	call->now = qms_clock_now();
}

Datum
qms_feed_end(QmsCall *call)
{
	qms_spi_end();
	return qms_answer_none(call);
}

/* One moment for all that follows; an error releases it with its transaction. */
void
qms_moment_take(QmsMoment *moment, QmsCall *call)
{
	moment->snapshot = RegisterSnapshot(GetLatestSnapshot());
	moment->now = call->now;
	qms_stream_needed(&moment->stream, moment->snapshot);
	if (!moment->stream.is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ADOPTED),
				 errmsg("this database has not been adopted"),
				 errdetail("It is a restored or copied one: nothing is published in it."),
				 errhint("Call qms.adopt_database().")));
}

void
qms_moment_release(QmsMoment *moment)
{
	UnregisterSnapshot(moment->snapshot);
}

PG_FUNCTION_INFO_V1(qms_gateway_hello);

/* Where the stream is; no row in a database that has not been adopted. */
Datum
qms_gateway_hello(PG_FUNCTION_ARGS)
{
	static const QmsFunction function = {.name = "gateway_hello", .flags = QMS_SETOF};
	QmsCall		call;
	QmsStream	stream;

	qms_feed_begin(&call, fcinfo, &function);
	if (qms_stream_read(&stream, NULL) && stream.is_ours)
	{
		Datum		values[5];
		bool		nulls[5] = {false};
		char	   *version = qms_installation_version();

		values[0] = CStringGetTextDatum(get_database_name(MyDatabaseId));
		values[1] = CStringGetTextDatum(stream.epoch);
		values[2] = Int64GetDatum(stream.last_position);
		values[3] = Int64GetDatum(stream.pruned_position);
		values[4] = CStringGetTextDatum(version ? version : QMS_VERSION);
		qms_answer_row(&call, values, nulls);
	}
	return qms_feed_end(&call);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* Of what somebody watches a display: an array of ids, which may be null. */
static void
read_wanted(Feed *feed, int n)
{
	if (qms_arg_isnull(feed->call, n))
		return;
	feed->wanted = qms_array_read(feed->call->fcinfo->args[n].value, &feed->nwanted);
	qsort(feed->wanted, feed->nwanted, sizeof(int64), compare_ids);
}

/* The figures of an event's queue, and of the other one, as an object, if somebody watches them; else NULL. */
static const char *
figures_for(Feed *feed, const QmsFeedEvent *event, int64 other, const char *status)
{
	int64		branch = event->branch_id;
	int64		queue = -event->queue_id;
	Figures    *figures;
	bool		found;

	if (event->queue_id == 0 || event->queue_status == NULL || feed->nwanted == 0 ||
		(bsearch(&branch, feed->wanted, feed->nwanted, sizeof(int64), compare_ids) == NULL &&
		 bsearch(&queue, feed->wanted, feed->nwanted, sizeof(int64), compare_ids) == NULL))
		return NULL;
	if (feed->figures == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(int64), .entrysize = sizeof(Figures), .hcxt = feed->context};

		feed->figures = hash_create("qms figures", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	figures = hash_search(feed->figures, &event->queue_id, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext old = MemoryContextSwitchTo(feed->context);
		StringInfoData out;

		initStringInfo(&out);
		qms_write_begin(&out, NULL, '{');
		qms_figures_write(&out, event->queue_id, event->queue_status, feed->moment.now);
		figures->text = out.data;
		MemoryContextSwitchTo(old);
	}
	return figures->text[1] == '\0' ? NULL :
		qms_figures_of_event(figures->text, other, status, feed->moment.now);
}

/* ... of the other queue alone, if only that one is watched. */
static const char *
figures_of_other(Feed *feed, int64 other, const char *status)
{
	int64		queue = -other;

	if (other == 0 || feed->nwanted == 0 ||
		bsearch(&queue, feed->wanted, feed->nwanted, sizeof(int64), compare_ids) == NULL)
		return NULL;
	return qms_figures_of_event("{", other, status, feed->moment.now);
}

static void
set_id(Datum *values, bool *nulls, int column, int64 id)
{
	nulls[column] = id == 0;
	values[column] = Int64GetDatum(id);
}

/* One event in all its forms. */
static void
answer_event(Feed *feed, const QmsFeedEvent *event)
{
	const char *epoch = feed->moment.stream.epoch;
	Datum		values[E_COLUMNS] = {0};
	bool		nulls[E_COLUMNS] = {false};
	char	   *status = NULL;
	int64		other = event->is_public ? qms_feed_other_queue(event, &feed->moment, &status) : 0;
	StringInfoData out;

	initStringInfo(&out);
	values[E_position] = Int64GetDatum(event->position);
	values[E_organization_id] = Int64GetDatum(event->organization_id);
	set_id(values, nulls, E_branch_id, event->branch_id);
	set_id(values, nulls, E_zone_id, event->zone_id != 0 || event->counter_id == 0 ? event->zone_id : NO_ZONE);
	set_id(values, nulls, E_queue_id, event->queue_id);
	set_id(values, nulls, E_application_id, event->application_id);
	set_id(values, nulls, E_visit_id, event->visit_id);
	set_id(values, nulls, E_other_queue_id, other);
	values[E_is_system] = BoolGetDatum(event->is_system);
	values[E_resnapshot] = BoolGetDatum(qms_feed_changes_what_is_shown(event));
	values[E_at_us] = Int64GetDatum(qms_unix_usec(event->at));
	values[E_recheck] = BoolGetDatum(qms_feed_changes_rights(event));
	qms_feed_full(&out, event, epoch);
	values[E_full_text] = qms_write_datum(&out);
	nulls[E_public_text] = !event->is_public;
	if (event->is_public)
	{
		const char *figures = figures_for(feed, event, other, status);

		resetStringInfo(&out);
		qms_feed_public(&out, event, epoch, figures ? figures : figures_of_other(feed, other, status));
		values[E_public_text] = qms_write_datum(&out);
	}
	nulls[E_system_text] = !event->is_system;
	if (event->is_system)
	{
		resetStringInfo(&out);
		qms_feed_public(&out, event, epoch, NULL);
		values[E_system_text] = qms_write_datum(&out);
	}
	nulls[E_visit_text] = event->visit_id == 0;
	if (event->visit_id != 0)
	{
		resetStringInfo(&out);
		qms_feed_of_visit(&out, event, epoch);
		values[E_visit_text] = qms_write_datum(&out);
	}
	qms_answer_row(feed->call, values, nulls);
}

static void
answer_events(Feed *feed, SPITupleTable *rows, uint64 n)
{
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "qms feed", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);
	uint64		i;

	for (i = 0; i < n; i++)
	{
		QmsFeedEvent event;

		CHECK_FOR_INTERRUPTS();
		qms_feed_fetch(rows, i, &event);
		/* Its row may be gone before its position is: then it is past. */
		if (event.kind != NULL)
			answer_event(feed, &event);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
}

/*
 * Of a gateway that would ask again at once: until there is something to answer.
 * True if the publisher has said so itself: then this is its epoch, and what
 * comes after the position is not pruned, for it was not there before.
 */
static bool
wait_for_news(FunctionCallInfo fcinfo)
{
	int			patience = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4);

	require_gateway("gateway_events");
	if (patience < 0 || patience > MOST_PATIENCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("patience must be from 0 to %d, not %d", MOST_PATIENCE, patience)));
	return patience > 0 && !PG_ARGISNULL(0) && !PG_ARGISNULL(1) &&
		qms_published_wait(text_to_cstring(PG_GETARG_TEXT_PP(1)), PG_GETARG_INT64(0), patience);
}

PG_FUNCTION_INFO_V1(qms_gateway_events);

/* Everything that was published after a position, in order. */
Datum
qms_gateway_events(PG_FUNCTION_ARGS)
{
	static const QmsFunction function = {.name = "gateway_events", .flags = QMS_SETOF};
	static QmsPlan plan = QMS_PLAN(
								   "SELECT " QMS_FEED_COLUMNS "FROM qms_internal.event_position p " QMS_FEED_JOINS
								   "WHERE p.position > $1 ORDER BY p.position LIMIT $2", INT8OID, INT8OID);
	QmsCall		call;
	Feed		feed = {.call = &call};
	QmsParams	params = {0};
	int64		after;
	int32		max_rows;
	uint64		n;
	bool		is_news = wait_for_news(fcinfo);

	qms_feed_begin(&call, fcinfo, &function);
	after = qms_arg_isnull(&call, 0) ? 0 : PG_GETARG_INT64(0);
	max_rows = qms_arg_int32(&call, 2, 1000);
	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be from 1 to %d, not %d", MAX_ROWS, max_rows),
				 errhint("Read in several steps.")));
	feed.context = CurrentMemoryContext;
	read_wanted(&feed, 3);
	if (is_news)
	{
		feed.moment.snapshot = RegisterSnapshot(GetLatestSnapshot());
		feed.moment.now = call.now;
		feed.moment.stream.epoch = qms_arg_text_or_null(&call, 1);
	}
	else
	{
		qms_moment_take(&feed.moment, &call);
		qms_stream_check(&feed.moment.stream, qms_arg_text_or_null(&call, 1), after);
	}
	qms_param_int64(&params, after);
	qms_param_int64(&params, max_rows);
	n = qms_spi_look_at(&plan, &params, feed.moment.snapshot);
	answer_events(&feed, qms_spi_result(), n);
	qms_moment_release(&feed.moment);
	return qms_feed_end(&call);
}
