/*
 * hub_fake.h
 *		A world for the hub without network, database and clock: what the hub calls
 *		is played here, so that every order of events can be tried.
 */
#ifndef QMS_HUB_FAKE_H
#define QMS_HUB_FAKE_H

#include "hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* hub_fake.c: clock, wheel, log */
extern int64_t fake_now;		/* milliseconds */
extern bool fake_loud;
extern void fake_advance(int ms);
extern int	fake_random(int n);	/* 0 .. n - 1 */
extern void fake_seed(unsigned seed);
extern void fail(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));

#define CHECK(condition) ((condition) ? (void) 0 : fail("%s:%d: %s", __FILE__, __LINE__, #condition))

/* fake_database.c: events, snapshots and rights, and two connections to them */
typedef struct FakeEvent
{
	int64_t		position;
	int			branch;
	int			zone;			/* 0: null */
	int			queue;
	int			visit;
	bool		is_public;
	bool		recheck;
	bool		resnapshot;
} FakeEvent;

#define FAKE_EVENTS 200000

typedef struct FakeDatabase
{
	int			epoch;
	int64_t		last;
	int64_t		pruned;
	FakeEvent	events[FAKE_EVENTS];
	int			nevents;
	bool		is_open;		/* connections are possible */
	bool		is_adopted;
	bool		is_public;		/* anonymous people may read displays and queues */
	int64_t		token_expires;
	bool		token_is_revoked;
	bool		lags;			/* snapshots come from a server that is behind */
	int			nchecks;
	int			nloads;
	int			nreads;
} FakeDatabase;

extern FakeDatabase fake_db;

extern void fake_publish(int branch, int zone, int queue, int visit, bool is_public);
extern void fake_ring(void);
extern bool fake_is_of(const FakeEvent *event, const char *channel);
extern bool fake_database_step(void);	/* false: nothing to do */
extern void fake_database_cut(void);
extern bool fake_database_is_idle(void);
extern const char *fake_epoch(void);

/* fake_client.c: connections, and what people at the other end believe */
#define FAKE_SUBS 10
#define FAKE_CHANNEL 64

typedef struct FakeSub
{
	char		channel[FAKE_CHANNEL];
	bool		is_live;
	bool		was_live;		/* it has a place to recover from */
	bool		asked;
	uint32_t	id;
	uint32_t	leaving;		/* unsubscribe that is not answered yet */
	char		epoch[32];
	int64_t		offset;
	int			received;
	int			snapshots;
} FakeSub;

struct QmsConn
{
	QmsClient  *client;
	QmsConnKind kind;
	QmsForm		form;
	bool		is_open;
	bool		is_clear;
	bool		is_closing;
	bool		wants;
	bool		answers;		/* pings */
	bool		is_connected;
	int			close_code;
	int			error;			/* of the last error reply */
	uint32_t	last_id;
	int			messages;
	char	   *last;			/* message, as JSON */
	FakeSub		subs[FAKE_SUBS];
	int			nsubs;
};

extern QmsForm fake_form;		/* in which the next that opens speaks, if it is a WebSocket; QMS_FORMS: any */
extern int	fake_jam;			/* a write jams the connection once in so many; 0: never */

extern void fake_open(QmsConn *conn, QmsConnKind kind, const char *channel, const char *event_id, const char *token);
extern void fake_cut(QmsConn *conn);
extern void fake_say(QmsConn *conn, const char *format,...) __attribute__((format(printf, 2, 3)));
extern FakeSub *fake_sub(QmsConn *conn, const char *channel);
extern void fake_subscribe(QmsConn *conn, const char *channel, const char *extra);
extern void fake_unsubscribe(QmsConn *conn, const char *channel);
extern void fake_unjam(QmsConn *conn);	/* clear, and the hub is told */
extern void fake_writable(QmsConn *conn);	/* the hub is told, if it is clear and wants to know */
extern void fake_check_complete(QmsConn *conn);

/* hub_fake.c */
extern void fake_start(int history_size);
extern void fake_stop(void);
extern void fake_turn(void);	/* one turn of the loop */
extern void fake_settle(void);	/* until nothing happens any more */

#endif							/* QMS_HUB_FAKE_H */
