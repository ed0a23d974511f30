/*
 * sub.c
 *		Subscriptions: made, asked for, ended.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

/* Is the name a channel's, not subscribed yet, and is there room? */
bool
qms_sub_may_be_made(const QmsClient *client, const char *channel)
{
	return qms_channel_kind(channel) != QMS_CHANNEL_KINDS &&
		client->nsubs < qms_hub.max_subscriptions &&
		qms_hub.counters.subscriptions < QMS_MAX_SUBS &&
		qms_client_sub(client, channel) == NULL;
}

/* A subscription that is not asked for yet. */
QmsSub *
qms_sub_new(QmsClient *client, const char *channel, const QmsPlace *place)
{
	QmsSub	   *sub = qms_alloc(sizeof(QmsSub));
	QmsSub	  **last;

	sub->client = client;
	sub->began = qms_now_ms();
	if (place->recover)
	{
		sub->epoch = qms_hub_copy(place->epoch);
		sub->cursor = place->offset;
	}
	for (last = &client->subs; *last != NULL;)
		last = &(*last)->next_of_client;
	*last = sub;
	client->nsubs++;
	qms_hub.counters.subscriptions++;
	qms_channel_attach(qms_channel_get(client->db, channel), sub);
	return sub;
}

/* Ask the database for the subscription's own right. */
static void
ask_own(QmsSub *sub)
{
	sub->own_right = true;
	sub->check = qms_check_new(QMS_CHECK_SUBSCRIBE);
	sub->check->sub = sub;
	qms_check_ask(sub->check);
}

/* Ask whether the client may have it; what everybody may read is asked once for all. */
void
qms_sub_ask(QmsSub *sub)
{
	QmsChannel *channel = sub->channel;

	if (sub->token != NULL || sub->data != NULL ||
		(channel->kind != QMS_DISPLAY && channel->kind != QMS_QUEUE && channel->kind != QMS_SYSTEM))
		ask_own(sub);
	else if (channel->known == QMS_PUBLIC && qms_now_ms() - channel->known_at < QMS_RECHECK_MS)
	{
		sub->state = QMS_SUB_LOADING;
		if (!sub->server_side)
			qms_sub_visit(sub);
	}
	else
		qms_recheck_public(channel);
}

/* Nothing of it remains. */
void
qms_sub_free(QmsSub *sub)
{
	QmsClient  *client = sub->client;
	QmsSub	  **at;

	for (at = &client->subs; *at != sub;)
		at = &(*at)->next_of_client;
	*at = sub->next_of_client;
	client->nsubs--;
	qms_hub.counters.subscriptions--;
	qms_channel_detach(sub);
	qms_check_forget(sub->check);
	free(sub->history);
	free(sub->epoch);
	free(sub->token);
	free(sub->data);
	free(sub);
}

/* The code that ends a connection whose subscriptions cannot be ended alone. */
static int
disconnect_code(int code)
{
	switch (code)
	{
		case QMS_UNSUBSCRIBE_INSUFFICIENT_STATE:
			return QMS_DISCONNECT_INSUFFICIENT_STATE;
		case QMS_UNSUBSCRIBE_EXPIRED:
		case QMS_ERROR_TOKEN_EXPIRED:
			return QMS_DISCONNECT_EXPIRED;
		case QMS_ERROR_INTERNAL:
			return QMS_DISCONNECT_SERVER_ERROR;
		default:
			return QMS_DISCONNECT_PERMISSION_DENIED;
	}
}

/* End a subscription that the client has; the sub is gone, or its client is told to go. */
void
qms_sub_end(QmsSub *sub, int code, const char *reason)
{
	QmsClient  *client = sub->client;
	QmsPut		put;

	/* Only for subscriptions of its own an SDK subscribes again. */
	if (client->kind != QMS_CONN_WS || (sub->server_side && code >= QMS_UNSUBSCRIBE_INSUFFICIENT_STATE))
	{
		qms_client_disconnect(client, disconnect_code(code));
		return;
	}
	qms_client_put(client, &put);
	qms_put_unsubscribe(&put, sub->channel->name, code, reason);
	qms_sub_free(sub);
	qms_client_say(client, &put);
}

/* The client does not get the subscription that it asked for. */
void
qms_sub_refuse(QmsSub *sub, int code)
{
	QmsClient  *client = sub->client;
	uint32_t	id = sub->command_id;

	if (!sub->server_side)
	{
		qms_sub_free(sub);
		qms_client_error(client, id, code);
	}
	else if (client->kind != QMS_CONN_WS)
		qms_client_disconnect(client, disconnect_code(code));
	else
	{
		qms_sub_free(sub);
		qms_client_settled(client);
	}
}
