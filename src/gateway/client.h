/*
 * client.h
 *		Clients, and what is asked about their rights.  Included by hub.h.
 */
#ifndef QMS_CLIENT_H
#define QMS_CLIENT_H

typedef enum QmsClientState
{
	QMS_CLIENT_NEW, QMS_CLIENT_CHECKING, QMS_CLIENT_SETTLING, QMS_CLIENT_CONNECTED,
	QMS_CLIENT_GONE				/* told to go, or dying: nothing is sent any more */
} QmsClientState;

#define QMS_ADDRESS_SIZE 46

struct QmsClient
{
	QmsConn    *conn;
	QmsDatabase *db;
	QmsClient  *next;			/* of the database */
	QmsClient  *prev;
	QmsSub	   *subs;
	QmsOut	   *out;			/* replies that wait until the connection is clear */
	QmsOut	   *out_last;
	QmsCheck   *check;
	char	   *token;
	char	   *subject;
	char	   *backlog;		/* what was said before connect was answered */
	uint32_t	backlog_size;
	QmsTimer	timer;
	int64_t		organization_id;
	int64_t		expires_at;		/* seconds since 1970, 0: never */
	int64_t		began;			/* connect was said */
	int64_t		pinged;			/* 0: no pong is awaited */
	int64_t		next_ping;
	int64_t		behind_since;	/* 0: it keeps up */
	int64_t		allowance_at;	/* of commands */
	int64_t		event_id;		/* SSE: the last id it was told */
	uint32_t	out_bytes;
	uint32_t	connect_id;
	int			allowance;		/* commands it may say now */
	uint16_t	out_frames;
	uint16_t	nsubs;
	bool		refused;		/* one of the channels in its address is none */
	uint8_t		kind;			/* QmsConnKind */
	uint8_t		form;			/* QmsForm */
	uint8_t		state;			/* QmsClientState */
	char		id[37];
	char		address[QMS_ADDRESS_SIZE];
};

/* A question to the database about somebody's rights. */
typedef enum QmsCheckKind
{
	QMS_CHECK_CONNECT, QMS_CHECK_REFRESH, QMS_CHECK_CONNECT_AGAIN,
	QMS_CHECK_SUBSCRIBE, QMS_CHECK_SUB_REFRESH, QMS_CHECK_SUBSCRIBE_AGAIN,
	QMS_CHECK_PUBLIC
} QmsCheckKind;

struct QmsCheck
{
	QmsCheck   *next;
	QmsCheckKind kind;
	QmsClient  *client;			/* one of the three; all null: nobody waits any more */
	QmsSub	   *sub;
	QmsChannel *channel;
	char	   *token;			/* of a refresh */
	uint32_t	command_id;		/* of a refresh */
};

typedef struct QmsAnswer		/* of gateway_check; strings live during the call */
{
	int			code;
	int64_t		expires_at;
	int64_t		organization_id;
	const char *subject;
	const char *channels;		/* lines */
	const char *canonical;
} QmsAnswer;

typedef struct QmsChecks
{
	QmsCheck   *first;
	QmsCheck   *last;
	int			count;
} QmsChecks;

/* check.c, recheck.c */
extern void qms_check_ask(QmsCheck *check);
extern QmsCheck *qms_check_new(QmsCheckKind kind);
extern void qms_check_forget(QmsCheck *check);
extern void qms_check_flush(QmsDatabase *db);
extern void qms_check_drop_all(QmsDatabase *db);
extern void qms_recheck_organization(QmsDatabase *db, int64_t organization_id);
extern void qms_recheck_client(QmsClient *client, bool all);
extern void qms_recheck_start(QmsDatabase *db);
extern void qms_recheck_stop(QmsDatabase *db);
extern void qms_recheck_public(QmsChannel *channel);

/* client.c */
extern void qms_client_disconnect(QmsClient *client, int code);
extern void qms_client_fail_waiting(QmsClient *client, int64_t before);
extern QmsSub *qms_client_sub(const QmsClient *client, const char *channel);

/* client_timer.c */
extern void qms_client_schedule(QmsClient *client);
extern void qms_client_start_pings(QmsClient *client);

/* client_write.c */
extern bool qms_client_at_ease(const QmsClient *client);
extern void qms_client_send(QmsClient *client, QmsFrame *frame);	/* takes the frame */
extern void qms_client_put(const QmsClient *client, QmsPut *put);	/* begins a frame, in the scratch */
extern void qms_client_say(QmsClient *client, QmsPut *put);	/* sends it */
extern void qms_client_error(QmsClient *client, uint32_t id, int code);
extern bool qms_client_write(QmsClient *client, QmsFrame *frame);	/* at ease: now */
extern void qms_client_drop_out(QmsClient *client);
extern void qms_client_tell_id(QmsClient *client);

/* client_connect.c */
extern void qms_client_connect(QmsClient *client, const QmsCommand *command);
extern void qms_client_connect_answer(QmsClient *client, const QmsAnswer *answer);
extern void qms_client_settled(QmsClient *client);
extern void qms_client_refresh(QmsClient *client, const QmsCommand *command);
extern void qms_client_refresh_answer(QmsClient *client, QmsCheck *check, const QmsAnswer *answer);
extern void qms_client_again_answer(QmsClient *client, const QmsAnswer *answer);

/* sub.c, client_subscribe.c */
extern void qms_client_subscribe(QmsClient *client, const QmsCommand *command);
extern void qms_client_unsubscribe(QmsClient *client, const QmsCommand *command);
extern void qms_client_sub_refresh(QmsClient *client, const QmsCommand *command);
extern QmsSub *qms_sub_new(QmsClient *client, const char *channel, const QmsPlace *place);
extern bool qms_sub_may_be_made(const QmsClient *client, const char *channel);
extern void qms_sub_ask(QmsSub *sub);
extern void qms_sub_free(QmsSub *sub);
extern void qms_sub_end(QmsSub *sub, int code, const char *reason);
extern void qms_sub_refuse(QmsSub *sub, int code);
extern void qms_sub_answer(QmsSub *sub, QmsCheck *check, const QmsAnswer *answer);
extern void qms_sub_public_answer(QmsChannel *channel, const QmsAnswer *answer);

/* client_look.c */
extern void qms_client_history(QmsClient *client, const QmsCommand *command);
extern void qms_client_history_answer(QmsSub *sub);
extern void qms_client_presence_stats(QmsClient *client, const QmsCommand *command);

#endif							/* QMS_CLIENT_H */
