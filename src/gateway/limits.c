/*
 * limits.c
 *		What one address may take: connections at the same time, and requests a
 *		second.  IPv6 is counted by /64, which is what one subscriber is given.
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_SIZE 256
#define MAX_AT_REST 65536		/* remembered for their request rate only */
#define SWEEP_EVERY 5000		/* ms */
#define V6_BYTES 8

struct QmsPeer
{
	QmsPeer    *next;			/* in its chain */
	QmsAddress	key;
	int			connections;
	int			spent;			/* requests not yet forgotten */
	int64_t		spent_at;
};

static QmsPeer **table;
static size_t table_size;		/* power of two */
static size_t peers;
static size_t at_rest;			/* without connections */
static uint64_t secret[2];
static QmsTimer sweep_timer;

static void sweep(void *arg);

/* The chain of a key.  Keyed, so that nobody can choose addresses of one chain. */
static QmsPeer **
chain(const QmsAddress *key)
{
	uint64_t	a,
				b;

	memcpy(&a, key->bytes, 8);
	memcpy(&b, key->bytes + 8, 8);
	a = (a ^ secret[0]) * UINT64_C(0x9e3779b97f4a7c15);
	b = (b ^ secret[1] ^ (a >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
	a = (a ^ (b >> 32)) * UINT64_C(0x94d049bb133111eb);
	return &table[(a >> 20) & (table_size - 1)];
}

/* Room for the peers; chains stay short. */
static void
make_room(void)
{
	QmsPeer   **old = table;
	size_t		old_size = table_size;
	size_t		i;

	if (table == NULL && getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		abort();
	if (peers < table_size)
		return;
	table_size = table_size == 0 ? FIRST_SIZE : table_size * 2;
	table = calloc(table_size, sizeof(*table));
	if (table == NULL)
		abort();
	for (i = 0; i < old_size; i++)
		while (old[i] != NULL)
		{
			QmsPeer    *peer = old[i];
			QmsPeer   **head = chain(&peer->key);

			old[i] = peer->next;
			peer->next = *head;
			*head = peer;
		}
	free(old);
}

/* What was spent is forgotten at the rate that is allowed. */
static void
forget_spent(QmsPeer *peer, int rate)
{
	int64_t		now = qms_now_ms();
	int64_t		back = (now - peer->spent_at) * rate / 1000;

	if (back <= 0)
		return;
	peer->spent = back >= peer->spent ? 0 : peer->spent - (int) back;
	peer->spent_at = now;
}

/* The peer of an address, with one connection more. */
QmsPeer *
qms_peer_get(const QmsAddress *address)
{
	QmsAddress	key = *address;
	QmsPeer   **head;
	QmsPeer    *peer;

	if (!qms_address_is_v4(address))
		memset(key.bytes + V6_BYTES, 0, sizeof(key.bytes) - V6_BYTES);
	make_room();
	head = chain(&key);
	for (peer = *head; peer != NULL; peer = peer->next)
		if (memcmp(&peer->key, &key, sizeof(key)) == 0)
		{
			if (peer->connections++ == 0)
				at_rest--;
			return peer;
		}
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL)
		abort();
	peer->key = key;
	peer->connections = 1;
	peer->next = *head;
	*head = peer;
	peers++;
	return peer;
}

/* Out of its chain and freed. */
static void
drop(QmsPeer *peer)
{
	QmsPeer   **link = chain(&peer->key);

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	peers--;
	free(peer);
}

/* One connection less; a peer that sent requests a moment ago is remembered for a while. */
void
qms_peer_release(QmsPeer *peer)
{
	if (--peer->connections > 0)
		return;
	if (peer->spent == 0 || at_rest >= MAX_AT_REST)
	{
		drop(peer);
		return;
	}
	if (at_rest++ == 0)
		qms_wheel_add(&sweep_timer, SWEEP_EVERY, sweep, NULL);
}

/* Peers without connections whose requests are forgotten go. */
static void
sweep(void *arg)
{
	size_t		i;

	(void) arg;
	for (i = 0; i < table_size; i++)
	{
		QmsPeer   **link = &table[i];

		while (*link != NULL)
		{
			QmsPeer    *peer = *link;

			if (peer->connections == 0)
				forget_spent(peer, qms_net.config->max_requests_per_second);
			if (peer->connections == 0 && peer->spent == 0)
			{
				*link = peer->next;
				free(peer);
				peers--;
				at_rest--;
			}
			else
				link = &peer->next;
		}
	}
	if (at_rest > 0)
		qms_wheel_add(&sweep_timer, SWEEP_EVERY, sweep, NULL);
}

/* Connections of the address. */
int
qms_peer_connections(const QmsPeer *peer)
{
	return peer->connections;
}

/* One request; false if the address has sent too many.  Two seconds' worth may come at once. */
bool
qms_peer_request(QmsPeer *peer)
{
	int			rate = qms_net.config->max_requests_per_second;

	if (peer->spent == 0)
		peer->spent_at = qms_now_ms();
	forget_spent(peer, rate);
	if (peer->spent >= 2 * rate)
		return false;
	peer->spent++;
	return true;
}

/* At the end of the program. */
void
qms_limits_stop(void)
{
	size_t		i;

	qms_wheel_cancel(&sweep_timer);
	for (i = 0; i < table_size; i++)
		while (table[i] != NULL)
		{
			QmsPeer    *peer = table[i];

			table[i] = peer->next;
			free(peer);
		}
	free(table);
	table = NULL;
	table_size = peers = at_rest = 0;
}
