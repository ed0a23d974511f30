/*
 * client_look.c
 *		history and presence_stats: what a subscriber may look at.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

#define STATS_MS 1000

/* {"publications":[...],"epoch":...,"offset":...} of the ring's entries [first, end). */
static void
answer(QmsSub *sub, const QmsHistory *wish, int first, int end)
{
	const QmsChannel *channel = sub->channel;
	int64_t		top = channel->last > channel->db->position ? channel->last : channel->db->position;
	int			limit = wish->limit < 0 ? INT32_MAX : wish->limit;
	QmsPut		put;
	size_t		begin;
	int			i;

	qms_client_put(sub->client, &put);
	qms_put_reply(&put, wish->command_id, "history", 11);
	qms_put_list(&put, "publications");
	begin = put.out->size;
	for (i = 0; i < end - first && i < limit && put.out->size - begin < QMS_FRAME_LIMIT; i++)
	{
		const QmsEntry *entry = qms_ring_entry(channel, wish->reverse ? end - 1 - i : first + i);

		qms_put_item(&put, 1);
		qms_put_publication(&put, entry->data, entry->position);
		qms_put_close(&put);
	}
	qms_put_close(&put);
	qms_put_string(&put, "epoch", 2, channel->db->epoch);
	qms_put_number(&put, "offset", 3, top);
	qms_client_say(sub->client, &put);
}

/* Answer from the ring if it reaches back far enough; false: the database is asked first. */
static bool
try_answer(QmsSub *sub, const QmsHistory *wish)
{
	const QmsChannel *channel = sub->channel;
	int			first = 0;
	int			end = channel->count;

	if (wish->limit != 0 && !channel->has_history && (!wish->has_since || wish->offset < channel->floor))
		return false;
	if (wish->has_since && wish->limit != 0)
	{
		if (!wish->reverse && wish->offset < channel->floor)
		{
			qms_client_error(sub->client, wish->command_id, QMS_ERROR_UNRECOVERABLE_POSITION);
			return true;
		}
		/* Forward: what came after it.  Backward: what was before it. */
		if (wish->reverse)
			end = qms_ring_after(channel, wish->offset - 1);
		else
			first = qms_ring_after(channel, wish->offset);
	}
	answer(sub, wish, first, end);
	return true;
}

/* The client asks for publications of a channel that it is subscribed to. */
void
qms_client_history(QmsClient *client, const QmsCommand *command)
{
	QmsSub	   *sub = command->channel == NULL ? NULL : qms_client_sub(client, command->channel);
	QmsHistory	wish = {command->id, command->limit, command->reverse, command->place.recover,
	command->place.offset, qms_now_ms()};
	int			code = QMS_OK;

	if (command->channel == NULL)
		code = QMS_ERROR_BAD_REQUEST;
	else if (sub == NULL || sub->state != QMS_SUB_LIVE)
		code = QMS_ERROR_PERMISSION_DENIED;
	else if (sub->history != NULL)
		code = QMS_ERROR_TOO_MANY_REQUESTS;
	else if (wish.has_since && strcmp(command->place.epoch, client->db->epoch) != 0 &&
			 command->place.epoch[0] != '\0')
		code = QMS_ERROR_UNRECOVERABLE_POSITION;
	if (code != QMS_OK)
	{
		qms_client_error(client, command->id, code);
		return;
	}
	if (try_answer(sub, &wish))
		return;
	sub->history = qms_alloc(sizeof(QmsHistory));
	*sub->history = wish;
	qms_load_want(sub->channel, QMS_LOAD_HISTORY);
	qms_hub_busy();
}

/* The channel was loaded, perhaps. */
void
qms_client_history_answer(QmsSub *sub)
{
	QmsHistory *wish = sub->history;

	if (!try_answer(sub, wish))
	{
		qms_load_want(sub->channel, QMS_LOAD_HISTORY);
		return;
	}
	free(wish);
	sub->history = NULL;
}

/* Order of two subjects' hashes. */
static int
compare(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/* How many different people; all that are anonymous count as one, as everywhere in this protocol. */
static int
count_users(const QmsChannel *channel)
{
	uint64_t   *hashes = qms_alloc((channel->nsubs + 1) * sizeof(uint64_t));
	const QmsSub *sub;
	int			users = 0;
	int			n = 0;
	int			i;

	for (sub = channel->first; sub != NULL; sub = sub->next)
	{
		const char *at = sub->client->subject;
		uint64_t	h = 14695981039346656037u;

		for (; at != NULL && *at != '\0'; at++)
			h = (h ^ (unsigned char) *at) * 1099511628211u;
		hashes[n++] = h;
	}
	qsort(hashes, n, sizeof(uint64_t), compare);
	for (i = 0; i < n; i++)
		if (i == 0 || hashes[i] != hashes[i - 1])
			users++;
	free(hashes);
	return users;
}

/* How many are subscribed to a channel of this gateway. */
void
qms_client_presence_stats(QmsClient *client, const QmsCommand *command)
{
	QmsSub	   *sub = command->channel == NULL ? NULL : qms_client_sub(client, command->channel);
	int64_t		now = qms_now_ms();
	QmsPut		put;

	if (sub == NULL || sub->state != QMS_SUB_LIVE)
	{
		qms_client_error(client, command->id, command->channel == NULL ? QMS_ERROR_BAD_REQUEST :
						 QMS_ERROR_PERMISSION_DENIED);
		return;
	}
	if (sub->channel->stats_at == 0 || now - sub->channel->stats_at > STATS_MS)
	{
		sub->channel->stats_users = count_users(sub->channel);
		sub->channel->stats_at = now;
	}
	qms_client_put(client, &put);
	qms_put_reply(&put, command->id, "presence_stats", 10);
	qms_put_number(&put, "num_clients", 1, sub->channel->nsubs);
	qms_put_number(&put, "num_users", 2, sub->channel->stats_users);
	qms_client_say(client, &put);
}
