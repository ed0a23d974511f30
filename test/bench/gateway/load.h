/*
 * load.h
 *		The load client: very many WebSocket clients in one process.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_CLIENTS 40000
#define ROUND_MS 20000

typedef enum State
{
	CONNECTING, UPGRADING, ASKED, OPEN, STALLED, CLOSED
} State;

/* Clients of one channel. */
typedef struct Group
{
	const char *channel;		/* null: nothing is subscribed */
	const char *token;			/* or null */
	bool		watched;		/* whose times are told apart, and who are read first */
} Group;

typedef struct Client
{
	int			fd;
	State		state;
	const Group *group;
	int64_t		messages;
	size_t		kept;			/* bytes of a frame that is not complete */
	unsigned char *rest;
} Client;

/* client.c: the clients on their epoll */
extern Client clients[MAX_CLIENTS];
extern int	nclients,
			nopen,
			nstalled,
			nclosed,
			nwatched,			/* open and watched */
			epoll;
extern int64_t bytes,
			pings,
			received,			/* messages of all since the last reset */
			goal,
			reached,
			watched_reached;
extern int64_t first_at,
			last_at,
			watched_at;			/* when the last of the watched was there */
extern int64_t now_ns(void);
extern void die(const char *what);
extern void begin(int port, const char *path, const char *channel);	/* channel null: plain */
extern void open_clients(int n, const Group *const *among, int namong);
extern void stall_client(Client *client);
extern void close_client(Client *client);
extern void turn(int timeout);

/* memory.c */
extern void print_memory(int port);

/* commit.c: statements, in a thread of their own */
extern int64_t commit_at,
			ack_at,
			nrows;
extern void begin_committing(const char *conninfo);
extern void give(const char *sql, bool transaction);
extern bool is_given(void);		/* still under way */

#endif							/* LOAD_H */
