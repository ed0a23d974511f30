/*
 * client_timer.c
 *		What time does to a client: pings, pongs that do not come, expiry,
 *		connections that never say connect, clients that stay behind.
 *
 * One timer of the wheel per client, set to whatever is due first.
 */
#include "hub.h"

#include <stdlib.h>

#define FAR_AHEAD (3600 * 1000)

/* The earlier of two moments in milliseconds. */
static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds until a second since 1970 begins. */
static int64_t
until(int64_t unix_seconds)
{
	uv_timeval64_t now;

	uv_gettimeofday(&now);
	return (unix_seconds - now.tv_sec) * 1000 - now.tv_usec / 1000;
}

static void on_due(void *arg);

/* Set the timer to what is due next. */
void
qms_client_schedule(QmsClient *client)
{
	int64_t		now = qms_now_ms();
	int64_t		due = now + FAR_AHEAD;
	const QmsSub *sub;

	if (client->state == QMS_CLIENT_GONE)
	{
		qms_wheel_cancel(&client->timer);
		return;
	}
	if (client->state == QMS_CLIENT_NEW)
		due = client->began + QMS_STALE_MS;
	if (client->next_ping != 0)
		due = earlier(due, client->next_ping);
	if (client->pinged != 0)
		due = earlier(due, client->pinged + qms_hub.pong_timeout * 1000);
	if (client->behind_since != 0)
		due = earlier(due, client->behind_since + QMS_BEHIND_MS);
	if (client->expires_at != 0)
		due = earlier(due, now + until(client->expires_at));
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		if (sub->expires_at != 0)
			due = earlier(due, now + until(sub->expires_at));
	qms_wheel_add(&client->timer, (int) (due > now ? due - now : 0), on_due, client);
}

/* A ping of the client's kind and form: an empty message. */
static void
ping(QmsClient *client, int64_t now)
{
	static QmsFrame *words[QMS_CONN_SSE + 1][QMS_FORMS];
	QmsFrame  **word = &words[client->kind][client->form];

	if (*word == NULL)
	{
		QmsPut		put;

		qms_client_put(client, &put);
		if (client->kind == QMS_CONN_SSE)
			qms_text_puts(put.out, "event: ping\n");
		qms_put_message(&put);
		*word = qms_put_frame(&put);
	}
	client->next_ping = now + qms_hub.ping_interval * 1000;
	if (client->kind == QMS_CONN_WS && qms_hub.pong_timeout > 0)
		client->pinged = now;
	qms_client_send(client, qms_frame_ref(*word));
}

/* Subscriptions whose own token has expired. */
static void
end_expired(QmsClient *client, int64_t now_unix)
{
	QmsSub	   *sub = client->subs;

	while (sub != NULL && client->state != QMS_CLIENT_GONE)
	{
		QmsSub	   *next = sub->next_of_client;

		if (sub->expires_at != 0 && sub->expires_at <= now_unix)
			qms_sub_end(sub, QMS_UNSUBSCRIBE_EXPIRED, qms_code_text(QMS_UNSUBSCRIBE_EXPIRED));
		sub = next;
	}
}

/* Something is due. */
static void
on_due(void *arg)
{
	QmsClient  *client = arg;
	int64_t		now = qms_now_ms();
	int64_t		now_unix = qms_now_unix();

	if (client->state == QMS_CLIENT_NEW && now >= client->began + QMS_STALE_MS)
		qms_client_disconnect(client, QMS_DISCONNECT_STALE);
	else if (client->expires_at != 0 && client->expires_at <= now_unix)
		qms_client_disconnect(client, QMS_DISCONNECT_EXPIRED);
	else if (client->pinged != 0 && now >= client->pinged + qms_hub.pong_timeout * 1000)
		qms_client_disconnect(client, QMS_DISCONNECT_NO_PONG);
	else if (client->behind_since != 0 && now >= client->behind_since + QMS_BEHIND_MS)
		qms_client_disconnect(client, QMS_DISCONNECT_SLOW);
	else
	{
		end_expired(client, now_unix);
		if (client->next_ping != 0 && now >= client->next_ping && client->state != QMS_CLIENT_GONE)
			ping(client, now);
	}
	qms_client_schedule(client);
}

/* From now on; the first one soon or later, so that many who came at once are not pinged at once. */
void
qms_client_start_pings(QmsClient *client)
{
	if (qms_hub.ping_interval > 0)
		client->next_ping = qms_now_ms() + 1000 + rand() % (qms_hub.ping_interval * 1000);
	qms_client_schedule(client);
}
