/*
 * echo_hub.c
 *		Stands in for the hub in the tests of the transport: it echoes messages, and
 *		does what some of them say.
 *
 *		close CODE REASON	the connection is closed so
 *		big N				a message of N bytes
 *		many N				N messages "1" ... "N", whether the socket takes them or not
 *		polite N			the same, but only while it is clear
 *		all N SIZE			N messages of SIZE bytes to everybody, each to all at once, as in a fan-out:
 *							"1 xx...", "2 xx..."; the client goes after the first that it gets, if it was "fickle"
 *		fickle				see there
 *		busy MS				the loop is kept for MS milliseconds
 *		about				what the hub was told when the client came
 *		left				how many clients have gone so far
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>

struct QmsClient
{
	QmsConn    *conn;
	QmsConnKind kind;
	QmsForm		form;
	QmsText		about;
	int			next;			/* of "polite" */
	int			last;
	bool		fickle;
	QmsClient  *after;
	QmsClient  *before;
};

static QmsClient *clients;
static int	left;

/* A text as a message, or as an event of a stream. */
static int
say(QmsClient *client, const char *text, size_t size)
{
	QmsFrame   *frame;
	QmsText		line = {0};
	int			rc;

	if (client->kind == QMS_CONN_SSE)
		qms_text_printf(&line, "data: %.*s\n\n", (int) size, text);
	else
		qms_text_append(&line, text, size);
	frame = qms_frame_new(line.size);
	memcpy(frame->data, line.data, line.size);
	frame->binary = client->form == QMS_FORM_PROTOBUF;
	rc = qms_conn_write(client->conn, frame);
	qms_frame_unref(frame);
	qms_text_free(&line);
	return rc;
}

/* A number as a message. */
static void
say_number(QmsClient *client, int number)
{
	char		text[32];

	say(client, text, snprintf(text, sizeof(text), "%d", number));
}

/* A message for everybody, gathered. */
static void
say_to_all(int number, size_t size)
{
	QmsFrame   *forms[3];		/* text, event, binary */
	QmsClient  *client;
	int			i;

	for (i = 0; i < 3; i++)
	{
		QmsText		text = {0};

		qms_text_printf(&text, "%s%d ", i == 1 ? "data: " : "", number);
		while (text.size < size)
			qms_text_append(&text, "x", 1);
		qms_text_puts(&text, i == 1 ? "\n\n" : "");
		forms[i] = qms_frame_of(&text);
		forms[i]->binary = i == 2;
		qms_text_free(&text);
	}
	qms_send_begin();
	for (client = clients; client != NULL; client = client->after)
	{
		qms_conn_write(client->conn, forms[client->form == QMS_FORM_PROTOBUF ? 2 : client->kind == QMS_CONN_SSE]);
		if (client->fickle)
			qms_conn_close(client->conn, 3000, "fickle");
	}
	qms_send_end();
	for (i = 0; i < 3; i++)
		qms_frame_unref(forms[i]);
}

QmsClient *
qms_client_open(QmsConn *conn, const QmsOpening *opening)
{
	QmsClient  *client;
	int			i;

	if (opening->nchannels > 0 && strcmp(opening->channels[0], "refuse") == 0)
		return NULL;
	client = calloc(1, sizeof(*client));
	client->conn = conn;
	client->kind = opening->kind;
	client->form = opening->form;
	client->after = clients;
	if (clients != NULL)
		clients->before = client;
	clients = client;
	qms_text_printf(&client->about, "kind=%d%s host=%s address=%s origin=%s token=%s last=%s", (int) opening->kind,
					opening->form == QMS_FORM_PROTOBUF ? " protobuf" : "",
					opening->host ? opening->host : "-", opening->address, opening->origin ? opening->origin : "-",
					opening->token ? opening->token : "-", opening->last_event_id ? opening->last_event_id : "-");
	for (i = 0; i < opening->nchannels; i++)
		qms_text_printf(&client->about, " channel=%s", opening->channels[i]);
	if (opening->kind != QMS_CONN_WS)
		say(client, client->about.data, client->about.size);
	if (opening->nchannels > 0 && strncmp(opening->channels[0], "many:", 5) == 0)
	{
		client->last = atoi(opening->channels[0] + 5);
		qms_conn_want(conn);
	}
	if (opening->nchannels > 0 && strcmp(opening->channels[0], "end") == 0)
		qms_conn_close(conn, 3001, "shutdown");
	return client;
}

void
qms_client_message(QmsClient *client, const char *text, size_t size)
{
	char	   *copy = malloc(size + 1);
	char	   *word;
	int			i,
				n;

	memcpy(copy, text, size);
	copy[size] = '\0';
	word = strchr(copy, ' ');
	n = word == NULL ? 0 : atoi(word + 1);
	if (strncmp(copy, "close ", 6) == 0)
		qms_conn_close(client->conn, n, strchr(word + 1, ' ') ? strchr(word + 1, ' ') + 1 : NULL);
	else if (strncmp(copy, "big ", 4) == 0)
	{
		char	   *big = malloc(n);

		memset(big, 'x', n);
		say(client, big, n);
		free(big);
	}
	else if (strncmp(copy, "many ", 5) == 0)
		for (i = 1; i <= n; i++)
			say_number(client, i);
	else if (strncmp(copy, "polite ", 7) == 0)
	{
		client->last = n;
		qms_client_writable(client);
	}
	else if (strncmp(copy, "all ", 4) == 0)
		for (i = 1; i <= n; i++)
			say_to_all(i, atoi(strchr(word + 1, ' ')));
	else if (strcmp(copy, "fickle") == 0)
		client->fickle = true;
	else if (strncmp(copy, "busy ", 5) == 0)
		usleep(n * 1000);
	else if (strcmp(copy, "about") == 0)
		say(client, client->about.data, client->about.size);
	else if (strcmp(copy, "left") == 0)
		say_number(client, left);
	else
		say(client, text, size);
	free(copy);
}

void
qms_client_bad_request(QmsClient *client)
{
	qms_conn_close(client->conn, 3501, "bad request");
}

void
qms_client_writable(QmsClient *client)
{
	while (client->next < client->last && qms_conn_is_clear(client->conn))
		say_number(client, ++client->next);
	if (client->next < client->last)
		qms_conn_want(client->conn);
}

void
qms_client_closed(QmsClient *client)
{
	left++;
	if (client->before != NULL)
		client->before->after = client->after;
	else
		clients = client->after;
	if (client->after != NULL)
		client->after->before = client->before;
	qms_text_free(&client->about);
	free(client);
}

void
qms_hub_init(const QmsConfig *config, struct uv_loop_s *loop)
{
	(void) config;
	(void) loop;
}

void
qms_hub_reload(const QmsConfig *config)
{
	(void) config;
}

void
qms_hub_stop(void)
{
	QmsClient  *client;

	for (client = clients; client != NULL; client = client->after)
		qms_conn_close(client->conn, 3001, "shutdown");
}

void
qms_hub_metrics(QmsText *out)
{
	(void) out;
}

bool
qms_hub_metrics_ask(void (*done) (void))
{
	(void) done;
	return true;
}

bool
qms_hub_ready(void)
{
	return true;
}

void
qms_hub_status(QmsHubStatus *status)
{
	status->connections = left;
}

void
qms_hub_databases_json(QmsText *out)
{
	qms_text_puts(out, "[]");
}
