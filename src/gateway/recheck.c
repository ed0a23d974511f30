/*
 * recheck.c
 *		Rights are asked again: all of an organization's when an event says that
 *		they may have changed, and everybody's once a minute, spread over it.
 */
#include "hub.h"

#define TICK_MS 1000

/* May everybody still read it? */
void
qms_recheck_public(QmsChannel *channel)
{
	QmsCheck   *check;

	if (channel->check != NULL)
		return;
	check = qms_check_new(QMS_CHECK_PUBLIC);
	check->channel = channel;
	channel->check = check;
	channel->known_at = qms_now_ms();
	if (channel->known != QMS_PUBLIC)
		channel->known = QMS_ASKED;
	qms_check_ask(check);
}

/* A client's own right and those of his subscriptions; all: also those of the public, whenever they were asked. */
void
qms_recheck_client(QmsClient *client, bool all)
{
	int64_t		now = qms_now_ms();
	QmsSub	   *sub;

	if (client->state != QMS_CLIENT_CONNECTED)
		return;
	if (client->token != NULL && client->check == NULL)
	{
		client->check = qms_check_new(QMS_CHECK_CONNECT_AGAIN);
		client->check->client = client;
		qms_check_ask(client->check);
	}
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
	{
		if (sub->state == QMS_SUB_CHECKING)
			continue;
		if (!sub->own_right)
		{
			if (all || now - sub->channel->known_at >= QMS_RECHECK_MS)
				qms_recheck_public(sub->channel);
			continue;
		}
		if (sub->check != NULL)
			continue;
		sub->check = qms_check_new(QMS_CHECK_SUBSCRIBE_AGAIN);
		sub->check->sub = sub;
		qms_check_ask(sub->check);
	}
}

/* Is the organization among those gathered?  0, not known, may be. */
static bool
is_gathered(const QmsDatabase *db, int64_t organization_id)
{
	int			i;

	if (organization_id == 0)
		return true;
	for (i = 0; i < db->nrecheck; i++)
		if (db->recheck_organizations[i] == organization_id)
			return true;
	return db->nrecheck < 0;
}

/* Has he to do with one of the organizations gathered? */
static bool
is_concerned(const QmsClient *client)
{
	const QmsSub *sub;

	if (client->organization_id != 0 && is_gathered(client->db, client->organization_id))
		return true;
	for (sub = client->subs; sub != NULL; sub = sub->next_of_client)
		if (is_gathered(client->db, sub->channel->organization_id))
			return true;
	return false;
}

/* The events of the last moment have been gathered. */
static void
on_gathered(void *arg)
{
	QmsDatabase *db = arg;
	QmsChannel *channel = NULL;
	QmsClient  *client;
	int			bucket = 0;

	/* What nobody looks at now is asked when somebody comes. */
	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
		if (channel->nsubs == 0 && is_gathered(db, channel->organization_id))
			channel->known = QMS_NOT_ASKED;
	for (client = db->clients; client != NULL; client = client->next)
		if (is_concerned(client))
			qms_recheck_client(client, true);
	db->nrecheck = 0;
}

/* An event says that rights in an organization may have changed. */
void
qms_recheck_organization(QmsDatabase *db, int64_t organization_id)
{
	int			most = sizeof(db->recheck_organizations) / sizeof(db->recheck_organizations[0]);

	if (organization_id == 0 || is_gathered(db, organization_id))
		return;
	if (db->nrecheck == 0)
		qms_wheel_add(&db->recheck, QMS_RECHECK_GATHER, on_gathered, db);
	if (db->nrecheck == most)
		db->nrecheck = -1;
	else
		db->recheck_organizations[db->nrecheck++] = organization_id;
}

/* Those who have waited too long for the database are told to try again. */
static void
fail_waiting(QmsDatabase *db)
{
	int64_t		before = qms_now_ms() - QMS_ANSWER_MS;
	QmsClient  *client = db->clients;

	if (db->streaming && db->checks.first == NULL && db->flying.first == NULL &&
		db->wanted == NULL && !db->loading)
		return;
	while (client != NULL)
	{
		QmsClient  *next = client->next;

		qms_client_fail_waiting(client, before);
		client = next;
	}
}

/* Once a second: a part of the clients is asked again. */
static void
on_tick(void *arg)
{
	QmsDatabase *db = arg;
	int			n = (db->nclients + QMS_RECHECK_MS / TICK_MS - 1) / (QMS_RECHECK_MS / TICK_MS);

	qms_wheel_add(&db->tick, TICK_MS, on_tick, db);
	fail_waiting(db);
	while (n-- > 0)
	{
		if (db->sweep == NULL)
			db->sweep = db->clients;
		if (db->sweep == NULL)
			return;
		qms_recheck_client(db->sweep, false);
		db->sweep = db->sweep->next;
	}
}

/* Begin with a database. */
void
qms_recheck_start(QmsDatabase *db)
{
	qms_wheel_add(&db->tick, TICK_MS, on_tick, db);
}

/* No more of it. */
void
qms_recheck_stop(QmsDatabase *db)
{
	qms_wheel_cancel(&db->tick);
	qms_wheel_cancel(&db->recheck);
}
