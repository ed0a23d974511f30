/*
 * client_write.c
 *		What goes out to a client.
 *
 * There is no buffer per client.  Publications are written when the
 * connection is clear, and otherwise stay in the channel's ring; only replies,
 * which are small, wait in a list that is bounded.
 */
#include "hub.h"

#include <inttypes.h>
#include <stdlib.h>

struct QmsOut
{
	QmsOut	   *next;
	QmsFrame   *frame;
};

/* Would a frame go to the kernel now, behind all that was said before? */
bool
qms_client_at_ease(const QmsClient *client)
{
	return client->state != QMS_CLIENT_GONE && client->out == NULL && qms_conn_is_clear(client->conn);
}

/* Write to a client at ease; false: it is dying. */
bool
qms_client_write(QmsClient *client, QmsFrame *frame)
{
	qms_hub.counters.messages++;
	qms_hub.counters.bytes += frame->size;
	if (qms_conn_write(client->conn, frame) >= 0)
		return true;
	client->state = QMS_CLIENT_GONE;
	return false;
}

/* Nothing waits for the client any more. */
void
qms_client_drop_out(QmsClient *client)
{
	QmsOut	   *out;

	while ((out = client->out) != NULL)
	{
		client->out = out->next;
		qms_frame_unref(out->frame);
		free(out);
	}
	client->out_last = NULL;
	client->out_bytes = 0;
	client->out_frames = 0;
}

/* A reply: now, or when it is clear; takes the frame. */
void
qms_client_send(QmsClient *client, QmsFrame *frame)
{
	QmsOut	   *out;

	if (client->state == QMS_CLIENT_GONE)
	{
		qms_frame_unref(frame);
		return;
	}
	if (qms_client_at_ease(client))
	{
		qms_client_write(client, frame);
		qms_frame_unref(frame);
		return;
	}
	if (client->behind_since == 0)
	{
		client->behind_since = qms_now_ms();
		qms_client_schedule(client);
	}
	out = qms_alloc(sizeof(QmsOut));
	out->frame = frame;
	if (client->out_last == NULL)
		client->out = out;
	else
		client->out_last->next = out;
	client->out_last = out;
	client->out_bytes += frame->size;
	client->out_frames++;
	/* One alone may be big: a snapshot. */
	if (client->out_frames > QMS_OUT_FRAMES || (client->out_frames > 1 && client->out_bytes > QMS_OUT_BYTES))
		qms_client_disconnect(client, QMS_DISCONNECT_SLOW);
	else
		qms_conn_want(client->conn);
}

/* A frame of the client's kind and form begins, in the scratch. */
void
qms_client_put(const QmsClient *client, QmsPut *put)
{
	qms_put_start(put, &qms_hub.scratch, (QmsConnKind) client->kind, (QmsForm) client->form);
}

/* What was put is sent; what is open of it is closed. */
void
qms_client_say(QmsClient *client, QmsPut *put)
{
	qms_client_send(client, qms_put_frame(put));
}

/* An error as a reply. */
void
qms_client_error(QmsClient *client, uint32_t id, int code)
{
	QmsPut		put;

	if (client->kind != QMS_CONN_WS)
		return;
	qms_client_put(client, &put);
	qms_put_error(&put, id, code);
	qms_client_say(client, &put);
}

/*
 * SSE: the place from which the browser would go on, as an event of its own
 * that only sets the id.  With several channels that is the place up to which
 * it has all of them.
 */
void
qms_client_tell_id(QmsClient *client)
{
	int64_t		position = client->db->position;
	QmsText    *out = &qms_hub.scratch;
	const QmsSub *sub;

	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		if (sub->state != QMS_SUB_LIVE || qms_sub_is_behind(sub))
			position = sub->cursor < position ? sub->cursor : position;
	if (position <= client->event_id)
		return;
	client->event_id = position;
	qms_text_printf(out, "id: %s:%" PRId64 "\n\n", client->db->epoch, position);
	qms_client_send(client, qms_frame_of(out));
}

/* Replies that waited. */
static void
write_out(QmsClient *client)
{
	while (client->state != QMS_CLIENT_GONE && client->out != NULL && qms_conn_is_clear(client->conn))
	{
		QmsOut	   *out = client->out;

		client->out = out->next;
		if (client->out == NULL)
			client->out_last = NULL;
		client->out_bytes -= out->frame->size;
		client->out_frames--;
		qms_client_write(client, out->frame);
		qms_frame_unref(out->frame);
		free(out);
	}
}

/* The connection is clear again: first what waits, then what was published meanwhile. */
void
qms_client_writable(QmsClient *client)
{
	QmsSub	   *sub = client->subs;

	write_out(client);
	if (qms_client_at_ease(client))
		client->behind_since = 0;
	if (client->state == QMS_CLIENT_SETTLING)
	{
		qms_client_settled(client);
		return;
	}
	while (sub != NULL && qms_client_at_ease(client))
	{
		QmsSub	   *next = sub->next_of_client;

		qms_sub_visit(sub);
		sub = next;
	}
	if (client->state != QMS_CLIENT_GONE && (client->out != NULL || sub != NULL))
		qms_conn_want(client->conn);
}
