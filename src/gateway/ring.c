/*
 * ring.c
 *		The latest publications of a channel, and frames of them.
 *
 * The ring holds every publication of the channel in (floor, last].  The data
 * of an entry is shared with the rings of the other channels of the event.
 */
#include "hub.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4
#define CACHED_FRAMES 64

/* A frame that others at the same place will want. */
typedef struct CachedFrame
{
	const QmsChannel *channel;
	unsigned	dress;			/* kind and form of the connections */
	bool		with_id;
	int64_t		from;
	int64_t		to;
	int64_t		last;			/* the channel's, when it was made */
	QmsFrame   *frame;
} CachedFrame;

static CachedFrame cache[CACHED_FRAMES];
static int	ncached;

/* The entry i of the ring, 0 the oldest. */
const QmsEntry *
qms_ring_entry(const QmsChannel *channel, int i)
{
	return &channel->ring[(channel->start + i) % channel->room];
}

/* The oldest one goes. */
static void
evict(QmsChannel *channel)
{
	QmsEntry   *entry = &channel->ring[channel->start];

	channel->floor = entry->position;
	qms_frame_unref(entry->data);
	channel->start = (channel->start + 1) % channel->room;
	channel->count--;
}

/* Twice the room, in order from the beginning. */
static void
grow(QmsChannel *channel)
{
	int			room = channel->room == 0 ? FIRST_ROOM : channel->room * 2;
	QmsEntry   *ring;
	int			i;

	if (room > qms_hub.history_size)
		room = qms_hub.history_size;
	if (room <= channel->room)
	{
		evict(channel);
		return;
	}
	ring = qms_alloc(room * sizeof(QmsEntry));
	for (i = 0; i < channel->count; i++)
		ring[i] = *qms_ring_entry(channel, i);
	free(channel->ring);
	channel->ring = ring;
	channel->room = room;
	channel->start = 0;
}

/* One publication more, unless it is there already; takes a reference. */
void
qms_ring_append(QmsChannel *channel, int64_t position, QmsFrame *data)
{
	QmsEntry   *entry;

	if (position <= channel->last)
		return;
	if (channel->count == channel->room)
		grow(channel);
	entry = &channel->ring[(channel->start + channel->count) % channel->room];
	entry->position = position;
	entry->data = qms_frame_ref(data);
	channel->count++;
	channel->last = position;
}

/* Empty, and complete from floor on. */
void
qms_ring_clear(QmsChannel *channel, int64_t floor)
{
	while (channel->count > 0)
		evict(channel);
	free(channel->ring);
	channel->ring = NULL;
	channel->room = channel->start = 0;
	channel->floor = channel->last = floor;
}

/*
 * What the database has of (floor, position], in order, instead of what the
 * ring had up to position; what the ring has after it stays.  The caller has
 * seen to it that position is not below the ring's floor.  Takes the
 * references of the entries.
 */
void
qms_ring_replace(QmsChannel *channel, QmsEntry *entries, int count, int64_t floor, int64_t position)
{
	QmsEntry   *rest = qms_alloc((channel->count + 1) * sizeof(QmsEntry));
	int			nrest = 0;
	int			i;

	for (i = qms_ring_after(channel, position); i < channel->count; i++)
	{
		rest[nrest] = *qms_ring_entry(channel, i);
		qms_frame_ref(rest[nrest++].data);
	}
	qms_ring_clear(channel, floor);
	for (i = 0; i < count; i++)
	{
		qms_ring_append(channel, entries[i].position, entries[i].data);
		qms_frame_unref(entries[i].data);
	}
	for (i = 0; i < nrest; i++)
	{
		qms_ring_append(channel, rest[i].position, rest[i].data);
		qms_frame_unref(rest[i].data);
	}
	free(rest);
}

/* Index of the first entry after a position; count when there is none. */
int
qms_ring_after(const QmsChannel *channel, int64_t position)
{
	int			low = 0;
	int			high = channel->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (qms_ring_entry(channel, middle)->position > position)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* One publication as a push. */
static void
put_entry(QmsPut *put, const QmsChannel *channel, bool with_id, const QmsEntry *entry)
{
	if (with_id)
		qms_text_printf(put->out, "id: %s:%" PRId64 "\n", channel->db->epoch, entry->position);
	qms_put_push(put, channel->name);
	qms_put_open(put, "pub", 4);
	qms_put_publication(put, entry->data, entry->position);
	qms_put_close_all(put);
}

/*
 * A frame with the publications after from, as many as belong into one, for the
 * client and others of its kind and form; to is the position of the last; of an
 * event stream, with_id: each says its place.  The caller has a reference.
 */
QmsFrame *
qms_ring_frame(QmsChannel *channel, const QmsClient *client, bool with_id, int64_t from, int64_t *to)
{
	unsigned	dress = (unsigned) client->kind * QMS_FORMS + client->form;
	CachedFrame *slot = &cache[((uintptr_t) channel / 16 + (uint64_t) from * 7 + dress) % CACHED_FRAMES];
	QmsFrame   *frame;
	QmsPut		put;
	int			i;

	if (slot->frame != NULL && slot->channel == channel && slot->from == from && slot->dress == dress &&
		slot->with_id == with_id && slot->last == channel->last)
	{
		*to = slot->to;
		return qms_frame_ref(slot->frame);
	}
	qms_client_put(client, &put);
	for (i = qms_ring_after(channel, from); i < channel->count; i++)
	{
		put_entry(&put, channel, with_id, qms_ring_entry(channel, i));
		*to = qms_ring_entry(channel, i)->position;
		/* Plain WebSocket pages parse one message as one JSON value. */
		if (client->kind == QMS_CONN_UNI_WS || put.out->size > QMS_PUSH_LIMIT)
			break;
	}
	frame = qms_put_frame(&put);
	if (channel->nsubs > 1)
	{
		if (slot->frame == NULL)
			ncached++;
		qms_frame_unref(slot->frame);
		*slot = (CachedFrame) {channel, dress, with_id, from, *to, channel->last, qms_frame_ref(frame)};
	}
	return frame;
}

/* The fan-out is over, or a channel goes. */
void
qms_ring_forget_frames(void)
{
	int			i;

	if (ncached == 0)
		return;
	for (i = 0; i < CACHED_FRAMES; i++)
	{
		qms_frame_unref(cache[i].frame);
		cache[i].frame = NULL;
	}
	ncached = 0;
}
