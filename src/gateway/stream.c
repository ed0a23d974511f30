/*
 * stream.c
 *		The stream of a database's events: the doorbell, reading, breaks.
 *
 * What is shown comes from gateway_events, after the position that was read
 * last.  While somebody looks, one such read is always under way: it waits in the
 * database until something is published, so that a commit needs no question to be
 * answered.  A notification is a doorbell for all other times, and its payload is
 * never looked at.
 *
 * A new epoch, or a position that is pruned, is a break: every subscription is
 * told, and starts again with a snapshot.
 */
#include "hub.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void on_look(void *arg);

/* A column as a number, 0 when null. */
int64_t
qms_result_int64(PGresult *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

/* A column as text, null when null. */
const char *
qms_result_text(PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

/* SQLSTATE of an error. */
const char *
qms_result_state(PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state == NULL ? "" : state;
}

/* Something that the administrator should know, once until it is well again. */
void
qms_database_says(QmsDatabase *db, const char *what, PGresult *result)
{
	const char *primary = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char		detail[512];

	snprintf(detail, sizeof(detail), "%s: %s%s%s", db->name, what, primary == NULL ? "" : ": ",
			 primary == NULL ? "" : primary);
	free(db->error);
	db->error = qms_hub_copy(detail);
	if (db->complained)
		return;
	db->complained = true;
	qms_log(QMS_LOG_WARNING, "a database cannot be served", detail,
			"It needs the extension qms, adopted, and a login that is a member of qms_gateway and qms_authenticator.");
}

/* Everything known is void from here on. */
static void
break_stream(QmsDatabase *db, int64_t position)
{
	QmsChannel *channel = NULL;
	int			bucket = 0;

	db->position = position;
	qms_ring_forget_frames();
	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
		qms_channel_break(channel);
}

/* The database serves: whoever waited goes on. */
static void
begin_streaming(QmsDatabase *db)
{
	QmsChannel *channel = NULL;
	int			bucket = 0;

	if (db->complained)
		qms_log(QMS_LOG_INFO, "a database is served again", db->name, NULL);
	db->complained = false;
	free(db->error);
	db->error = NULL;
	db->streaming = true;
	db->asleep = false;
	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
		if (channel->nsubs > 0)
			qms_fanout_channel(channel);
	qms_wheel_add(&db->look, QMS_LOOK_MS, on_look, db);
	db->rung = true;
	qms_stream_go_on(db);
}

/* What the database said of itself. */
static void
hello_done(QmsDatabase *db, PGresult *result)
{
	char		epoch[QMS_EPOCH_SIZE];
	int64_t		last;
	int64_t		pruned;

	db->saying_hello = false;
	if (result == NULL)
		return;
	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
	{
		qms_database_says(db, PQresultStatus(result) == PGRES_TUPLES_OK ? "it is not adopted" :
						  "gateway_hello failed", result);
		qms_wheel_add(&db->look, QMS_HELLO_MS, on_look, db);
		return;
	}
	/* Shortened, if need be, as the one remembered. */
	snprintf(epoch, sizeof(epoch), "%s", PQgetvalue(result, 0, 0));
	last = qms_result_int64(result, 0, 1);
	pruned = qms_result_int64(result, 0, 2);
	if (db->epoch[0] == '\0')
		qms_log(QMS_LOG_INFO, "a database is served", db->name, NULL);
	if (strcmp(epoch, db->epoch) != 0 || db->position < pruned || db->position > last)
	{
		/* While nobody is subscribed, and in the beginning, nobody loses anything. */
		if (db->epoch[0] != '\0' && !db->asleep)
			qms_hub.counters.resets++;
		snprintf(db->epoch, sizeof(db->epoch), "%s", epoch);
		break_stream(db, last);
	}
	else if (db->asleep)
		break_stream(db, last);
	begin_streaming(db);
}

/* Ask for epoch and position; the stream stands still until they are known. */
void
qms_stream_hello(QmsDatabase *db)
{
	db->streaming = false;
	if (db->saying_hello || !qms_link_is_up(db->stream))
		return;
	db->saying_hello = true;
	qms_link_query(db->stream, QMS_SQL_HELLO, NULL, hello_done);
}

/* Now and then without a doorbell: try again, or look whether one was missed. */
static void
on_look(void *arg)
{
	QmsDatabase *db = arg;

	qms_wheel_add(&db->look, QMS_LOOK_MS, on_look, db);
	db->hasty = false;
	if (!db->streaming)
		qms_stream_hello(db);
	else if (db->nchannels > 0 && !db->reading)
	{
		db->rung = true;
		qms_stream_go_on(db);
	}
}

/* Events were read. */
static void
events_done(QmsDatabase *db, PGresult *result)
{
	int64_t		took = qms_now_ns() - db->asked_at;
	int			rows;

	db->reading = false;
	if (result == NULL)
	{
		db->rung = true;
		return;
	}
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		const char *state = qms_result_state(result);

		db->rung = true;
		if (strcmp(state, "QM901") != 0 && strcmp(state, "QM902") != 0)
		{
			qms_database_says(db, "gateway_events failed", result);
			db->streaming = false;
			qms_wheel_add(&db->look, QMS_HELLO_MS, on_look, db);
			return;
		}
		/* Another epoch, or what comes next is pruned: hello tells where it goes on. */
		db->position = -1;
		qms_stream_hello(db);
		return;
	}
	rows = PQntuples(result);
	if (db->patient && rows > 0)
		db->wake_at = qms_now_ns();
	if (db->patient && rows > 0 && db->figures_changed)
	{
		/* Somebody looks since whose figures were not asked for: once more, with them. */
		db->rung_at = db->wake_at;
		db->rung = true;
		qms_stream_go_on(db);
		return;
	}
	if (rows > 0)
		qms_publish_rows(db, result);
	else if (db->patient && took < QMS_HASTY_NS)
	{
		/* A server that does not wait is not asked again and again. */
		db->hasty = true;
		qms_wheel_add(&db->look, QMS_HELLO_MS, on_look, db);
	}
	if (rows >= QMS_EVENTS_ROWS || rows >= qms_hub.history_size)
		db->rung = true;
	/* Those who wait for it are served first; then the fan-out has the next ones read. */
	if (qms_fanout_is_done())
		qms_stream_go_on(db);
}

/* The branches and queues whose figures somebody looks at, or may come back for, as an array. */
static const char *
figures_of(QmsDatabase *db)
{
	QmsText    *out = &db->figures;
	QmsChannel *channel = NULL;
	const char *separator = "";
	int			bucket = 0;

	if (out->size > 0)
		return out->data;
	qms_text_puts(out, "{");
	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
	{
		if (channel->canonical == NULL ||
			(channel->kind != QMS_DISPLAY && channel->kind != QMS_QUEUE))
			continue;
		qms_text_printf(out, "%s%s%" PRId64, separator, channel->kind == QMS_QUEUE ? "-" : "",
						(int64_t) strtoll(strchr(channel->canonical, ':') + 1, NULL, 10));
		separator = ",";
	}
	qms_text_puts(out, "}");
	return out->data;
}

/* Somebody looks at another branch or queue, or does not any more. */
void
qms_stream_forget_figures(QmsDatabase *db)
{
	qms_text_clear(&db->figures);
	db->figures_changed = true;
}

/* Read what is there, or comes next, unless the fan-out has to catch up first. */
void
qms_stream_go_on(QmsDatabase *db)
{
	const char *values[QMS_MAX_PARAMS];
	int			rows = qms_hub.history_size < QMS_EVENTS_ROWS ? qms_hub.history_size : QMS_EVENTS_ROWS;
	char		position[32];
	char		max_rows[32];
	char		patience[32];

	if (!db->streaming || db->reading || !qms_link_is_up(db->stream))
		return;
	if (!db->rung && (db->nchannels == 0 || db->hasty))
		return;
	/* What the slowest walk has not served yet stays in the rings. */
	if (db->unfinished > 0 && db->unfinished + rows > qms_hub.history_size && !qms_fanout_is_done())
		return;
	db->patient = !db->rung;
	db->rung = false;
	db->reading = true;
	db->asked_at = qms_now_ns();
	db->wake_at = db->rung_at;
	db->rung_at = 0;
	db->figures_changed = false;
	snprintf(position, sizeof(position), "%" PRId64, db->position);
	snprintf(max_rows, sizeof(max_rows), "%d", rows);
	values[0] = position;
	values[1] = db->epoch;
	values[2] = max_rows;
	values[3] = figures_of(db);
	snprintf(patience, sizeof(patience), "%d", db->patient ? QMS_PATIENCE_MS : 0);
	values[4] = patience;
	qms_link_query(db->stream, QMS_SQL_EVENTS, values, events_done);
}

/* The doorbell. */
void
qms_stream_ring(QmsDatabase *db)
{
	if (db->nchannels == 0)
	{
		/* Nobody looks; whoever comes first asks where the stream is. */
		db->asleep = true;
		return;
	}
	/* It answers by itself. */
	if (db->reading && db->patient)
		return;
	if (db->rung_at == 0)
		db->rung_at = qms_now_ns();
	db->rung = true;
	qms_stream_go_on(db);
}

/* The first channel after a while. */
void
qms_stream_wake(QmsDatabase *db)
{
	if (db->asleep && db->streaming)
		qms_stream_hello(db);
	else
		qms_stream_go_on(db);
}

/* The listening connection is there, again perhaps. */
static void
stream_up(QmsDatabase *db)
{
	qms_stream_hello(db);
}

/* It is gone: clients stay, and the stream goes on where it was. */
static void
stream_down(QmsDatabase *db)
{
	db->streaming = false;
	db->rung_at = 0;
}

/* The asking connection is there: what was not answered is asked again. */
static void
work_up(QmsDatabase *db)
{
	qms_check_flush(db);
	qms_load_flush(db);
}

/* Those who wait are told by the recheck's tick. */
static void
work_down(QmsDatabase *db)
{
	(void) db;
}

/* Nobody listens on the asking connection. */
static void
work_notified(QmsDatabase *db)
{
	(void) db;
}

/* Begin with a database. */
void
qms_stream_start(QmsDatabase *db)
{
	static const QmsLinkEvents stream_events = {stream_up, stream_down, qms_stream_ring};
	static const QmsLinkEvents work_events = {work_up, work_down, work_notified};

	db->stream = qms_link_new(db, "events", true, &stream_events);
	db->work = qms_link_new(db, "requests", false, &work_events);
	qms_wheel_add(&db->look, QMS_LOOK_MS, on_look, db);
}

/* No more of it. */
void
qms_stream_stop(QmsDatabase *db)
{
	qms_wheel_cancel(&db->look);
	qms_wheel_cancel(&db->pause);
	qms_link_free(db->stream);
	qms_link_free(db->work);
	db->stream = db->work = NULL;
	db->streaming = false;
}
