/*
 * sub_start.c
 *		How a subscription starts: with exactly what it missed, or with a
 *		snapshot; and in both cases without a hole before what follows.
 */
#include "hub.h"

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
put_missed(QmsSub *sub, QmsPut *put)
{
	const QmsChannel *channel = sub->channel;
	size_t		begin = put->out->size;
	int			i = qms_ring_after(channel, sub->cursor);

	qms_put_list(put, "publications");
	for (; i < channel->count && put->out->size - begin < QMS_FRAME_LIMIT; i++)
	{
		const QmsEntry *entry = qms_ring_entry(channel, i);

		qms_put_item(put, 7);
		qms_put_publication(put, entry->data, entry->position);
		qms_put_close(put);
		sub->cursor = entry->position;
	}
	qms_put_close(put);
	/* All of it: then nothing is missing up to where the stream is. */
	if (i == channel->count && sub->cursor < channel->db->position)
		sub->cursor = channel->db->position;
}

/*
 * The members of a subscribe result; the subscription is live from here on.
 * Only when it is ready.
 */
void
qms_sub_result(QmsSub *sub, QmsPut *put)
{
	QmsChannel *channel = sub->channel;
	Start		start = start_of(sub);

	qms_put_bool(put, "recoverable", 3, true);
	qms_put_bool(put, "positioned", 10, true);
	qms_put_string(put, "epoch", 6, channel->db->epoch);
	qms_put_expiry(put, 1, sub->expires_at, qms_now_unix());
	if (sub->epoch != NULL)
	{
		qms_put_bool(put, "was_recovering", 12, true);
		qms_put_bool(put, "recovered", 8, start == START_RECOVERED);
	}
	if (start == START_RECOVERED)
	{
		put_missed(sub, put);
		qms_hub.counters.recovered++;
	}
	else
	{
		sub->cursor = channel->snapshot_position;
		qms_put_data(put, "data", 11, channel->snapshot);
		if (sub->epoch != NULL)
			qms_hub.counters.not_recovered++;
	}
	qms_put_number(put, "offset", 9, sub->cursor);
	free(sub->epoch);
	sub->epoch = NULL;
	sub->state = QMS_SUB_LIVE;
	sub->generation = channel->generation;
}
