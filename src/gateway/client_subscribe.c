/*
 * client_subscribe.c
 *		subscribe, unsubscribe, sub_refresh, and what the database says to them.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

/* The client asks for a channel. */
void
qms_client_subscribe(QmsClient *client, const QmsCommand *command)
{
	int			code = QMS_OK;
	QmsSub	   *sub;

	if (command->channel == NULL)
		code = QMS_ERROR_BAD_REQUEST;
	else if (qms_channel_kind(command->channel) == QMS_CHANNEL_KINDS)
		code = QMS_ERROR_UNKNOWN_CHANNEL;
	else if (qms_client_sub(client, command->channel) != NULL)
		code = QMS_ERROR_ALREADY_SUBSCRIBED;
	else if (!qms_sub_may_be_made(client, command->channel))
		code = QMS_ERROR_LIMIT_EXCEEDED;
	if (code != QMS_OK)
	{
		qms_client_error(client, command->id, code);
		return;
	}
	sub = qms_sub_new(client, command->channel, &command->place);
	sub->command_id = command->id;
	sub->token = command->token == NULL ? NULL : qms_hub_copy(command->token);
	sub->data = command->data == NULL ? NULL : qms_hub_copy(command->data);
	qms_sub_ask(sub);
}

/* The client does not want a channel any more. */
void
qms_client_unsubscribe(QmsClient *client, const QmsCommand *command)
{
	QmsPut		put;
	QmsSub	   *sub;

	if (command->channel == NULL)
	{
		qms_client_error(client, command->id, QMS_ERROR_BAD_REQUEST);
		return;
	}
	sub = qms_client_sub(client, command->channel);
	if (sub != NULL && sub->state != QMS_SUB_LIVE)
		qms_sub_refuse(sub, QMS_ERROR_INTERNAL);
	else if (sub != NULL)
		qms_sub_free(sub);
	qms_client_put(client, &put);
	qms_put_reply(&put, command->id, "unsubscribe", 7);
	qms_client_say(client, &put);
}

/* A new token for a subscription. */
void
qms_client_sub_refresh(QmsClient *client, const QmsCommand *command)
{
	QmsSub	   *sub = command->channel == NULL ? NULL : qms_client_sub(client, command->channel);

	if (sub == NULL || sub->state != QMS_SUB_LIVE)
	{
		qms_client_error(client, command->id, command->channel == NULL ? QMS_ERROR_BAD_REQUEST :
						 QMS_ERROR_PERMISSION_DENIED);
		return;
	}
	if (command->token == NULL || (sub->check != NULL && sub->check->kind == QMS_CHECK_SUB_REFRESH))
	{
		qms_client_error(client, command->id, QMS_ERROR_BAD_REQUEST);
		return;
	}
	qms_check_forget(sub->check);
	sub->check = qms_check_new(QMS_CHECK_SUB_REFRESH);
	sub->check->sub = sub;
	sub->check->token = qms_hub_copy(command->token);
	sub->check->command_id = command->id;
	qms_check_ask(sub->check);
}

/* When the right of a subscription with a token of its own ends. */
static void
set_expiry(QmsSub *sub, const QmsAnswer *answer)
{
	sub->expires_at = sub->token == NULL ? 0 : answer->expires_at;
	if (sub->expires_at != 0)
		qms_client_schedule(sub->client);
}

/* To a subscribe command. */
static void
first_answer(QmsSub *sub, const QmsAnswer *answer)
{
	if (answer->code >= 3000 && sub->token == NULL)
		qms_client_disconnect(sub->client, answer->code);
	else if (answer->code != QMS_OK || answer->canonical == NULL)
		qms_sub_refuse(sub, answer->code >= 3000 ? QMS_ERROR_PERMISSION_DENIED :
					   answer->code == QMS_OK ? QMS_ERROR_UNKNOWN_CHANNEL : answer->code);
	else
	{
		qms_channel_index(sub->channel, answer->canonical, answer->organization_id);
		set_expiry(sub, answer);
		sub->state = QMS_SUB_LOADING;
		qms_sub_visit(sub);
	}
}

/* To a recheck. */
static void
again_answer(QmsSub *sub, const QmsAnswer *answer)
{
	if (answer->code == QMS_OK && answer->canonical != NULL)
	{
		qms_channel_index(sub->channel, answer->canonical, answer->organization_id);
		set_expiry(sub, answer);
	}
	else if (answer->code == QMS_ERROR_TOKEN_EXPIRED)
		qms_sub_end(sub, QMS_UNSUBSCRIBE_EXPIRED, qms_code_text(QMS_UNSUBSCRIBE_EXPIRED));
	else if (answer->code != QMS_ERROR_INTERNAL)
		qms_sub_end(sub, QMS_UNSUBSCRIBE_SERVER, qms_code_text(answer->code == QMS_OK ?
															   QMS_ERROR_UNKNOWN_CHANNEL : answer->code));
}

/* To a sub_refresh command. */
static void
refresh_answer(QmsSub *sub, QmsCheck *check, const QmsAnswer *answer)
{
	QmsPut		put;

	if (answer->code != QMS_OK)
	{
		qms_client_error(sub->client, check->command_id,
						 answer->code >= 3000 ? QMS_ERROR_PERMISSION_DENIED : answer->code);
		return;
	}
	free(sub->token);
	sub->token = check->token;
	check->token = NULL;
	sub->own_right = true;
	set_expiry(sub, answer);
	qms_client_put(sub->client, &put);
	qms_put_reply(&put, check->command_id, "sub_refresh", 15);
	qms_put_expiry(&put, 1, sub->expires_at, qms_now_unix());
	qms_client_say(sub->client, &put);
}

/* What the database says of a subscription. */
void
qms_sub_answer(QmsSub *sub, QmsCheck *check, const QmsAnswer *answer)
{
	if (sub->client->state == QMS_CLIENT_GONE)
		return;
	if (check->kind == QMS_CHECK_SUB_REFRESH)
		refresh_answer(sub, check, answer);
	else if (sub->state == QMS_SUB_CHECKING)
		first_answer(sub, answer);
	else
		again_answer(sub, answer);
}

/* Everybody may not read it: those with a token are asked for themselves. */
static void
not_public(QmsSub *sub, const QmsAnswer *answer)
{
	if (sub->client->state == QMS_CLIENT_GONE)
		return;
	if (sub->client->token != NULL && answer->code != QMS_ERROR_INTERNAL)
	{
		sub->own_right = true;
		if (sub->check != NULL)
			return;
		sub->check = qms_check_new(QMS_CHECK_SUBSCRIBE);
		sub->check->sub = sub;
		qms_check_ask(sub->check);
	}
	else if (sub->state == QMS_SUB_CHECKING)
		first_answer(sub, answer);
	else
		again_answer(sub, answer);
}

/* What the database says of a channel that is perhaps for everybody. */
void
qms_sub_public_answer(QmsChannel *channel, const QmsAnswer *answer)
{
	bool		is_public = answer->code == QMS_OK && answer->canonical != NULL;
	QmsSub	   *sub = channel->first;

	channel->known_at = qms_now_ms();
	if (is_public)
	{
		channel->known = QMS_PUBLIC;
		qms_channel_index(channel, answer->canonical, answer->organization_id);
	}
	else if (answer->code != QMS_ERROR_INTERNAL || channel->known != QMS_PUBLIC)
		channel->known = QMS_NOT_PUBLIC;
	while (sub != NULL)
	{
		QmsSub	   *next = sub->next;

		if (sub->own_right)
			;
		else if (!is_public)
			not_public(sub, answer);
		else if (sub->state == QMS_SUB_CHECKING)
			sub->state = QMS_SUB_LOADING;
		sub = next;
	}
	if (is_public)
		qms_fanout_channel(channel);
}
