/*
 * fake_client.c
 *		Connections that are played, and at their other end people who notice every
 *		publication that is missing, twice or out of order.
 */
#include "hub_fake.h"
#include "transcode.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

QmsForm		fake_form;
int			fake_jam;

/* The subscription to a channel, made if need be. */
FakeSub *
fake_sub(QmsConn *conn, const char *channel)
{
	int			i;

	for (i = 0; i < conn->nsubs; i++)
		if (strcmp(conn->subs[i].channel, channel) == 0)
			return &conn->subs[i];
	CHECK(conn->nsubs < FAKE_SUBS);
	memset(&conn->subs[conn->nsubs], 0, sizeof(FakeSub));
	snprintf(conn->subs[conn->nsubs].channel, FAKE_CHANNEL, "%s", channel);
	return &conn->subs[conn->nsubs++];
}

/* Is there an event of the channel in (after, before)? */
static int64_t
missing(const char *channel, int64_t after, int64_t before)
{
	int			i;

	for (i = 0; i < fake_db.nevents; i++)
		if (fake_db.events[i].position > after && fake_db.events[i].position < before &&
			fake_is_of(&fake_db.events[i], channel))
			return fake_db.events[i].position;
	return 0;
}

/* A publication must be the next one of its channel. */
static void
take_publication(FakeSub *sub, json_t *publication)
{
	int64_t		offset = json_integer_value(json_object_get(publication, "offset"));
	json_t	   *data = json_object_get(publication, "data");
	const char *kind = json_string_value(json_object_get(data, "kind"));

	CHECK(kind != NULL);
	CHECK(json_integer_value(json_object_get(data, "position")) == offset);
	if (offset <= sub->offset)
		fail("%s: %" PRId64 " came after %" PRId64, sub->channel, offset, sub->offset);
	if (strcmp(kind, "snapshot") == 0)
	{
		/* Instead of what was missed, on channels whose state is enough. */
		CHECK(strncmp(sub->channel, "display", 7) == 0 || strncmp(sub->channel, "queue", 5) == 0);
		sub->snapshots++;
	}
	else if (missing(sub->channel, sub->offset, offset) != 0)
		fail("%s: %" PRId64 " is missing between %" PRId64 " and %" PRId64, sub->channel,
			 missing(sub->channel, sub->offset, offset), sub->offset, offset);
	sub->offset = offset;
	sub->received++;
}

/* The result of a subscribe. */
static void
take_result(FakeSub *sub, json_t *result)
{
	int64_t		offset = json_integer_value(json_object_get(result, "offset"));
	const char *epoch = json_string_value(json_object_get(result, "epoch"));
	json_t	   *data = json_object_get(result, "data");
	json_t	   *publication;
	size_t		i;

	CHECK(epoch != NULL);
	CHECK(json_is_true(json_object_get(result, "recoverable")));
	if (json_is_true(json_object_get(result, "recovered")))
	{
		CHECK(data == NULL);
		CHECK(sub->was_live);
		CHECK(strcmp(sub->epoch, epoch) == 0);
		json_array_foreach(json_object_get(result, "publications"), i, publication)
			take_publication(sub, publication);
		CHECK(offset >= sub->offset);
		if (missing(sub->channel, sub->offset, offset + 1) != 0)
			fail("%s: recovered, but %" PRId64 " is missing", sub->channel, missing(sub->channel, sub->offset, offset + 1));
	}
	else
	{
		CHECK(json_is_object(data));
		CHECK(json_integer_value(json_object_get(data, "position")) == offset);
		CHECK(json_object_get(result, "publications") == NULL);
		CHECK(json_is_true(json_object_get(result, "was_recovering")) == sub->was_live);
	}
	sub->offset = offset;
	snprintf(sub->epoch, sizeof(sub->epoch), "%s", epoch);
	sub->is_live = sub->was_live = true;
	sub->asked = false;
}

/* A push. */
static void
take_push(QmsConn *conn, json_t *push)
{
	const char *channel = json_string_value(json_object_get(push, "channel"));
	json_t	   *publication = json_object_get(push, "pub");
	json_t	   *connect = json_object_get(push, "connect");
	const char *name;
	json_t	   *value;

	if (publication != NULL)
	{
		FakeSub    *sub = fake_sub(conn, channel);

		/* Until its unsubscribe is answered, some may be on their way. */
		CHECK(sub->is_live || sub->leaving != 0);
		if (sub->is_live)
			take_publication(sub, publication);
	}
	else if (json_object_get(push, "unsubscribe") != NULL)
	{
		/* It may have been on its way while the client said unsubscribe. */
		CHECK(channel != NULL);
		fake_sub(conn, channel)->is_live = false;
		conn->error = (int) json_integer_value(json_object_get(json_object_get(push, "unsubscribe"), "code"));
	}
	else if (connect != NULL)
	{
		conn->is_connected = true;
		json_object_foreach(json_object_get(connect, "subs"), name, value)
			take_result(fake_sub(conn, name), value);
	}
	else
		CHECK(json_object_get(push, "disconnect") != NULL);
}

/* A reply. */
static void
take_reply(QmsConn *conn, json_t *reply)
{
	uint32_t	id = (uint32_t) json_integer_value(json_object_get(reply, "id"));
	json_t	   *error = json_object_get(reply, "error");
	json_t	   *connect = json_object_get(reply, "connect");
	json_t	   *result = json_object_get(reply, "subscribe");
	const char *name;
	json_t	   *value;
	int			i;

	if (error != NULL)
		conn->error = (int) json_integer_value(json_object_get(error, "code"));
	if (connect != NULL)
	{
		conn->is_connected = true;
		json_object_foreach(json_object_get(connect, "subs"), name, value)
			take_result(fake_sub(conn, name), value);
	}
	for (i = 0; i < conn->nsubs; i++)
	{
		if (conn->subs[i].leaving == id)
			conn->subs[i].leaving = 0;
		if (!conn->subs[i].asked || conn->subs[i].id != id)
			continue;
		CHECK(result != NULL || error != NULL);
		conn->subs[i].asked = false;
		if (result != NULL)
			take_result(&conn->subs[i], result);
	}
}

/* One JSON text. */
static void
take_text(QmsConn *conn, const char *text, size_t size)
{
	json_t	   *root = json_loadb(text, size, 0, NULL);

	if (fake_loud)
		printf("# %p < %.*s\n", (void *) conn, (int) size, text);
	if (!json_is_object(root))
		fail("not JSON: %.*s", (int) size, text);
	if (json_object_size(root) == 0)
	{
		if (conn->answers && conn->kind == QMS_CONN_WS)
			conn->wants = true;	/* the pong comes with the next step */
	}
	else if (conn->kind != QMS_CONN_WS)
		take_push(conn, root);
	else if (json_object_get(root, "push") != NULL)
		take_push(conn, json_object_get(root, "push"));
	else
		take_reply(conn, root);
	json_decref(root);
}

/* A message of the hub. */
static void
take_message(QmsConn *conn, const QmsFrame *frame)
{
	const char *at;
	const char *end;

	CHECK(frame->binary == (conn->form == QMS_FORM_PROTOBUF));
	free(conn->last);
	conn->last = frame->binary ? transcode_replies((const char *) frame->data, frame->size) :
		strndup((const char *) frame->data, frame->size);
	CHECK(conn->last != NULL);
	at = conn->last;
	end = at + strlen(at);
	CHECK(frame->binary || strlen(at) == frame->size);
	conn->messages++;
	while (at < end)
	{
		const char *eol = memchr(at, '\n', end - at);

		if (eol == NULL)
			eol = end;
		CHECK(conn->kind == QMS_CONN_SSE || eol > at);
		if (conn->kind != QMS_CONN_SSE)
			take_text(conn, at, eol - at);
		else if (strncmp(at, "data: ", 6) == 0)
			take_text(conn, at + 6, eol - at - 6);
		at = eol + 1;
	}
}

/* What the hub calls. */
bool
qms_conn_is_clear(const QmsConn *conn)
{
	return conn->is_clear;
}

int
qms_conn_write(QmsConn *conn, QmsFrame *frame)
{
	CHECK(conn->client == NULL || conn->is_open);
	CHECK(!conn->is_closing);
	CHECK(conn->is_clear);
	take_message(conn, frame);
	if (fake_jam > 0 && fake_random(fake_jam) == 0)
		conn->is_clear = false;
	return 0;
}

/* Here a write is a write. */
void
qms_send_begin(void)
{
}

void
qms_send_end(void)
{
}

void
qms_conn_want(QmsConn *conn)
{
	conn->wants = true;
}

void
qms_conn_close(QmsConn *conn, int code, const char *reason)
{
	CHECK(reason != NULL);
	CHECK(!conn->is_closing);
	conn->is_closing = true;
	conn->close_code = code;
}

/* Somebody connects. */
void
fake_open(QmsConn *conn, QmsConnKind kind, const char *channel, const char *event_id, const char *token)
{
	QmsOpening	opening;

	memset(&opening, 0, sizeof(opening));
	opening.kind = kind;
	opening.form = kind != QMS_CONN_WS ? QMS_FORM_JSON : fake_form == QMS_FORMS ? (QmsForm) fake_random(2) : fake_form;
	opening.host = "localhost:8080";
	opening.address = "192.0.2.7";
	opening.token = token;
	opening.last_event_id = event_id;
	if (channel != NULL)
		opening.channels[opening.nchannels++] = channel;
	conn->kind = kind;
	conn->form = opening.form;
	conn->is_open = conn->is_clear = conn->answers = true;
	conn->is_closing = conn->wants = conn->is_connected = false;
	conn->close_code = conn->error = 0;
	conn->client = qms_client_open(conn, &opening);
	CHECK(conn->client != NULL);
}

/* The connection breaks. */
void
fake_cut(QmsConn *conn)
{
	int			i;

	if (!conn->is_open)
		return;
	conn->is_open = false;
	qms_client_closed(conn->client);
	conn->client = NULL;
	for (i = 0; i < conn->nsubs; i++)
	{
		conn->subs[i].is_live = conn->subs[i].asked = false;
		conn->subs[i].leaving = 0;
	}
	free(conn->last);
	conn->last = NULL;
}

/* A message of a client. */
void
fake_say(QmsConn *conn, const char *format,...)
{
	char		text[20000];
	va_list		args;
	size_t		size;
	char	   *exact = NULL;

	if (!conn->is_open || conn->is_closing)
		return;
	va_start(args, format);
	size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fake_loud)
		printf("# %p > %s\n", (void *) conn, text);
	if (conn->form == QMS_FORM_PROTOBUF)
		exact = transcode_commands(text, size, &size);
	if (exact == NULL)
	{
		exact = malloc(size);
		memcpy(exact, text, size);
	}
	qms_client_message(conn->client, exact, size);
	free(exact);
}

/* As an SDK does it: with the place that it knows. */
void
fake_subscribe(QmsConn *conn, const char *channel, const char *extra)
{
	FakeSub    *sub = fake_sub(conn, channel);

	if (sub->asked || sub->is_live)
		return;
	sub->asked = true;
	sub->id = ++conn->last_id + 1;
	conn->last_id++;
	if (sub->was_live)
		fake_say(conn, "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\",\"recover\":true,\"epoch\":\"%s\",\"offset\":%" PRId64 "%s}}",
				 sub->id, channel, sub->epoch, sub->offset, extra);
	else
		fake_say(conn, "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"%s}}", sub->id, channel, extra);
}

/* Not any more. */
void
fake_unsubscribe(QmsConn *conn, const char *channel)
{
	FakeSub    *sub = fake_sub(conn, channel);

	sub->is_live = sub->asked = false;
	sub->leaving = ++conn->last_id;
	fake_say(conn, "{\"id\":%u,\"unsubscribe\":{\"channel\":\"%s\"}}", sub->leaving, channel);
}

/* The hub is told that the connection is clear, if it wants to know. */
void
fake_writable(QmsConn *conn)
{
	if (!conn->is_open || conn->is_closing || !conn->is_clear || !conn->wants)
		return;
	conn->wants = false;
	qms_client_writable(conn->client);
}

/* The kernel took what there was. */
void
fake_unjam(QmsConn *conn)
{
	if (conn->is_open)
		conn->is_clear = true;
	fake_writable(conn);
}

/* Everything is quiet: whoever is subscribed has all there is. */
void
fake_check_complete(QmsConn *conn)
{
	int			i;

	for (i = 0; i < conn->nsubs && conn->is_open; i++)
	{
		const FakeSub *sub = &conn->subs[i];

		CHECK(!sub->asked);
		if (sub->is_live && strcmp(sub->epoch, fake_epoch()) != 0)
			fail("%s is still in epoch %s", sub->channel, sub->epoch);
		if (sub->is_live && missing(sub->channel, sub->offset, INT64_MAX) != 0)
			fail("%s has only come to %" PRId64 ", not to %" PRId64, sub->channel, sub->offset,
				 missing(sub->channel, sub->offset, INT64_MAX));
	}
}
