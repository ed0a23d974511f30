/*
 * sub_start.c
 *		How a subscription starts: with exactly what it missed, or with a
 *		snapshot; and in both cases without a hole before what follows.
 */
#include "hub.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef enum Start
{
	START_LATER, START_RECOVERED, START_SNAPSHOT
} Start;

/* How the subscription can start now; asks the database for what is missing. */
static Start
start_of(QmsSub *sub)
{
	QmsChannel *channel = sub->channel;
	QmsDatabase *db = channel->db;
	bool		is_new = channel->snapshot != NULL && channel->snapshot_asked >= sub->began;

	if (!db->streaming || channel->canonical == NULL)
		return START_LATER;
	if (sub->epoch != NULL && strcmp(sub->epoch, db->epoch) == 0 && sub->cursor >= channel->renew)
	{
		int64_t		complete = db->position;

		if (channel->snapshot != NULL && channel->snapshot_position > complete)
			complete = channel->snapshot_position;
		if (sub->cursor <= complete && sub->cursor >= channel->floor)
			return START_RECOVERED;
		if (sub->cursor < channel->floor && !channel->has_history)
		{
			qms_load_want(channel, QMS_LOAD_HISTORY);
			return START_LATER;
		}
		/* A place ahead of all we know: another gateway may have been faster than this one. */
		if (sub->cursor > complete && !is_new)
		{
			qms_load_want(channel, QMS_LOAD_SNAPSHOT);
			return START_LATER;
		}
	}
	if (channel->snapshot != NULL && channel->snapshot_position >= channel->floor &&
		channel->snapshot_position >= channel->renew &&
		channel->snapshot_asked + QMS_SNAPSHOT_AGE >= sub->began)
		return START_SNAPSHOT;
	qms_load_want(channel, QMS_LOAD_SNAPSHOT);
	return START_LATER;
}

/* Can its subscribe command be answered now? */
bool
qms_sub_is_ready(QmsSub *sub)
{
	return sub->state == QMS_SUB_LIVE || start_of(sub) != START_LATER;
}

/* The publications after the cursor, as many as belong into one frame; the cursor follows. */
static void
put_missed(QmsSub *sub, QmsText *out)
{
	const QmsChannel *channel = sub->channel;
	size_t		begin = out->size;
	int			i = qms_ring_after(channel, sub->cursor);

	qms_text_puts(out, ",\"publications\":[");
	for (; i < channel->count && out->size - begin < QMS_FRAME_LIMIT; i++)
	{
		const QmsEntry *entry = qms_ring_entry(channel, i);

		if (out->data[out->size - 1] != '[')
			qms_text_append(out, ",", 1);
		qms_put_publication(out, entry->data, entry->position);
		sub->cursor = entry->position;
	}
	qms_text_append(out, "]", 1);
	/* All of it: then nothing is missing up to where the stream is. */
	if (i == channel->count && sub->cursor < channel->db->position)
		sub->cursor = channel->db->position;
}

/*
 * The members of a subscribe result; the subscription is live from here on.
 * Only when it is ready.
 */
void
qms_sub_result(QmsSub *sub, QmsText *out)
{
	QmsChannel *channel = sub->channel;
	Start		start = start_of(sub);

	qms_text_puts(out, "\"recoverable\":true,\"positioned\":true,\"epoch\":");
	qms_text_json_string(out, channel->db->epoch);
	qms_put_expiry(out, sub->expires_at, qms_now_unix(), ",");
	if (sub->epoch != NULL)
		qms_text_printf(out, ",\"was_recovering\":true,\"recovered\":%s",
						start == START_RECOVERED ? "true" : "false");
	if (start == START_RECOVERED)
	{
		put_missed(sub, out);
		qms_hub.counters.recovered++;
	}
	else
	{
		sub->cursor = channel->snapshot_position;
		qms_text_puts(out, ",\"data\":");
		qms_text_append(out, (const char *) channel->snapshot->data, channel->snapshot->size);
		if (sub->epoch != NULL)
			qms_hub.counters.not_recovered++;
	}
	qms_text_printf(out, ",\"offset\":%" PRId64, sub->cursor);
	free(sub->epoch);
	sub->epoch = NULL;
	sub->state = QMS_SUB_LIVE;
	sub->generation = channel->generation;
}
