/*
 * sub_deliver.c
 *		A subscriber is brought from its cursor to its channel's end.
 */
#include "hub.h"

#include <stdlib.h>

/* Is there something that it has not got? */
bool
qms_sub_is_behind(const QmsSub *sub)
{
	return sub->cursor < sub->channel->last || sub->cursor < sub->channel->renew;
}

/* The snapshot as a publication, for one whom the ring does not help; false: not yet. */
static bool
deliver_snapshot(QmsSub *sub)
{
	QmsChannel *channel = sub->channel;
	QmsClient  *client = sub->client;
	QmsPut		put;

	if (channel->snapshot == NULL || channel->snapshot_position < channel->floor ||
		channel->snapshot_position < channel->renew)
	{
		qms_load_want(channel, QMS_LOAD_SNAPSHOT);
		qms_hub_busy();
		return false;
	}
	qms_client_put(client, &put);
	qms_put_push(&put, channel->name);
	qms_put_open(&put, "pub", 4);
	qms_put_publication(&put, channel->snapshot, channel->snapshot_position);
	sub->cursor = channel->snapshot_position;
	qms_hub.counters.snapshots++;
	qms_client_say(client, &put);
	return true;
}

/* Send what the subscriber has not got, while it is at ease; false: it is told to go. */
bool
qms_sub_deliver(QmsSub *sub)
{
	QmsChannel *channel = sub->channel;
	QmsClient  *client = sub->client;
	bool		with_id = client->kind == QMS_CONN_SSE && client->nsubs == 1;
	bool		sent = false;

	while (sub->state == QMS_SUB_LIVE && qms_sub_is_behind(sub) && qms_client_at_ease(client))
	{
		QmsFrame   *frame;
		int64_t		to = sub->cursor;

		if (sub->cursor < channel->floor || sub->cursor < channel->renew)
		{
			if (!qms_channel_is_state(channel))
			{
				qms_hub.counters.slow++;
				qms_client_disconnect(client, QMS_DISCONNECT_SLOW);
				return false;
			}
			if (!deliver_snapshot(sub))
				return true;
			continue;
		}
		frame = qms_ring_frame(channel, client, with_id, sub->cursor, &to);
		qms_client_write(client, frame);
		qms_frame_unref(frame);
		sub->cursor = to;
		sent = true;
		if (client->behind_since == 0)
			qms_hub.counters.direct++;
		else
			qms_hub.counters.late++;
	}
	if (client->state == QMS_CLIENT_GONE)
		return false;
	if (sent && client->kind == QMS_CONN_SSE && !with_id)
		qms_client_tell_id(client);
	if (qms_sub_is_behind(sub) && !qms_client_at_ease(client))
	{
		qms_conn_want(client->conn);
		if (client->behind_since == 0)
		{
			client->behind_since = qms_now_ms();
			qms_client_schedule(client);
		}
	}
	return true;
}

/* Answer its subscribe command, if everything is there and the client can take it. */
static void
start(QmsSub *sub)
{
	QmsClient  *client = sub->client;
	QmsPut		put;

	if (sub->server_side)
	{
		qms_client_settled(client);
		return;
	}
	if (!qms_sub_is_ready(sub))
	{
		qms_hub_busy();
		return;
	}
	if (!qms_client_at_ease(client))
	{
		qms_conn_want(client->conn);
		return;
	}
	qms_client_put(client, &put);
	qms_put_reply(&put, sub->command_id, "subscribe", 6);
	qms_sub_result(sub, &put);
	qms_client_say(client, &put);
	if (client->state != QMS_CLIENT_GONE)
		qms_sub_deliver(sub);
}

/* There is news of the subscriber's channel.  The sub may be gone after it. */
void
qms_sub_visit(QmsSub *sub)
{
	if (sub->client->state == QMS_CLIENT_GONE)
		return;
	switch (sub->state)
	{
		case QMS_SUB_CHECKING:
			break;
		case QMS_SUB_LOADING:
			start(sub);
			break;
		case QMS_SUB_LIVE:
			if (sub->generation != sub->channel->generation)
			{
				qms_sub_end(sub, QMS_UNSUBSCRIBE_INSUFFICIENT_STATE,
							qms_code_text(QMS_UNSUBSCRIBE_INSUFFICIENT_STATE));
				break;
			}
			if (sub->history != NULL)
				qms_client_history_answer(sub);
			qms_sub_deliver(sub);
			break;
	}
}
