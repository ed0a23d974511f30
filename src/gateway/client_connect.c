/*
 * client_connect.c
 *		connect and refresh: who a client is, and for how long.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#ifndef QMS_VERSION
#define QMS_VERSION "0"
#endif

/* The client says connect, or its address does. */
void
qms_client_connect(QmsClient *client, const QmsCommand *command)
{
	int			i;

	client->state = QMS_CLIENT_CHECKING;
	client->began = qms_now_ms();
	client->connect_id = command->id;
	if (command->token != NULL)
	{
		free(client->token);
		client->token = qms_hub_copy(command->token);
	}
	for (i = 0; i < command->nsubs; i++)
	{
		if (!qms_sub_may_be_made(client, command->subs[i].channel))
			client->refused = client->kind != QMS_CONN_WS;
		else
			qms_sub_new(client, command->subs[i].channel, &command->subs[i].place)->server_side = true;
	}
	client->check = qms_check_new(QMS_CHECK_CONNECT);
	client->check->client = client;
	qms_check_ask(client->check);
	qms_client_schedule(client);
}

/* The database does not let the client in. */
static void
refuse(QmsClient *client, int code)
{
	if (code >= 3000)
		qms_client_disconnect(client, code);
	else if (client->kind != QMS_CONN_WS)
		qms_client_disconnect(client, code == QMS_ERROR_TOKEN_EXPIRED ? QMS_DISCONNECT_EXPIRED :
							  code == QMS_ERROR_INTERNAL ? QMS_DISCONNECT_SERVER_ERROR : QMS_DISCONNECT_INVALID_TOKEN);
	else
	{
		/* It may try another token on the same connection. */
		qms_client_error(client, client->connect_id, code);
		while (client->subs != NULL)
			qms_sub_free(client->subs);
		free(client->token);
		client->token = NULL;
		free(client->backlog);
		client->backlog = NULL;
		client->backlog_size = 0;
		if (client->state != QMS_CLIENT_GONE)
			client->state = QMS_CLIENT_NEW;
		client->began = qms_now_ms();
		qms_client_schedule(client);
	}
}

/* Is the name one of the lines? */
static bool
is_line(const char *lines, const char *name)
{
	size_t		size = strlen(name);

	while (lines != NULL && *lines != '\0')
	{
		if (strncmp(lines, name, size) == 0 && (lines[size] == '\n' || lines[size] == '\0'))
			return true;
		lines = strchr(lines, '\n');
		if (lines != NULL)
			lines++;
	}
	return false;
}

/* The channels that the token names, besides those that a unidirectional client asked for. */
static void
make_server_side(QmsClient *client, const char *channels)
{
	static const QmsPlace nowhere = {.epoch = ""};
	QmsSub	   *sub = client->subs;
	const char *at = channels;

	while (sub != NULL)
	{
		QmsSub	   *next = sub->next_of_client;

		if (client->kind == QMS_CONN_WS && !is_line(channels, sub->channel->name))
			qms_sub_free(sub);
		sub = next;
	}
	while (at != NULL && *at != '\0')
	{
		char		name[QMS_MAX_CHANNEL_NAME + 1];
		size_t		size = strcspn(at, "\n");

		if (size < sizeof(name))
		{
			memcpy(name, at, size);
			name[size] = '\0';
			if (qms_sub_may_be_made(client, name))
				qms_sub_new(client, name, &nowhere)->server_side = true;
		}
		at += size;
		if (*at == '\n')
			at++;
	}
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		qms_sub_ask(sub);
}

/* What the database says to a connect. */
void
qms_client_connect_answer(QmsClient *client, const QmsAnswer *answer)
{
	if (client->state != QMS_CLIENT_CHECKING)
		return;
	if (answer->code != QMS_OK)
	{
		refuse(client, answer->code);
		return;
	}
	if (client->refused)
	{
		qms_client_disconnect(client, QMS_DISCONNECT_PERMISSION_DENIED);
		return;
	}
	client->organization_id = answer->organization_id;
	client->expires_at = answer->expires_at;
	client->subject = answer->subject == NULL ? NULL : qms_hub_copy(answer->subject);
	client->state = QMS_CLIENT_SETTLING;
	make_server_side(client, answer->channels);
	qms_client_settled(client);
}

/* The inner part of a connect reply; of a connect push, which is for unidirectional clients and so in JSON, too. */
static void
put_connect(QmsClient *client, QmsPut *put)
{
	QmsSub	   *sub;

	qms_put_string(put, "client", 1, client->id);
	qms_put_string(put, "version", 2, "qms " QMS_VERSION);
	qms_put_expiry(put, 3, client->expires_at, qms_now_unix());
	if (qms_hub.ping_interval > 0)
		qms_put_number(put, "ping", 7, qms_hub.ping_interval);
	if (qms_hub.ping_interval > 0 && client->kind == QMS_CONN_WS)
		qms_put_bool(put, "pong", 8, true);
	if (client->subs == NULL)
		return;
	qms_put_map(put, "subs");
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
	{
		qms_put_entry(put, 6, sub->channel->name);
		qms_sub_result(sub, put);
		qms_put_close(put);
	}
}

/* What was said meanwhile. */
static void
replay(QmsClient *client)
{
	char	   *backlog = client->backlog;
	size_t		size = client->backlog_size;

	if (backlog == NULL)
		return;
	client->backlog = NULL;
	client->backlog_size = 0;
	qms_client_message(client, backlog, size);
	free(backlog);
}

/* Is everything there for the answer to connect?  Then it is sent. */
void
qms_client_settled(QmsClient *client)
{
	bool		ready = true;
	QmsPut		put;
	QmsSub	   *sub;

	if (client->state != QMS_CLIENT_SETTLING)
		return;
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		if (sub->state == QMS_SUB_CHECKING || !qms_sub_is_ready(sub))
			ready = false;
	if (!ready)
		return;
	client->state = QMS_CLIENT_CONNECTED;
	qms_hub.counters.connects++;
	qms_client_put(client, &put);
	if (client->kind == QMS_CONN_WS)
		qms_put_reply(&put, client->connect_id, "connect", 5);
	else
	{
		qms_put_push(&put, NULL);
		qms_put_open(&put, "connect", 10);
	}
	put_connect(client, &put);
	qms_client_say(client, &put);
	if (client->kind == QMS_CONN_SSE)
		qms_client_tell_id(client);
	qms_client_start_pings(client);
	for (sub = client->subs; sub != NULL && client->state != QMS_CLIENT_GONE; sub = sub->next_of_client)
		qms_sub_deliver(sub);
	replay(client);
}

/* A new token for the connection. */
void
qms_client_refresh(QmsClient *client, const QmsCommand *command)
{
	if (command->token == NULL || (client->check != NULL && client->check->kind == QMS_CHECK_REFRESH))
	{
		qms_client_error(client, command->id, QMS_ERROR_BAD_REQUEST);
		return;
	}
	qms_check_forget(client->check);
	client->check = qms_check_new(QMS_CHECK_REFRESH);
	client->check->client = client;
	client->check->token = qms_hub_copy(command->token);
	client->check->command_id = command->id;
	qms_check_ask(client->check);
}

/* Is it the same person? */
static bool
is_same(const QmsClient *client, const QmsAnswer *answer)
{
	if (client->token == NULL)
		return true;
	return client->organization_id == answer->organization_id &&
		strcmp(client->subject == NULL ? "" : client->subject, answer->subject == NULL ? "" : answer->subject) == 0;
}

/* What the database says to a refresh. */
void
qms_client_refresh_answer(QmsClient *client, QmsCheck *check, const QmsAnswer *answer)
{
	QmsPut		put;

	if (answer->code >= 3000 || (answer->code == QMS_OK && !is_same(client, answer)))
	{
		qms_client_disconnect(client, answer->code >= 3000 ? answer->code : QMS_DISCONNECT_INVALID_TOKEN);
		return;
	}
	if (answer->code != QMS_OK)
	{
		qms_client_error(client, check->command_id, answer->code);
		return;
	}
	free(client->token);
	client->token = check->token;
	check->token = NULL;
	client->expires_at = answer->expires_at;
	client->organization_id = answer->organization_id;
	free(client->subject);
	client->subject = answer->subject == NULL ? NULL : qms_hub_copy(answer->subject);
	qms_client_put(client, &put);
	qms_put_reply(&put, check->command_id, "refresh", 14);
	qms_put_string(&put, "client", 1, client->id);
	qms_put_string(&put, "version", 2, "qms " QMS_VERSION);
	qms_put_expiry(&put, 3, client->expires_at, qms_now_unix());
	qms_client_say(client, &put);
	qms_client_schedule(client);
}

/* What the database says of a client that has been connected for a while. */
void
qms_client_again_answer(QmsClient *client, const QmsAnswer *answer)
{
	if (answer->code == QMS_OK)
	{
		client->expires_at = answer->expires_at;
		qms_client_schedule(client);
	}
	else if (answer->code == QMS_ERROR_TOKEN_EXPIRED)
		qms_client_disconnect(client, QMS_DISCONNECT_EXPIRED);
	else if (answer->code != QMS_ERROR_INTERNAL)
		qms_client_disconnect(client, answer->code >= 3000 ? answer->code : QMS_DISCONNECT_PERMISSION_DENIED);
}
