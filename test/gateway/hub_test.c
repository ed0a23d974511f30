/*
 * hub_test.c
 *		The hub in a played world: cases one by one, then random lives of many
 *		clients, in which nothing may be missed or come twice.
 *
 *	hub_test            all cases, and some random worlds
 *	hub_test SEED N     N random worlds from that seed on
 *
 * Prints TAP; run it with the sanitizers.
 */
#include "hub_fake.h"

#include <inttypes.h>

static QmsConn conns[64];
static int	ncases;

static void
ok(const char *what)
{
	printf("ok %d - %s%s\n", ++ncases, fake_form == QMS_FORM_PROTOBUF ? "Protobuf: " : "", what);
	fflush(stdout);
}

/* A world with nothing in it. */
static void
begin(int history_size)
{
	static FakeDatabase empty;

	fake_db = empty;
	fake_db.epoch = 1;
	fake_db.last = 100;
	fake_db.pruned = 50;
	fake_db.is_open = fake_db.is_adopted = fake_db.is_public = true;
	fake_jam = 0;
	memset(conns, 0, sizeof(conns));
	fake_start(history_size);
	fake_settle();
}

/* The gateway stops; all connections with it. */
static void
end(void)
{
	size_t		i;

	qms_hub_stop();
	for (i = 0; i < sizeof(conns) / sizeof(conns[0]); i++)
	{
		if (conns[i].is_open)
			CHECK(conns[i].is_closing);
		fake_cut(&conns[i]);
	}
	fake_stop();
}

/* A connected client. */
static QmsConn *
person(int i, const char *token)
{
	QmsConn    *conn = &conns[i];

	fake_open(conn, QMS_CONN_WS, NULL, NULL, NULL);
	if (token == NULL)
		fake_say(conn, "{\"id\":1,\"connect\":{}}");
	else
		fake_say(conn, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token);
	conn->last_id = 1;
	fake_settle();
	return conn;
}

/* So many seconds, in which pings are answered. */
static void
live_on(QmsConn *conn, int seconds)
{
	while (seconds-- > 0 && !conn->is_closing)
	{
		fake_advance(1000);
		fake_say(conn, "{}");
		fake_settle();
	}
}

static void
publish(int n)
{
	while (n-- > 0)
		fake_publish(1, 0, 1, 1, true);
	fake_ring();
	fake_settle();
}

static void
test_subscribe(void)
{
	QmsConn    *conn;
	FakeSub    *sub;

	begin(100);
	conn = person(0, NULL);
	CHECK(conn->is_connected);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	sub = fake_sub(conn, "display:1");
	CHECK(sub->is_live && sub->offset == 100);
	publish(3);
	CHECK(sub->received == 3);
	fake_publish(2, 0, 2, 2, true);
	fake_publish(1, 0, 1, 1, false);
	fake_ring();
	fake_settle();
	CHECK(sub->received == 3);
	fake_check_complete(conn);
	/* Two looks with a doorbell; these events were a moment old. */
	CHECK(qms_hub.counters.arrival.count == 2);
	CHECK(qms_hub.counters.arrival.sum >= 2 * 0.0025 && qms_hub.counters.arrival.sum < 60);
	fake_unsubscribe(conn, "display:1");
	publish(1);
	CHECK(sub->received == 3);
	CHECK(qms_hub.counters.subscriptions == 0);
	end();
	ok("connect, subscribe with a snapshot, publications in order, unsubscribe");
}

static void
test_recovery(void)
{
	QmsConn    *conn;
	FakeSub    *sub;

	begin(10);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	sub = fake_sub(conn, "display:1");
	publish(2);
	fake_cut(conn);
	publish(5);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(sub->is_live && sub->received == 7 && strstr(conn->last, "\"recovered\":true") != NULL);
	fake_cut(conn);
	/* The channel is forgotten; the database has what was missed. */
	fake_advance(QMS_LINGER_MS * 2);
	CHECK(qms_hub.databases->nchannels == 0);
	publish(4);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(sub->is_live && sub->received == 11 && strstr(conn->last, "\"recovered\":true") != NULL);
	fake_cut(conn);
	/* More than is kept. */
	publish(30);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(sub->is_live && sub->received == 11);
	fake_check_complete(conn);
	CHECK(qms_hub.counters.not_recovered == 1 && qms_hub.counters.recovered == 2);
	/* A place that does not exist. */
	fake_cut(conn);
	sub->offset += 1000000;
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(sub->is_live && sub->offset == fake_db.last);
	CHECK(qms_hub.counters.not_recovered == 2);
	end();
	ok("recovery from the ring, from the database, and the verdict that it is not possible");
}

static void
test_rights(void)
{
	QmsConn    *conn;

	begin(10);
	conn = person(0, NULL);
	fake_subscribe(conn, "staff:1", "");
	fake_settle();
	CHECK(conn->error == 103);
	fake_subscribe(conn, "display:404", "");
	fake_settle();
	CHECK(conn->error == 102);
	conn->error = 0;
	fake_subscribe(conn, "display:405", "");
	fake_settle();
	CHECK(conn->error == 102);
	fake_subscribe(conn, "nonsense:1", "");
	CHECK(conn->error == 102);
	fake_subscribe(conn, "visit:7", ",\"data\":{\"token\":\"6\"}");
	fake_settle();
	CHECK(conn->error == 103 && !fake_sub(conn, "visit:7")->is_live);
	fake_subscribe(conn, "visit:7", ",\"data\":{\"token\":\"7\"}");
	fake_settle();
	CHECK(fake_sub(conn, "visit:7")->is_live);
	conn = person(1, "clerk");
	fake_subscribe(conn, "staff:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "staff:1")->is_live);
	conn = person(2, "forged");
	CHECK(conn->is_closing && conn->close_code == 3500);
	end();
	ok("rights: the database decides, for each client by its own token");
}

static void
test_expiry(void)
{
	QmsConn    *conn;

	begin(10);
	fake_db.token_expires = fake_now / 1000 + 100;
	conn = person(0, "clerk");
	CHECK(strstr(conn->last, "\"expires\":true,\"ttl\":90") != NULL);
	fake_subscribe(conn, "staff:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "staff:1")->is_live);
	live_on(conn, (int) (fake_db.token_expires - 1 - fake_now / 1000));
	CHECK(!conn->is_closing);
	fake_advance(1500);
	CHECK(conn->is_closing && conn->close_code == 3005);
	/* A token that has expired already: an error, and another may be tried. */
	conn = person(1, "clerk");
	CHECK(!conn->is_closing && conn->error == 109 && !conn->is_connected);
	fake_db.token_expires = fake_now / 1000 + 20;
	fake_say(conn, "{\"id\":2,\"connect\":{\"token\":\"clerk\"}}");
	fake_settle();
	CHECK(conn->is_connected);
	fake_db.token_expires = fake_now / 1000 + 500;
	fake_say(conn, "{\"id\":3,\"refresh\":{\"token\":\"clerk\"}}");
	fake_settle();
	CHECK(strstr(conn->last, "\"refresh\":{") != NULL);
	live_on(conn, 25);
	CHECK(!conn->is_closing);
	fake_say(conn, "{\"id\":4,\"refresh\":{\"token\":\"somebody else\"}}");
	fake_settle();
	CHECK(conn->is_closing && conn->close_code == 3500);
	end();
	ok("expiry ends a connection within a second; refresh moves it, for the same person");
}

static void
test_revocation(void)
{
	QmsConn    *conn;
	QmsConn    *other;

	begin(10);
	conn = person(0, "clerk");
	other = person(1, NULL);
	fake_subscribe(conn, "staff:1", "");
	fake_subscribe(other, "display:1", "");
	fake_settle();
	fake_db.token_is_revoked = true;
	fake_db.is_public = false;
	publish(1);
	CHECK(fake_sub(conn, "staff:1")->received == 1);
	fake_publish(1, 0, 1, 1, true);
	fake_db.events[fake_db.nevents - 1].recheck = true;
	fake_ring();
	fake_settle();
	fake_advance(300);
	fake_settle();
	CHECK(conn->is_closing && conn->close_code == 3500);
	CHECK(!other->is_closing && other->error == 2000 && !fake_sub(other, "display:1")->is_live);
	/* Without any event, after a minute. */
	fake_db.token_is_revoked = false;
	conn = person(2, "clerk");
	fake_subscribe(conn, "visit:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "visit:1")->is_live);
	fake_db.token_is_revoked = true;
	live_on(conn, 62);
	CHECK(conn->is_closing && conn->close_code == 3500);
	end();
	ok("revocation: at an event that says so, and within a minute without one");
}

static void
test_protocol(void)
{
	QmsConn    *conn;
	int			i;

	begin(10);
	fake_open(&conns[0], QMS_CONN_WS, NULL, NULL, NULL);
	fake_say(&conns[0], "{\"id\":1,\"subscribe\":{\"channel\":\"display:1\"}}");
	CHECK(conns[0].close_code == 3501);
	fake_open(&conns[1], QMS_CONN_WS, NULL, NULL, NULL);
	fake_say(&conns[1], "not json");
	CHECK(conns[1].close_code == 3501);
	fake_open(&conns[2], QMS_CONN_WS, NULL, NULL, NULL);
	fake_advance(QMS_STALE_MS + 200);
	CHECK(conns[2].close_code == 3502);
	conn = person(3, NULL);
	fake_say(conn, "{\"id\":2,\"publish\":{\"channel\":\"display:1\",\"data\":{}}}");
	CHECK(conn->error == 103);
	fake_say(conn, "{\"id\":3,\"rpc\":{\"method\":\"x\"}}");
	CHECK(conn->error == 108);
	fake_say(conn, "{\"id\":4,\"presence\":{\"channel\":\"display:1\"}}");
	CHECK(conn->error == 108);
	fake_say(conn, "{\"id\":5,\"dance\":{}}");
	CHECK(conn->error == 104);
	fake_say(conn, "{\"id\":6,\"ping\":{}}\n{\"send\":{\"data\":1}}\n{\"id\":7,\"history\":{\"channel\":\"display:1\"}}");
	CHECK(conn->error == 103 && !conn->is_closing);
	for (i = 1; i <= 5; i++)
	{
		char		channel[32];

		snprintf(channel, sizeof(channel), "display:%d", i);
		fake_subscribe(conn, channel, "");
	}
	fake_settle();
	conn->error = 0;
	fake_subscribe(conn, "display:6", "");
	CHECK(conn->error == 106);
	fake_say(conn, "{\"id\":900,\"subscribe\":{\"channel\":\"display:1\"}}");
	CHECK(conn->error == 105);
	for (i = 0; i < 105; i++)
		fake_say(conn, "{\"id\":%d,\"ping\":{}}", 1000 + i);
	CHECK(conn->error == 111 && !conn->is_closing);
	for (i = 0; i < 200; i++)
		fake_say(conn, "{\"id\":%d,\"ping\":{}}", 2000 + i);
	CHECK(conn->close_code == 3013);
	/* What SDKs say in one frame with connect waits for its answer. */
	fake_open(&conns[4], QMS_CONN_WS, NULL, NULL, NULL);
	fake_sub(&conns[4], "staff:1")->asked = true;
	fake_sub(&conns[4], "staff:1")->id = 2;
	fake_say(&conns[4], "{\"id\":1,\"connect\":{\"token\":\"clerk\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"staff:1\"}}");
	fake_settle();
	CHECK(conns[4].is_connected && fake_sub(&conns[4], "staff:1")->is_live);
	end();
	ok("the protocol's errors, limits, and commands in one frame");
}

static void
test_pings(void)
{
	QmsConn    *conn;
	QmsConn    *dead;
	int			i;

	begin(10);
	conn = person(0, NULL);
	dead = person(1, NULL);
	for (i = 0; i < 100; i++)
	{
		fake_advance(1000);
		if (conn->wants)
		{
			conn->wants = false;
			fake_say(conn, "{}");
		}
	}
	CHECK(!conn->is_closing && conn->messages > 3);
	CHECK(dead->is_closing && dead->close_code == 3012);
	end();
	ok("pings, and the end of those who do not answer");
}

static void
test_slow(void)
{
	QmsConn    *display;
	QmsConn    *clerk;
	QmsConn    *rest;
	int			i;

	begin(10);
	display = person(0, NULL);
	clerk = person(1, "clerk");
	rest = person(2, NULL);
	fake_subscribe(display, "display:1", "");
	fake_subscribe(clerk, "staff:1", "");
	fake_subscribe(rest, "display:1", "");
	fake_settle();
	display->is_clear = clerk->is_clear = false;
	publish(5);
	CHECK(fake_sub(display, "display:1")->received == 0);
	CHECK(fake_sub(rest, "display:1")->received == 5);
	fake_unjam(display);
	CHECK(fake_sub(display, "display:1")->received == 5);
	display->is_clear = false;
	/* Now more than the rings hold. */
	for (i = 0; i < 5; i++)
		publish(8);
	fake_unjam(display);
	fake_unjam(clerk);
	fake_settle();
	CHECK(fake_sub(display, "display:1")->snapshots == 1);
	CHECK(fake_sub(rest, "display:1")->received == 45);
	CHECK(clerk->is_closing && clerk->close_code == 3008);
	publish(2);
	fake_check_complete(display);
	fake_check_complete(rest);
	/* One who never reads, of whom nobody asks a pong. */
	fake_open(&conns[3], QMS_CONN_SSE, "display:1", NULL, NULL);
	fake_settle();
	CHECK(conns[3].is_connected);
	conns[3].is_clear = false;
	publish(1);
	fake_advance(QMS_BEHIND_MS + 200);
	CHECK(conns[3].is_closing && conns[3].close_code == 3008);
	end();
	ok("slow clients: late, a snapshot instead, or the end; the others do not wait");
}

static void
test_epochs(void)
{
	QmsConn    *conn;
	QmsConn    *server_side;

	begin(10);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	server_side = person(1, "server-side");
	fake_settle();
	CHECK(fake_sub(server_side, "staff:1")->is_live && fake_sub(server_side, "visit:3")->is_live);
	publish(3);
	/* The server crashes; the connection of the client stays. */
	fake_database_cut();
	fake_db.is_open = false;
	fake_advance(3000);
	fake_db.is_open = true;
	fake_db.epoch++;
	fake_publish(1, 0, 1, 1, true);
	fake_settle();
	CHECK(!conn->is_closing && conn->error == 2500 && !fake_sub(conn, "display:1")->is_live);
	CHECK(server_side->is_closing && server_side->close_code == 3010);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "display:1")->is_live && qms_hub.counters.not_recovered == 1);
	publish(2);
	fake_check_complete(conn);
	/* The same epoch after a loss: nothing but a pause. */
	fake_database_cut();
	fake_publish(1, 0, 1, 1, true);
	fake_settle();
	CHECK(fake_sub(conn, "display:1")->is_live);
	fake_check_complete(conn);
	/* Too long away: what comes next is pruned. */
	fake_database_cut();
	fake_publish(1, 0, 1, 1, true);
	fake_publish(1, 0, 1, 1, true);
	fake_db.pruned = fake_db.last;
	fake_settle();
	CHECK(!fake_sub(conn, "display:1")->is_live && conn->error == 2500);
	end();
	ok("a new epoch and pruned positions are told; a lost connection is only a pause");
}

static void
test_away(void)
{
	QmsConn    *conn;
	QmsConn    *late;

	begin(10);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	fake_db.is_open = false;
	fake_database_cut();
	CHECK(!qms_hub_ready());
	late = person(1, "clerk");
	CHECK(!late->is_connected && !late->is_closing);
	fake_subscribe(conn, "queue:1", "");
	fake_advance(QMS_ANSWER_MS + 1500);
	fake_settle();
	CHECK(conn->error == 100 && !conn->is_closing && fake_sub(conn, "display:1")->is_live);
	CHECK(late->is_closing && late->close_code == 3004);
	fake_publish(1, 0, 1, 1, true);
	fake_db.is_open = true;
	fake_settle();
	CHECK(qms_hub_ready());
	fake_subscribe(conn, "queue:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "queue:1")->is_live && fake_sub(conn, "display:1")->received == 1);
	fake_check_complete(conn);
	end();
	ok("the database is away: clients stay, new wishes are told to try again");
}

static void
test_unidirectional(void)
{
	QmsConn    *conn = &conns[0];
	char		event_id[64];

	begin(20);
	fake_open(conn, QMS_CONN_UNI_WS, "display:1", NULL, NULL);
	fake_settle();
	CHECK(conn->is_connected && fake_sub(conn, "display:1")->is_live);
	publish(3);
	CHECK(fake_sub(conn, "display:1")->received == 3 && strncmp(conn->last, "{\"channel\":\"display:1\"", 22) == 0);
	fake_open(&conns[1], QMS_CONN_SSE, "display:1", NULL, NULL);
	fake_settle();
	CHECK(conns[1].is_connected);
	publish(2);
	/* It was served the snapshot of the one before, and what followed that. */
	CHECK(fake_sub(&conns[1], "display:1")->received == 5);
	CHECK(strncmp(conns[1].last, "id: e1:", 7) == 0);
	snprintf(event_id, sizeof(event_id), "e1:%" PRId64, fake_sub(&conns[1], "display:1")->offset);
	fake_cut(&conns[1]);
	publish(4);
	fake_open(&conns[1], QMS_CONN_SSE, "display:1", event_id, NULL);
	fake_settle();
	CHECK(fake_sub(&conns[1], "display:1")->received == 9 && qms_hub.counters.recovered == 1);
	fake_check_complete(&conns[1]);
	fake_open(&conns[2], QMS_CONN_SSE, "staff:1", NULL, NULL);
	fake_settle();
	CHECK(conns[2].is_closing && conns[2].close_code == 3507);
	fake_open(&conns[3], QMS_CONN_UNI_WS, NULL, NULL, NULL);
	fake_say(&conns[3], "{\"token\":\"clerk\",\"subs\":{\"staff:1\":{},\"queue:1\":{\"recover\":true,\"epoch\":\"e0\",\"offset\":4}}}");
	fake_sub(&conns[3], "queue:1")->was_live = true;
	fake_settle();
	CHECK(conns[3].is_connected && fake_sub(&conns[3], "staff:1")->is_live && fake_sub(&conns[3], "queue:1")->is_live);
	end();
	ok("unidirectional WebSocket and SSE, with resume");
}

static void
test_look(void)
{
	QmsConn    *conn;

	begin(10);
	publish(5);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:acme/b1", "");
	fake_settle();
	CHECK(fake_sub(conn, "display:acme/b1")->is_live);
	fake_say(conn, "{\"id\":50,\"history\":{\"channel\":\"display:acme/b1\",\"limit\":2,\"reverse\":true}}");
	fake_settle();
	CHECK(strstr(conn->last, "\"history\":{\"publications\":[{\"data\":") != NULL);
	fake_say(conn, "{\"id\":51,\"history\":{\"channel\":\"display:acme/b1\",\"limit\":10,\"since\":{\"offset\":1,\"epoch\":\"e1\"}}}");
	fake_settle();
	CHECK(conn->error == 112);
	fake_say(conn, "{\"id\":52,\"presence_stats\":{\"channel\":\"display:acme/b1\"}}");
	CHECK(strstr(conn->last, "\"num_clients\":1,\"num_users\":1") != NULL);
	publish(2);
	CHECK(fake_sub(conn, "display:acme/b1")->received == 2);
	end();
	ok("history, presence_stats, a display by its organization's and branch's names");
}

static void
test_renewal(void)
{
	QmsConn    *conn;

	begin(10);
	conn = person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_subscribe(conn, "display:2", "");
	fake_settle();
	fake_publish(1, 0, 0, 0, false);
	fake_db.events[fake_db.nevents - 1].resnapshot = true;
	publish(2);
	CHECK(fake_sub(conn, "display:1")->snapshots == 1);
	CHECK(fake_sub(conn, "display:2")->snapshots == 0);
	publish(1);
	fake_check_complete(conn);
	/* One who was away then has not seen it. */
	fake_cut(conn);
	fake_publish(1, 0, 0, 0, false);
	fake_db.events[fake_db.nevents - 1].resnapshot = true;
	publish(1);
	person(0, NULL);
	fake_subscribe(conn, "display:1", "");
	fake_settle();
	CHECK(fake_sub(conn, "display:1")->is_live && qms_hub.counters.not_recovered == 1);
	end();
	ok("what no publication tells comes as a snapshot");
}

static void
test_storm(void)
{
	int			i;

	begin(100);
	publish(10);
	for (i = 0; i < 60; i++)
	{
		fake_open(&conns[i], QMS_CONN_WS, NULL, NULL, NULL);
		fake_say(&conns[i], "{\"id\":1,\"connect\":{}}");
		conns[i].last_id = 1;
		fake_subscribe(&conns[i], "display:1", "");
	}
	fake_settle();
	for (i = 0; i < 60; i++)
		CHECK(fake_sub(&conns[i], "display:1")->is_live);
	CHECK(fake_db.nchecks == 1 && fake_db.nloads == 1);
	publish(1);
	for (i = 0; i < 60; i++)
		fake_check_complete(&conns[i]);
	/* Nobody is there any more: the stream is not read. */
	for (i = 0; i < 60; i++)
		fake_cut(&conns[i]);
	fake_advance(QMS_LINGER_MS * 2);
	fake_settle();
	i = fake_db.nreads;
	publish(50);
	CHECK(fake_db.nreads == i);
	person(0, NULL);
	fake_subscribe(&conns[0], "display:1", "");
	fake_settle();
	publish(3);
	CHECK(fake_sub(&conns[0], "display:1")->received == 54);
	fake_check_complete(&conns[0]);
	end();
	ok("a storm of connects costs one check and one snapshot; nobody there, no reading");
}

/* Bytes written in hexadecimal; their number. */
static size_t
unhex(const char *hex, char *bytes)
{
	size_t		n;
	unsigned	byte;

	for (n = 0; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		bytes[n] = (char) byte;
	return n;
}

/* What was put is, byte by byte, what Google's library makes of the same message. */
static void
expect(QmsPut *put, const char *hex)
{
	QmsFrame   *frame = qms_put_frame(put);
	char		bytes[512];
	size_t		size = unhex(hex, bytes);

	CHECK(frame->binary);
	CHECK(frame->size == size && memcmp(frame->data, bytes, size) == 0);
	qms_frame_unref(frame);
}

/* One command, from what Google's library makes of it; or false: it is none. */
static bool
understand(QmsCommand *command, const char *hex)
{
	char		bytes[512];
	size_t		size = unhex(hex, bytes);
	const char *at = bytes;
	const char *message = NULL;

	memset(command, 0, sizeof(*command));
	return qms_protobuf_next(&at, bytes + size, &message, &size) && qms_protobuf_parse(command, message, size);
}

static void
test_replies(void)
{
	QmsText		out = {0};
	QmsText		text = {0};
	QmsFrame   *data;
	QmsPut		put;

	qms_put_start(&put, &out, QMS_CONN_WS, QMS_FORM_PROTOBUF);
	qms_text_puts(&text, "{\"a\":1}");
	data = qms_frame_of(&text);
	qms_put_push(&put, "display:7");
	qms_put_open(&put, "pub", 4);
	qms_put_publication(&put, data, 300);
	expect(&put, "1b22191209646973706c61793a37220c22077b2261223a317d30ac02");
	qms_frame_unref(data);
	qms_put_error(&put, 9, QMS_ERROR_INTERNAL);
	expect(&put, "1f0809121b08641215696e7465726e616c20736572766572206572726f721801");
	qms_put_unsubscribe(&put, "c:1", 2500, qms_code_text(2500));
	expect(&put, "20221e1203633a313a1710c4131a12696e73756666696369656e74207374617465");
	/* Two messages in a frame: an empty one, and one that ends with an empty member. */
	qms_put_message(&put);
	qms_put_close_all(&put);
	qms_put_reply(&put, 3, "ping", 12);
	expect(&put, "000408036200");
	/* Lengths of two bytes, the greatest numbers, and a list. */
	qms_put_reply(&put, 2147483648, "history", 11);
	qms_put_list(&put, "publications");
	qms_put_item(&put, 1);
	qms_text_puts(&text, "1");
	data = qms_frame_of(&text);
	qms_put_publication(&put, data, 1);
	qms_frame_unref(data);
	qms_put_close(&put);
	qms_put_item(&put, 1);
	qms_text_printf(&text, "%0130d", 0);
	data = qms_frame_of(&text);
	qms_put_publication(&put, data, INT64_MAX);
	qms_frame_unref(data);
	qms_put_close(&put);
	qms_put_close(&put);
	qms_put_string(&put, "epoch", 2, "e1");
	qms_put_number(&put, "offset", 3, 128);
	expect(&put, "a9010880808080085aa0010a0522013130010a8f01228201"
		   "3030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030"
		   "3030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030303030"
		   "30ffffffffffffffff7f12026531188001");
	/* A map. */
	qms_put_reply(&put, 1, "connect", 5);
	qms_put_string(&put, "client", 1, "x");
	qms_put_expiry(&put, 3, 100, 0);
	qms_put_map(&put, "subs");
	qms_put_entry(&put, 6, "c:1");
	qms_put_string(&put, "epoch", 6, "e");
	qms_put_number(&put, "offset", 9, 5);
	qms_put_close(&put);
	expect(&put, "1908012a150a01781801205a320c0a03633a3112053201654805");
	qms_text_free(&out);
	qms_text_free(&text);
	ok("Protobuf, byte by byte: what is said");
}

static void
test_commands(void)
{
	static const char *const none[] = {
		/* no length, a length too long, a length without an end */
		"", "0508", "ff", "ffffffffffffffffff02",
		/* number 0, a group, the end of one, a fixed number cut short, a varint without an end */
		"020001", "020b0c", "010c", "0408011102", "020880",
		/* no id, a known member of a wrong type, an id beyond 32 bits */
		"022200", "0408012801", "0a0880808080102a020a00",
		/* of a subscribe: a string with a zero byte, of bad UTF-8, an offset below 0, data that is not JSON */
		"0a08022a060a0261004200", "0808022a040a02c328", "0f08022a0b38ffffffffffffffffff01", "0b08022a070a01614202017b",
		/* of a history: a limit beyond 32 bits */
		"0a08055206388080808010"
	};
	QmsCommand	command;
	size_t		i;

	CHECK(understand(&command, "3f08022a3b0a0776697369743a371205782e792e7a18013202653138808080808020420e7b22746f6b656e223a202237227d4801500158016206666f7373696c"));
	CHECK(command.kind == QMS_COMMAND_SUBSCRIBE && command.id == 2);
	CHECK(strcmp(command.channel, "visit:7") == 0 && strcmp(command.token, "x.y.z") == 0);
	CHECK(strcmp(command.data, "{\"token\":\"7\"}") == 0);
	CHECK(command.place.recover && command.place.offset == INT64_C(1) << 40 && strcmp(command.place.epoch, "e1") == 0);
	qms_command_release(&command);
	CHECK(understand(&command, "3408ffffffff0f222c0a05612e622e63120200ff1a160a09646973706c61793a31120918013202653138ac022204646172742a0131"));
	CHECK(command.kind == QMS_COMMAND_CONNECT && command.id == UINT32_MAX && strcmp(command.token, "a.b.c") == 0);
	CHECK(command.nsubs == 1 && strcmp(command.subs[0].channel, "display:1") == 0 && command.subs[0].place.recover);
	CHECK(command.subs[0].place.offset == 300 && strcmp(command.subs[0].place.epoch, "e1") == 0);
	qms_command_release(&command);
	CHECK(understand(&command, "24080552200a09646973706c61793a3138ffffffffffffffffff0142060807120265314801"));
	CHECK(command.kind == QMS_COMMAND_HISTORY && command.limit == -1 && command.reverse);
	CHECK(command.place.recover && command.place.offset == 7 && strcmp(command.place.epoch, "e1") == 0);
	qms_command_release(&command);
	CHECK(understand(&command, "0a0805520638ffffffff07") && command.limit == INT32_MAX && !command.place.recover);
	qms_command_release(&command);
	CHECK(understand(&command, "00") && command.kind == QMS_COMMAND_PONG);
	qms_command_release(&command);
	CHECK(understand(&command, "050804820100") && command.kind == QMS_COMMAND_UNKNOWN && command.id == 4);
	qms_command_release(&command);
	/* An empty token is none, and empty data. */
	CHECK(understand(&command, "0b08022a070a016112004200") && command.token == NULL && command.data == NULL);
	qms_command_release(&command);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
	{
		if (understand(&command, none[i]))
			fail("%s was understood", none[i]);
		qms_command_release(&command);
	}
	ok("Protobuf, byte by byte: what is understood, and what is not");
}

/* One channel of a few. */
static const char *
any_channel(void)
{
	static const char *const names[] = {
		"display:1", "display:1:2", "display:acme/b1", "queue:1", "queue:2", "staff:1", "visit:1", "visit:2", "display:2"
	};

	return names[fake_random(sizeof(names) / sizeof(names[0]))];
}

/* Something happens. */
static void
random_step(int people)
{
	QmsConn    *conn = &conns[fake_random(people)];
	int			what = fake_random(100);

	if (what < 25)
	{
		int			n = 1 + fake_random(fake_random(20) == 0 ? 40 : 3);

		while (n-- > 0)
			fake_publish(1 + fake_random(2), fake_random(3), 1 + fake_random(2), 1 + fake_random(2), fake_random(4) != 0);
		if (fake_random(50) == 0)
			fake_db.events[fake_db.nevents - 1].recheck = true;
		if (fake_random(50) == 0)
			fake_db.events[fake_db.nevents - 1].resnapshot = true;
		fake_ring();
	}
	else if (what < 45)
		fake_database_step();
	else if (what < 55)
		fake_turn();
	else if (what < 58)
		conn->is_clear = conn->is_open;
	else if (what < 60)
		fake_writable(conn);
	else if (what < 61)
		conn->is_clear = false;
	else if (what < 85)
	{
		if (!conn->is_open)
		{
			fake_open(conn, QMS_CONN_WS, NULL, NULL, NULL);
			fake_say(conn, "{\"id\":1,\"connect\":{\"token\":\"clerk\"}}");
			conn->last_id = 1;
		}
		else if (conn->is_closing || fake_random(20) == 0)
			fake_cut(conn);
		else if (fake_random(4) == 0)
			fake_unsubscribe(conn, any_channel());
		else
			fake_subscribe(conn, any_channel(), "");
	}
	else if (what < 97)
	{
		fake_advance(fake_random(200));
		if (conn->wants && conn->is_clear)
			fake_say(conn, "{}");
	}
	else if (fake_random(40) == 0)
		fake_database_cut();
	else if (fake_random(200) == 0)
	{
		fake_database_cut();
		fake_db.epoch++;
	}
	else if (fake_random(100) == 0 && fake_db.nevents > 20)
		fake_db.pruned = fake_db.events[fake_db.nevents - 1 - fake_random(20)].position;
}

/* Everything comes to rest: then everybody has everything. */
static void
random_rest(int people)
{
	int			round;
	int			i;

	fake_jam = 0;
	fake_db.lags = false;
	fake_ring();
	for (round = 0; round < 6; round++)
	{
		fake_settle();
		for (i = 0; i < people; i++)
		{
			if (conns[i].is_open && conns[i].is_closing)
				fake_cut(&conns[i]);
			fake_unjam(&conns[i]);
			if (conns[i].is_open)
				fake_say(&conns[i], "{}");
		}
		fake_settle();
		fake_advance(1000);
	}
	for (i = 0; i < people; i++)
	{
		if (conns[i].is_open && conns[i].is_closing)
			fake_cut(&conns[i]);
		fake_check_complete(&conns[i]);
	}
}

static void
random_world(unsigned seed)
{
	int			people = 3 + (int) (seed % 12);
	int			i;
	int			j;

	fake_seed(seed);
	begin(4 + (int) (seed % 5) * 10);
	/* An SDK whose unsubscribe is refused reconnects; these people would not notice. */
	qms_hub.max_commands_per_second = 100000;
	qms_hub.max_subscriptions = FAKE_SUBS;
	srand(seed);
	for (i = 0; i < 4; i++)
	{
		fake_jam = seed % 3 == 0 ? 0 : 6;
		fake_db.lags = seed % 4 == 0;
		for (j = 0; j < 600; j++)
			random_step(people);
		random_rest(people);
	}
	end();
}

int
main(int argc, char **argv)
{
	unsigned	first = argc > 1 ? (unsigned) atoi(argv[1]) : 1;
	unsigned	worlds = argc > 2 ? (unsigned) atoi(argv[2]) : 300;
	unsigned	seed;

	int			form;

	fake_loud = getenv("QMS_TEST_LOUD") != NULL;
	fake_seed(first);
	for (form = 0; argc < 2 && form < QMS_FORMS; form++)
	{
		fake_form = (QmsForm) form;
		test_subscribe();
		test_recovery();
		test_rights();
		test_expiry();
		test_revocation();
		test_protocol();
		test_pings();
		test_slow();
		test_epochs();
		test_away();
		test_unidirectional();
		test_look();
		test_renewal();
		test_storm();
	}
	fake_form = QMS_FORMS;
	if (argc < 2)
	{
		test_replies();
		test_commands();
	}
	for (seed = first; seed < first + worlds; seed++)
	{
		if (fake_loud || argc > 1)
			printf("# seed %u\n", seed);
		random_world(seed);
	}
	ok("random worlds: nothing missed, nothing twice, nothing out of order");
	printf("1..%d\n", ncases);
	return 0;
}
