/*
 * client.c
 *		Clients: coming, speaking, going.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

/* Who spoke: sixteen random bytes as the text of a uuid. */
static void
make_id(char *id)
{
	unsigned char b[16];
	int			i;

	if (uv_random(NULL, NULL, b, sizeof(b), 0, NULL) != 0)
		for (i = 0; i < 16; i++)
			b[i] = (unsigned char) rand();
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(id, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
			 b[13], b[14], b[15]);
}

/* The commands a client may say at once: its subscriptions, and two seconds' worth. */
static int
most_allowance(void)
{
	return qms_hub.max_subscriptions + 2 * qms_hub.max_commands_per_second;
}

/* The places from which SSE goes on: "epoch:position". */
static void
read_event_id(const char *event_id, QmsPlace *place, char *epoch, size_t size)
{
	const char *colon = event_id == NULL ? NULL : strrchr(event_id, ':');

	memset(place, 0, sizeof(*place));
	place->epoch = "";
	if (colon == NULL || (size_t) (colon - event_id) >= size)
		return;
	memcpy(epoch, event_id, colon - event_id);
	epoch[colon - event_id] = '\0';
	place->recover = true;
	place->epoch = epoch;
	place->offset = strtoll(colon + 1, NULL, 10);
	if (place->offset < 0)
		place->offset = 0;
}

/* One that need not say connect: its channels are in the address. */
static void
connect_opened(QmsClient *client, const QmsOpening *opening)
{
	QmsCommandSub subs[QMS_OPENING_CHANNELS];
	QmsCommand	command;
	char		epoch[QMS_EPOCH_SIZE];
	QmsPlace	place;
	int			i;

	read_event_id(opening->last_event_id, &place, epoch, sizeof(epoch));
	memset(&command, 0, sizeof(command));
	command.kind = QMS_COMMAND_CONNECT;
	command.subs = subs;
	for (i = 0; i < opening->nchannels && i < QMS_OPENING_CHANNELS; i++)
	{
		subs[i].channel = opening->channels[i];
		subs[i].place = place;
		command.nsubs++;
	}
	qms_client_connect(client, &command);
}

/* Somebody connected. */
QmsClient *
qms_client_open(QmsConn *conn, const QmsOpening *opening)
{
	QmsDatabase *db = qms_hub.stopping ? NULL : qms_hub_database_of(opening->host);
	QmsClient  *client;

	if (db == NULL)
		return NULL;
	client = qms_alloc(sizeof(QmsClient));
	client->conn = conn;
	client->db = db;
	client->kind = opening->kind;
	client->form = opening->form;
	client->token = opening->token == NULL || opening->token[0] == '\0' ||
		strlen(opening->token) > QMS_MAX_TOKEN ? NULL : qms_hub_copy(opening->token);
	client->began = client->allowance_at = qms_now_ms();
	client->allowance = most_allowance();
	snprintf(client->address, sizeof(client->address), "%s", opening->address == NULL ? "" : opening->address);
	make_id(client->id);
	client->next = db->clients;
	if (db->clients != NULL)
		db->clients->prev = client;
	db->clients = client;
	db->nclients++;
	qms_hub.counters.connections++;
	qms_hub.counters.forms[client->form]++;
	if (client->kind == QMS_CONN_SSE || (client->kind == QMS_CONN_UNI_WS && opening->nchannels > 0))
		connect_opened(client, opening);
	qms_client_schedule(client);
	return client;
}

/* The connection is gone: nothing of the client remains. */
void
qms_client_closed(QmsClient *client)
{
	QmsDatabase *db = client->db;

	client->state = QMS_CLIENT_GONE;
	qms_wheel_cancel(&client->timer);
	while (client->subs != NULL)
		qms_sub_free(client->subs);
	qms_check_forget(client->check);
	qms_client_drop_out(client);
	if (db->sweep == client)
		db->sweep = client->next;
	if (client->prev != NULL)
		client->prev->next = client->next;
	else
		db->clients = client->next;
	if (client->next != NULL)
		client->next->prev = client->prev;
	db->nclients--;
	qms_hub.counters.connections--;
	qms_hub.counters.forms[client->form]--;
	free(client->token);
	free(client->subject);
	free(client->backlog);
	free(client);
	qms_hub_let_go(db);
}

/* Tell a client to go; it is freed when the connection is gone. */
void
qms_client_disconnect(QmsClient *client, int code)
{
	QmsPut		put;

	if (client->state == QMS_CLIENT_GONE)
		return;
	qms_count_disconnect(code);
	/* Those who cannot see the close frame's code are told by a push; a browser that was refused asks again later. */
	if (client->kind != QMS_CONN_WS && qms_client_at_ease(client))
	{
		if (client->kind == QMS_CONN_SSE && code >= QMS_DISCONNECT_INVALID_TOKEN)
		{
			qms_text_puts(&qms_hub.scratch, "retry: 60000\n\n");
			qms_client_send(client, qms_frame_of(&qms_hub.scratch));
		}
		qms_client_put(client, &put);
		qms_put_push(&put, NULL);
		qms_put_open(&put, "disconnect", 11);
		qms_put_number(&put, "code", 1, code);
		qms_put_string(&put, "reason", 2, qms_code_text(code));
		qms_client_say(client, &put);
	}
	client->state = QMS_CLIENT_GONE;
	qms_client_drop_out(client);
	qms_client_schedule(client);
	qms_conn_close(client->conn, code, qms_code_text(code));
}

/* May it say one more?  Time gives back what was used. */
static bool
is_allowed(QmsClient *client)
{
	int64_t		now = qms_now_ms();
	int64_t		more = (now - client->allowance_at) * qms_hub.max_commands_per_second / 1000;
	int			most = most_allowance();

	if (more > 0)
	{
		client->allowance = client->allowance + more > most ? most : client->allowance + (int) more;
		client->allowance_at = now;
	}
	client->allowance--;
	return client->allowance >= 0;
}

/* One command of a connected client. */
static void
dispatch(QmsClient *client, const QmsCommand *command)
{
	QmsPut		put;

	switch (command->kind)
	{
		case QMS_COMMAND_SUBSCRIBE:
			qms_client_subscribe(client, command);
			break;
		case QMS_COMMAND_UNSUBSCRIBE:
			qms_client_unsubscribe(client, command);
			break;
		case QMS_COMMAND_REFRESH:
			qms_client_refresh(client, command);
			break;
		case QMS_COMMAND_SUB_REFRESH:
			qms_client_sub_refresh(client, command);
			break;
		case QMS_COMMAND_HISTORY:
			qms_client_history(client, command);
			break;
		case QMS_COMMAND_PRESENCE_STATS:
			qms_client_presence_stats(client, command);
			break;
		case QMS_COMMAND_PING:
			qms_client_put(client, &put);
			qms_put_reply(&put, command->id, "ping", 12);
			qms_client_say(client, &put);
			break;
		case QMS_COMMAND_PUBLISH:
			qms_client_error(client, command->id, QMS_ERROR_PERMISSION_DENIED);
			break;
		case QMS_COMMAND_PRESENCE:
		case QMS_COMMAND_RPC:
			qms_client_error(client, command->id, QMS_ERROR_NOT_AVAILABLE);
			break;
		case QMS_COMMAND_UNKNOWN:
			qms_client_error(client, command->id, QMS_ERROR_METHOD_NOT_FOUND);
			break;
		default:
			/* A message by send has nobody to go to; a second connect was seen to. */
			break;
	}
}

/* One command; false: the client must go. */
static bool
handle(QmsClient *client, const QmsCommand *command)
{
	qms_hub.counters.commands++;
	if (!is_allowed(client))
	{
		qms_hub.counters.refused_commands++;
		if (client->allowance < -most_allowance())
			qms_client_disconnect(client, QMS_DISCONNECT_TOO_MANY_REQUESTS);
		else if (command->id != 0)
			qms_client_error(client, command->id, QMS_ERROR_TOO_MANY_REQUESTS);
		return true;
	}
	if (command->kind == QMS_COMMAND_PONG)
		return true;
	if (command->kind == QMS_COMMAND_CONNECT)
	{
		if (client->state != QMS_CLIENT_NEW)
			return false;
		qms_client_connect(client, command);
		return true;
	}
	if (client->state != QMS_CLIENT_CONNECTED)
		return false;
	dispatch(client, command);
	return true;
}

/* The client does not speak the protocol, or not in its form. */
void
qms_client_bad_request(QmsClient *client)
{
	if (client->state == QMS_CLIENT_GONE)
		return;
	qms_hub.counters.bad_requests++;
	qms_client_disconnect(client, QMS_DISCONNECT_BAD_REQUEST);
}

/* Said before connect was answered (SDKs subscribe in the same frame): kept until then, as it came. */
static bool
keep(QmsClient *client, const char *message, size_t size)
{
	char	   *backlog;

	if (client->backlog_size + size + 1 > QMS_BACKLOG)
		return false;
	backlog = realloc(client->backlog, client->backlog_size + size + 1);
	if (backlog == NULL)
		return false;
	memcpy(backlog + client->backlog_size, message, size);
	client->backlog = backlog;
	client->backlog_size += size;
	if (client->form == QMS_FORM_JSON)
		backlog[client->backlog_size++] = '\n';
	return true;
}

/* A message of a unidirectional client: the first may be a connect request, the others are ignored. */
static void
uni_message(QmsClient *client, const char *text, size_t size)
{
	QmsCommand	command;

	if (client->state != QMS_CLIENT_NEW)
	{
		if (!is_allowed(client) && client->allowance < -most_allowance())
			qms_client_disconnect(client, QMS_DISCONNECT_TOO_MANY_REQUESTS);
		return;
	}
	if (qms_command_parse_connect(&command, text, size))
		qms_client_connect(client, &command);
	else
		qms_client_bad_request(client);
	qms_command_release(&command);
}

/* A whole message: commands. */
void
qms_client_message(QmsClient *client, const char *text, size_t size)
{
	const char *end = text + size;
	const char *begin = text;
	const char *message;
	int			commands = 0;

	if (client->state == QMS_CLIENT_GONE)
		return;
	client->pinged = 0;
	if (client->kind != QMS_CONN_WS)
	{
		uni_message(client, text, size);
		return;
	}
	while (client->state != QMS_CLIENT_GONE && qms_protocol_next(client->form, &text, end, &message, &size))
	{
		QmsCommand	command;
		bool		fine = ++commands <= QMS_MAX_COMMANDS;

		if (fine && (client->state == QMS_CLIENT_CHECKING || client->state == QMS_CLIENT_SETTLING))
			fine = keep(client, begin, text - begin);
		else if (fine)
		{
			fine = qms_command_parse(client->form, &command, message, size) && handle(client, &command);
			qms_command_release(&command);
		}
		if (!fine)
			qms_client_bad_request(client);
		begin = text;
	}
	if (commands == 0 || text < end)
		qms_client_bad_request(client);
}

/* Its subscription to a channel, or null. */
QmsSub *
qms_client_sub(const QmsClient *client, const char *channel)
{
	QmsSub	   *sub;

	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		if (strcmp(sub->channel->name, channel) == 0)
			return sub;
	return NULL;
}

/* What has waited for the database since before that moment is told to try again. */
void
qms_client_fail_waiting(QmsClient *client, int64_t before)
{
	QmsSub	   *sub = client->subs;

	if ((client->state == QMS_CLIENT_CHECKING || client->state == QMS_CLIENT_SETTLING) &&
		client->began < before)
	{
		qms_client_error(client, client->connect_id, QMS_ERROR_INTERNAL);
		qms_client_disconnect(client, QMS_DISCONNECT_SERVER_ERROR);
		return;
	}
	while (sub != NULL)
	{
		QmsSub	   *next = sub->next_of_client;

		if (sub->history != NULL && sub->history->began < before)
		{
			qms_client_error(client, sub->history->command_id, QMS_ERROR_INTERNAL);
			free(sub->history);
			sub->history = NULL;
		}
		if (sub->state != QMS_SUB_LIVE && !sub->server_side && sub->began < before)
			qms_sub_refuse(sub, QMS_ERROR_INTERNAL);
		sub = next;
	}
}
