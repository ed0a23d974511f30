/*
 * fanout.c
 *		Who is to be sent something, in which order.
 *
 * A channel with news is queued by its kind and its subscribers are visited
 * round and round, each one brought from its cursor to the channel's end.
 * After QMS_SLICE visits the loop has its turn.  Consoles and displays go
 * before phones, also when they have news while phones are still being served.
 */
#include "hub.h"

typedef struct Queue
{
	QmsChannel *first;
	QmsChannel *last;
} Queue;

static Queue queues[QMS_CHANNEL_KINDS];

/* Channels that were served in the running slice: since when they had news. */
static struct
{
	int64_t		news_at;
	int			kind;
}			served[QMS_SLICE];
static int	nserved;

/* Has everybody been served? */
bool
qms_fanout_is_done(void)
{
	int			kind;

	for (kind = 0; kind < QMS_CHANNEL_KINDS; kind++)
		if (queues[kind].first != NULL)
			return false;
	return true;
}

/* The channel has news for its subscribers: each is visited once from here on. */
void
qms_fanout_channel(QmsChannel *channel)
{
	Queue	   *queue = &queues[channel->kind];

	channel->left = channel->nsubs;
	if (channel->queued)
		return;
	channel->queued = true;
	channel->next_queued = NULL;
	if (queue->last == NULL)
		queue->first = channel;
	else
		queue->last->next_queued = channel;
	queue->last = channel;
	qms_hub_busy();
}

/* The channel goes. */
void
qms_fanout_forget(QmsChannel *channel)
{
	Queue	   *queue = &queues[channel->kind];
	QmsChannel *before = NULL;
	QmsChannel *at;

	if (!channel->queued)
		return;
	for (at = queue->first; at != channel; at = at->next_queued)
		before = at;
	if (before == NULL)
		queue->first = channel->next_queued;
	else
		before->next_queued = channel->next_queued;
	if (queue->last == channel)
		queue->last = before;
	channel->queued = false;
}

/* What the slice has written so far is sent, and only now its channels have been served. */
static void
send_gathered(void)
{
	int64_t		now;
	int			i;

	qms_send_end();
	now = qms_now_ns();
	for (i = 0; i < nserved; i++)
	{
		double		seconds = (double) (now - served[i].news_at) / 1e9;

		qms_histogram_add(&qms_hub.counters.delivery[served[i].kind], seconds);
		qms_hub.counters.lag_ms = seconds * 1000;
	}
	nserved = 0;
	qms_send_begin();
}

/* The first channel of a queue has been served. */
static void
finish(Queue *queue)
{
	QmsChannel *channel = queue->first;

	queue->first = channel->next_queued;
	if (queue->first == NULL)
		queue->last = NULL;
	channel->queued = false;
	channel->left = 0;
	if (channel->news_at == 0)
		return;
	if (nserved == QMS_SLICE)
		send_gathered();
	served[nserved].kind = channel->kind;
	served[nserved++].news_at = channel->news_at;
	channel->news_at = 0;
}

/* A slice is sent: the streams go on, those too that wait until everybody has been served. */
static void
read_on(void)
{
	bool		done = qms_fanout_is_done();
	QmsDatabase *db;

	if (done)
		qms_ring_forget_frames();
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		if (done)
			db->unfinished = 0;
		qms_stream_go_on(db);
	}
}

/* One slice. */
void
qms_fanout_run(void)
{
	int			visits = QMS_SLICE;
	int			kind = 0;

	if (qms_fanout_is_done())
		return;
	qms_send_begin();
	while (kind < QMS_CHANNEL_KINDS && visits > 0)
	{
		QmsChannel *channel = queues[kind].first;
		QmsSub	   *sub;

		if (channel == NULL)
		{
			kind++;
			continue;
		}
		sub = channel->walk != NULL ? channel->walk : channel->first;
		if (channel->left <= 0 || sub == NULL)
		{
			finish(&queues[kind]);
			continue;
		}
		channel->walk = sub->next;
		channel->left--;
		visits--;
		qms_sub_visit(sub);
	}
	send_gathered();
	qms_send_end();
	read_on();
}
