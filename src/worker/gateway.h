/*
 * gateway.h
 *		The background worker that keeps the program qms_gateway running, and
 *		what is known of gateways.
 */
#ifndef QMS_WORKER_GATEWAY_H
#define QMS_WORKER_GATEWAY_H

#include "worker/worker.h"

#include "lib/stringinfo.h"
#include "utils/guc.h"

#define QMS_GATEWAY_LOGIN "qms_gateway_local"

#define QMS_GATEWAY_NAME_SIZE 64
#define QMS_GATEWAY_LISTEN_SIZE 256
#define QMS_GATEWAY_REPORTS 64	/* gateways elsewhere that are remembered */
#define QMS_GATEWAY_DATABASES_SIZE 2048 /* what such a one says of its databases, as text */

typedef enum QmsGatewayState
{
	QMS_GATEWAY_OFF,
	QMS_GATEWAY_WAITING,		/* for a database */
	QMS_GATEWAY_STARTING,
	QMS_GATEWAY_LISTENING,
	QMS_GATEWAY_FAILED			/* it is tried again */
} QmsGatewayState;

/* What a gateway counts. */
typedef struct QmsGatewayFigures
{
	TimestampTz at;				/* 0: it has said nothing yet */
	int64		connections;
	int64		subscriptions;
	int64		messages;
	int64		bytes;
	int64		drops;
	double		lag_ms;			/* below 0: not said */
} QmsGatewayFigures;

/* One database, as the program here sees it. */
typedef struct QmsGatewayDatabase
{
	Oid			database;		/* InvalidOid: end of the list */
	bool		connected;
	int64		position;
	char		error[QMS_ERROR_SIZE];
} QmsGatewayDatabase;

/* A gateway that runs elsewhere, as it says of itself. */
typedef struct QmsGatewayReport
{
	Oid			database;		/* in which it has said so; InvalidOid: free */
	int32		pid;			/* 0: not said */
	char		name[QMS_GATEWAY_NAME_SIZE];
	char		host[QMS_GATEWAY_NAME_SIZE];
	char		listen[QMS_GATEWAY_LISTEN_SIZE];
	char		error[QMS_ERROR_SIZE];
	TimestampTz since;			/* its first report, in a row */
	QmsGatewayFigures figures;
	char		databases[QMS_GATEWAY_DATABASES_SIZE];
} QmsGatewayReport;

typedef struct QmsGatewayShared
{
	LWLock	   *lock;			/* of everything below */
	int			procno;			/* of the worker, plus 1; 0: none */
	pid_t		pid;
	/* the login; see gateway_login.c */
	char		password[48];	/* empty until it is made */
	char		verifier[256];
	Oid			login_wanted;	/* set it through this database; InvalidOid: it is set */
	int			login_limit;	/* connections it should have */
	/* the program */
	QmsGatewayState state;
	TimestampTz since;			/* of this state */
	pid_t		program;		/* 0: not running */
	int64		starts;			/* since the server started */
	char		reason[QMS_ERROR_SIZE]; /* of the state */
	char		listen[QMS_GATEWAY_LISTEN_SIZE];
	char		error[QMS_ERROR_SIZE];	/* the last one */
	TimestampTz error_at;
	QmsGatewayFigures figures;
	QmsGatewayDatabase databases[QMS_MAX_DATABASES];
	QmsGatewayReport reports[QMS_GATEWAY_REPORTS];
} QmsGatewayShared;

extern QmsGatewayShared *qms_gateway_shared;

/* gateway_settings.c */
extern void qms_gateway_define_settings(void);
extern bool qms_gateway_is_on(void);
extern int	qms_gateway_hang_timeout(void); /* seconds; 0: off */
extern char *qms_gateway_program_path(void);
extern void qms_gateway_write_settings(StringInfo json);
extern void qms_gateway_write_hosts(StringInfo json);
extern const char *qms_gateway_default_database(void);	/* NULL: none is named */
extern uint64 qms_gateway_restart_key(void);
extern bool qms_gateway_has_certificate(void);
extern void qms_gateway_write_member(StringInfo json, const char *key, const char *value);

/* gateway_lists.c: check hooks of lists */
extern bool qms_gateway_check_listen(char **newval, void **extra, GucSource source);
extern bool qms_gateway_check_hosts(char **newval, void **extra, GucSource source);
extern bool qms_gateway_check_origins(char **newval, void **extra, GucSource source);
extern bool qms_gateway_check_proxies(char **newval, void **extra, GucSource source);
extern bool qms_gateway_check_path(char **newval, void **extra, GucSource source);
extern char *qms_gateway_next_word(char **rest);

/* gateway_shared.c */
extern void qms_gateway_init(void);
extern void qms_gateway_wake(void);
extern void qms_gateway_note_state(QmsGatewayState state, const char *reason);
extern void qms_gateway_note_error(const char *message);
extern void qms_gateway_note_program(pid_t pid);
extern void qms_gateway_note_listening(const char *listen);
extern bool qms_gateway_sessions_are_there(Oid database);

/* gateway_status.c */
extern bool qms_gateway_is_forgotten(const QmsGatewayReport *report, TimestampTz now);

/* gateway_login.c */
extern bool qms_gateway_login_is_set(int ndatabases);
extern void qms_gateway_want_login(Oid database, int ndatabases);
extern Oid	qms_gateway_login_database(void);
extern void qms_gateway_set_login(void);
extern void qms_gateway_login_failed(const char *message);

/* gateway_databases.c: those that the program serves */
extern void qms_gateway_look_at_databases(void);
extern int	qms_gateway_count_databases(void);
extern Oid	qms_gateway_best_database(int *failures);
extern Oid	qms_gateway_database_named(const char *name);
extern bool qms_gateway_find_server(char *host, Size size);
extern void qms_gateway_write_databases(StringInfo json, const char *host);

/* gateway_program.c: the process and its pipes */
extern bool qms_program_is_running(void);
extern pid_t qms_program_pid(void);
extern int	qms_program_start(const char *path);	/* 0, or errno */
extern void qms_program_send(char *text, int size);
extern void qms_program_stop(void);
extern void qms_program_kill(void);
extern bool qms_program_reap(int *status);
extern void qms_program_forget(void);
extern char *qms_program_line(bool *is_error);
extern bool qms_program_wait(long timeout);
extern void qms_program_set_signals(void);

/* gateway_alive.c: its signs of life */
extern int	qms_alive_every(void);
extern void qms_alive_begin(int64 now);
extern void qms_alive_look(int64 now);
extern void qms_alive_hear(void);
extern void qms_alive_expect(int64 until, int64 now);
extern int64 qms_alive_next_look(void);
extern bool qms_alive_is_silent(void);

/* gateway_messages.c */
extern bool qms_gateway_read_messages(void);	/* there may be more */
extern void qms_gateway_begin_messages(void);
extern bool qms_gateway_is_ready(void);
extern bool qms_gateway_has_given_up(void); /* it has said why it ends */
extern bool qms_gateway_misses_database(void);
extern void qms_gateway_read_figures(const Jsonb *json, QmsGatewayFigures *figures);
extern void qms_gateway_complain(const char *message, const char *detail, const char *hint);
extern void qms_gateway_forget_complaint(void);

/* gateway.c */
extern PGDLLEXPORT void qms_gateway_main(Datum arg);

#endif							/* QMS_WORKER_GATEWAY_H */
