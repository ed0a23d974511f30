/*
 * load.c
 *		Snapshots and histories of channels, asked for in batches.
 *
 * A snapshot has the position as of which it was read.  It may be newer than
 * what the stream has brought so far: then the events up to it that still
 * come are not for those who start with the snapshot.  It is refused if it is
 * older than the ring reaches back, for then something would be missing.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#define LATER_MS 100

/* Columns of gateway_channels, as database.c selects them. */
enum
{
	C_channel, C_kind, C_position, C_epoch, C_body
};

/* Ask for a channel's snapshot, or also for its history. */
void
qms_load_want(QmsChannel *channel, QmsLoad load)
{
	QmsDatabase *db = channel->db;

	if (channel->flying >= load || channel->wanted >= load)
		return;
	if (channel->wanted == QMS_LOAD_NOTHING)
	{
		channel->next_wanted = NULL;
		if (db->wanted_last == NULL)
			db->wanted = channel;
		else
			db->wanted_last->next_wanted = channel;
		db->wanted_last = channel;
	}
	channel->wanted = load;
}

/* The channel goes. */
void
qms_load_forget(QmsChannel *channel)
{
	QmsDatabase *db = channel->db;
	QmsChannel *before = NULL;
	QmsChannel *at;

	if (channel->wanted == QMS_LOAD_NOTHING)
		return;
	for (at = db->wanted; at != channel; at = at->next_wanted)
		before = at;
	if (before == NULL)
		db->wanted = channel->next_wanted;
	else
		before->next_wanted = channel->next_wanted;
	if (db->wanted_last == channel)
		db->wanted_last = before;
	channel->wanted = QMS_LOAD_NOTHING;
}

/* The time to wait is over. */
static void
on_pause_over(void *arg)
{
	qms_load_flush(arg);
}

/* Ask again, but not at once. */
static void
want_later(QmsChannel *channel, QmsLoad load)
{
	QmsDatabase *db = channel->db;

	qms_load_want(channel, load);
	if (db->pause.prev == NULL)
		qms_wheel_add(&db->pause, LATER_MS, on_pause_over, db);
}

/* Those who wait for a channel that is not to be had. */
static void
refuse(QmsChannel *channel, int code)
{
	QmsSub	   *sub = channel->first;

	while (sub != NULL)
	{
		QmsSub	   *next = sub->next;

		if (sub->state == QMS_SUB_LOADING)
			qms_sub_refuse(sub, code);
		sub = next;
	}
}

/* One channel's rows, from first up to but not with end, into the channel. */
static void
take(QmsChannel *channel, PGresult *result, int first, int end)
{
	QmsLoad		load = channel->flying;
	int64_t		position = qms_result_int64(result, first, C_position);
	const char *epoch = qms_result_text(result, first, C_epoch);
	const char *body = qms_result_text(result, first, C_body);
	int64_t		floor = position;
	QmsEntry   *entries;
	int			count = 0;
	int			row;

	channel->flying = QMS_LOAD_NOTHING;
	if (epoch == NULL || strcmp(epoch, channel->db->epoch) != 0 || position < channel->floor || body == NULL)
	{
		/* Another epoch than the stream's, or a server that lags behind it. */
		want_later(channel, load);
		if (epoch == NULL || strcmp(epoch, channel->db->epoch) != 0)
			qms_stream_hello(channel->db);
		return;
	}
	entries = qms_alloc((end - first) * sizeof(QmsEntry));
	for (row = first + 1; row < end; row++)
	{
		const char *kind = PQgetvalue(result, row, C_kind);

		if (strcmp(kind, "from") == 0)
			floor = qms_result_int64(result, row, C_position);
		else if (strcmp(kind, "event") == 0)
		{
			entries[count].position = qms_result_int64(result, row, C_position);
			entries[count++].data = qms_publish_text(PQgetvalue(result, row, C_body));
		}
	}
	if (load == QMS_LOAD_HISTORY && floor < channel->floor)
		qms_ring_replace(channel, entries, count, floor, position);
	else
		while (count > 0)
			qms_frame_unref(entries[--count].data);
	free(entries);
	if (load == QMS_LOAD_HISTORY)
		channel->has_history = true;
	qms_frame_unref(channel->snapshot);
	channel->snapshot = qms_publish_text(body);
	channel->snapshot_position = position;
	channel->snapshot_asked = channel->flying_since;
	qms_fanout_channel(channel);
}

/* All channels of that name that wait for it. */
static void
take_all(QmsDatabase *db, PGresult *result, int first, int end)
{
	const char *name = PQgetvalue(result, first, C_channel);
	QmsChannel *channel = NULL;
	char		key[QMS_MAX_CHANNEL_NAME + 1];
	char	   *colon;

	snprintf(key, sizeof(key), "%s", name);
	colon = strchr(key, ':');
	colon = colon == NULL ? NULL : strchr(colon + 1, ':');
	if (colon != NULL)
		*colon = '\0';
	while ((channel = qms_channel_next(db, channel, key)) != NULL)
		if (channel->flying != QMS_LOAD_NOTHING && strcmp(channel->canonical, name) == 0)
			take(channel, result, first, end);
}

/* The statement is through: what is still flying was not answered. */
static void
settle(QmsDatabase *db, PGresult *result)
{
	bool		fine = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
	QmsChannel *channel = NULL;
	int			bucket = 0;

	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
	{
		QmsLoad		load = channel->flying;

		if (load == QMS_LOAD_NOTHING)
			continue;
		channel->flying = QMS_LOAD_NOTHING;
		if (result == NULL)
		{
			qms_load_want(channel, load);
			continue;
		}
		refuse(channel, fine ? QMS_ERROR_UNKNOWN_CHANNEL : QMS_ERROR_INTERNAL);
		/* Those who have it already go on without. */
		channel->renew = 0;
		qms_fanout_channel(channel);
	}
}

/* A batch is there. */
static void
load_done(QmsDatabase *db, PGresult *result)
{
	int			row = 0;

	db->loading = false;
	if (result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		int			rows = PQntuples(result);

		while (row < rows)
		{
			int			end = row + 1;

			while (end < rows && strcmp(PQgetvalue(result, end, C_kind), "snapshot") != 0)
				end++;
			if (strcmp(PQgetvalue(result, row, C_kind), "snapshot") == 0)
				take_all(db, result, row, end);
			row = end;
		}
	}
	else if (result != NULL)
		qms_database_says(db, "gateway_channels failed", result);
	settle(db, result);
}

/* An element of an array's text. */
static void
put_element(QmsText *out, const char *text)
{
	qms_text_append(out, out->size == 0 ? "{\"" : ",\"", 2);
	for (; *text != '\0'; text++)
	{
		if (*text == '"' || *text == '\\')
			qms_text_append(out, "\\", 1);
		qms_text_append(out, text, 1);
	}
	qms_text_append(out, "\"", 1);
}

/* Has another channel of the same batch the same rows? */
static bool
is_flying(QmsChannel *channel)
{
	QmsChannel *other = NULL;
	char		key[QMS_MAX_CHANNEL_NAME + 1];
	char	   *colon;

	snprintf(key, sizeof(key), "%s", channel->canonical);
	colon = strchr(strchr(key, ':') + 1, ':');
	if (colon != NULL)
		*colon = '\0';
	while ((other = qms_channel_next(channel->db, other, key)) != NULL)
		if (other != channel && other->flying != QMS_LOAD_NOTHING &&
			strcmp(other->canonical, channel->canonical) == 0)
			return true;
	return false;
}

/* Ask for what is wanted, if nothing is under way: histories and snapshots apart. */
void
qms_load_flush(QmsDatabase *db)
{
	static QmsText names;
	const char *values[QMS_MAX_PARAMS];
	QmsLoad		load;
	QmsChannel *channel;
	char		max_rows[16];
	int			count = 0;

	if (db->wanted == NULL || db->loading || !db->streaming || db->pause.prev != NULL ||
		!qms_link_is_up(db->work))
		return;
	qms_text_clear(&names);
	load = db->wanted->wanted;
	channel = db->wanted;
	db->wanted = db->wanted_last = NULL;
	while (channel != NULL)
	{
		QmsChannel *next = channel->next_wanted;
		QmsLoad		wanted = channel->wanted;

		channel->wanted = QMS_LOAD_NOTHING;
		if (wanted != load || count >= QMS_LOADS_AT_ONCE || channel->canonical == NULL)
			qms_load_want(channel, wanted);
		else
		{
			if (!is_flying(channel))
				put_element(&names, channel->canonical);
			channel->flying = wanted;
			channel->flying_since = qms_now_ms();
			count++;
		}
		channel = next;
	}
	if (count == 0)
		return;
	qms_text_append(&names, "}", 1);
	snprintf(max_rows, sizeof(max_rows), "%d", load == QMS_LOAD_HISTORY ? qms_hub.history_size : 0);
	values[0] = names.data;
	values[1] = max_rows;
	db->loading = true;
	qms_hub.counters.loads += count;
	qms_hub.counters.load_statements++;
	qms_link_query(db->work, QMS_SQL_CHANNELS, values, load_done);
}
