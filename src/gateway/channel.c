/*
 * channel.c
 *		Channels of a database: found by name, found by what they are about, and
 *		kept a while after the last subscriber for those who come back.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

static const char *const kind_names[QMS_CHANNEL_KINDS] = {
	[QMS_STAFF] = "staff", [QMS_ADMIN] = "admin", [QMS_APPLICATION] = "application",
	[QMS_DISPLAY] = "display", [QMS_SYSTEM] = "system", [QMS_QUEUE] = "queue", [QMS_VISIT] = "visit"
};

/* Kind of a channel by its name; QMS_CHANNEL_KINDS: this is no channel's name. */
QmsChannelKind
qms_channel_kind(const char *name)
{
	const char *colon = strchr(name, ':');
	const char *at;
	int			kind;

	if (colon == NULL || colon[1] == '\0' || strlen(name) > QMS_MAX_CHANNEL_NAME)
		return QMS_CHANNEL_KINDS;
	for (at = name; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '\\')
			return QMS_CHANNEL_KINDS;
	for (kind = 0; kind < QMS_CHANNEL_KINDS; kind++)
		if (strlen(kind_names[kind]) == (size_t) (colon - name) &&
			strncmp(kind_names[kind], name, colon - name) == 0)
			break;
	return kind;
}

/* Length of the part before the second colon: display:7 of display:7:2. */
static size_t
key_size(const char *canonical)
{
	const char *colon = strchr(canonical, ':');

	colon = colon == NULL ? NULL : strchr(colon + 1, ':');
	return colon == NULL ? strlen(canonical) : (size_t) (colon - canonical);
}

/* FNV-1a. */
static uint32_t
hash(const char *text, size_t size)
{
	uint32_t	h = 2166136261u;
	size_t		i;

	for (i = 0; i < size; i++)
		h = (h ^ (unsigned char) text[i]) * 16777619u;
	return h;
}

/* The slot of a name. */
static QmsChannel **
name_slot(QmsDatabase *db, const char *name)
{
	return &db->by_name[hash(name, strlen(name)) & (db->nbuckets - 1)];
}

/* The slot of what a channel is about. */
static QmsChannel **
canonical_slot(QmsDatabase *db, const char *canonical)
{
	return &db->by_canonical[hash(canonical, key_size(canonical)) & (db->nbuckets - 1)];
}

/* Twice the slots when there are as many channels. */
static void
make_room(QmsDatabase *db)
{
	QmsChannel **old = db->by_name;
	int			nold = db->nbuckets;
	int			i;

	if (db->nchannels < db->nbuckets)
		return;
	db->nbuckets = nold == 0 ? FIRST_BUCKETS : nold * 2;
	db->by_name = qms_alloc(db->nbuckets * sizeof(QmsChannel *));
	free(db->by_canonical);
	db->by_canonical = qms_alloc(db->nbuckets * sizeof(QmsChannel *));
	for (i = 0; i < nold; i++)
	{
		QmsChannel *channel;

		while ((channel = old[i]) != NULL)
		{
			QmsChannel **slot = name_slot(db, channel->name);

			old[i] = channel->next_by_name;
			channel->next_by_name = *slot;
			*slot = channel;
			if (channel->canonical == NULL)
				continue;
			slot = canonical_slot(db, channel->canonical);
			channel->next_by_canonical = *slot;
			*slot = channel;
		}
	}
	free(old);
}

/* The channel of a name, or null. */
static QmsChannel *
find(QmsDatabase *db, const char *name)
{
	QmsChannel *channel;

	if (db->nbuckets == 0)
		return NULL;
	for (channel = *name_slot(db, name); channel != NULL; channel = channel->next_by_name)
		if (strcmp(channel->name, name) == 0)
			return channel;
	return NULL;
}

/* Nobody came back. */
static void
on_lingered(void *arg)
{
	QmsChannel *channel = arg;

	if (channel->nsubs == 0)
		qms_channel_free(channel);
}

/* The last subscriber went; freed from the wheel, never under somebody's feet. */
static void
linger(QmsChannel *channel)
{
	bool		keep = channel->canonical != NULL && qms_hub.lingering < QMS_LINGERING;

	if (channel->linger.prev == NULL)
		qms_hub.lingering++;
	qms_wheel_add(&channel->linger, keep ? QMS_LINGER_MS : QMS_WHEEL_GRAIN, on_lingered, channel);
}

/* The channel of a name, made if need be; the name is one of a channel. */
QmsChannel *
qms_channel_get(QmsDatabase *db, const char *name)
{
	QmsChannel *channel = find(db, name);
	QmsChannel **slot;

	if (channel != NULL)
		return channel;
	make_room(db);
	channel = qms_alloc(sizeof(QmsChannel));
	channel->db = db;
	channel->kind = qms_channel_kind(name);
	channel->name = qms_hub_copy(name);
	slot = name_slot(db, name);
	channel->next_by_name = *slot;
	*slot = channel;
	db->nchannels++;
	linger(channel);
	if (db->nchannels == 1)
		qms_stream_wake(db);
	return channel;
}

/* The next channel about a key such as display:7, with its zones, after the one given. */
QmsChannel *
qms_channel_next(QmsDatabase *db, QmsChannel *after, const char *key)
{
	size_t		size = strlen(key);
	QmsChannel *channel;

	if (db->nbuckets == 0)
		return NULL;
	channel = after == NULL ? *canonical_slot(db, key) : after->next_by_canonical;
	while (channel != NULL &&
		   (key_size(channel->canonical) != size || strncmp(channel->canonical, key, size) != 0))
		channel = channel->next_by_canonical;
	return channel;
}

/* Out of the index by what it is about. */
static void
unindex(QmsChannel *channel)
{
	QmsChannel **slot;

	if (channel->canonical == NULL)
		return;
	for (slot = canonical_slot(channel->db, channel->canonical); *slot != channel;)
		slot = &(*slot)->next_by_canonical;
	*slot = channel->next_by_canonical;
	free(channel->canonical);
	channel->canonical = NULL;
	qms_stream_forget_figures(channel->db);
}

/* The database said what the channel is about: from here on it gets events. */
void
qms_channel_index(QmsChannel *channel, const char *canonical, int64_t organization_id)
{
	QmsDatabase *db = channel->db;
	QmsChannel **slot;

	if (organization_id != 0)
		channel->organization_id = organization_id;
	if (channel->canonical != NULL && strcmp(channel->canonical, canonical) == 0)
		return;
	if (channel->canonical != NULL)
	{
		/* The name belongs to something else now. */
		unindex(channel);
		qms_channel_break(channel);
	}
	channel->canonical = qms_hub_copy(canonical);
	qms_stream_forget_figures(db);
	channel->branch_id = channel->kind != QMS_DISPLAY ? 0 : strtoll(strchr(canonical, ':') + 1, NULL, 10);
	slot = canonical_slot(db, canonical);
	channel->next_by_canonical = *slot;
	*slot = channel;
	qms_ring_clear(channel, db->position);
}

/* No stream connects what was with what comes: all start again. */
void
qms_channel_break(QmsChannel *channel)
{
	channel->generation++;
	qms_ring_clear(channel, channel->db->position);
	channel->has_history = false;
	qms_frame_unref(channel->snapshot);
	channel->snapshot = NULL;
	channel->snapshot_position = 0;
	channel->snapshot_asked = 0;
	channel->renew = 0;
	if (channel->nsubs > 0)
		qms_fanout_channel(channel);
}

/* Is the newest snapshot enough, where others need every event? */
bool
qms_channel_is_state(const QmsChannel *channel)
{
	return channel->kind == QMS_DISPLAY || channel->kind == QMS_QUEUE;
}

/* The end of a channel without subscribers. */
void
qms_channel_free(QmsChannel *channel)
{
	QmsDatabase *db = channel->db;
	QmsChannel **slot;

	for (slot = name_slot(db, channel->name); *slot != channel;)
		slot = &(*slot)->next_by_name;
	*slot = channel->next_by_name;
	unindex(channel);
	qms_fanout_forget(channel);
	qms_load_forget(channel);
	qms_check_forget(channel->check);
	qms_ring_clear(channel, 0);
	qms_ring_forget_frames();
	qms_frame_unref(channel->snapshot);
	qms_wheel_cancel(&channel->linger);
	qms_hub.lingering--;
	free(channel->name);
	free(channel);
	db->nchannels--;
}

/* A subscriber more; new ones are at the end. */
void
qms_channel_attach(QmsChannel *channel, QmsSub *sub)
{
	if (channel->nsubs == 0)
	{
		qms_wheel_cancel(&channel->linger);
		qms_hub.lingering--;
	}
	sub->channel = channel;
	sub->prev = channel->last_sub;
	if (channel->last_sub == NULL)
		channel->first = sub;
	else
		channel->last_sub->next = sub;
	channel->last_sub = sub;
	channel->nsubs++;
	if (channel->left > 0)
		channel->left++;
}

/* A subscriber less. */
void
qms_channel_detach(QmsSub *sub)
{
	QmsChannel *channel = sub->channel;

	if (channel->walk == sub)
		channel->walk = sub->next;
	if (sub->prev == NULL)
		channel->first = sub->next;
	else
		sub->prev->next = sub->next;
	if (sub->next == NULL)
		channel->last_sub = sub->prev;
	else
		sub->next->prev = sub->prev;
	channel->nsubs--;
	if (channel->left > channel->nsubs)
		channel->left = channel->nsubs;
	if (channel->nsubs == 0)
		linger(channel);
}

/* All channels, one after the other: bucket from 0, channel from null; the last one may be freed only after the next is known. */
QmsChannel *
qms_channels_next(QmsDatabase *db, int *bucket, QmsChannel *channel)
{
	if (channel != NULL && channel->next_by_name != NULL)
		return channel->next_by_name;
	for (; *bucket < db->nbuckets; (*bucket)++)
		if (db->by_name[*bucket] != NULL)
			return db->by_name[(*bucket)++];
	return NULL;
}
