/*
 * gateway.c
 *		The worker "qms gateway": keeps the program qms_gateway running while some
 *		database of the server has the extension.
 *
 * It is in no database and sleeps until something happens: the launcher or a
 * command tells it of databases, the program says something or ends, the
 * settings are read anew, the server stops.  A program that ends is started
 * again, after a second, then two, four, up to a minute.
 */
#include "worker/gateway.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/pidfile.h"

#define SHORTEST_PAUSE_MS 1000
#define LONGEST_PAUSE_MS 60000
#define LONG_RUN_MS 60000		/* after which a program that ends is not a failure in a row */
#define PATIENCE_MS 5000		/* for a program that is to end, */
#define LAST_PATIENCE_MS 800	/* and if the server waits for it */
#define START_PATIENCE_MS 30000 /* until it listens */
#define LOGIN_LOOK_MS 2000		/* between looks at the login while a database is missed */
#define LAST_READS 100			/* of what it has said before it ended */
#define SERVER_LOOK_MS 10000	/* between looks whether the server is stopping */

#define NEVER PG_INT64_MAX

/* Moments are milliseconds of a clock that nobody sets. */
static int	failures = 0;		/* in a row */
static int64 not_before = 0;	/* no start */
static int64 started_at = 0;
static int64 kill_at = 0;		/* it was asked to end; 0: was not */
static int64 looked_at_login = 0;
static uint64 restart_key = 0;	/* of the settings that it was started with */
static uint64 sent_hash = 0;	/* of the configuration that it has */
static bool send_again = false; /* the same one, too: files may have changed */
static bool is_faulty = false;	/* it is ended because it does not do its work */
static bool server_stops = false;

static int64
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the end of the worker ---- */

/* Our own end, however it comes but by SIGKILL and SIGQUIT: the program goes before us. */
static void
leave(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	int			status;
	int			waited;

	qms_program_stop();
	for (waited = 0; waited < LAST_PATIENCE_MS && qms_program_is_running() && !qms_program_reap(&status); waited += 10)
		pg_usleep(10000L);
	qms_program_kill();
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	qms_gateway_shared->procno = 0;
	qms_gateway_shared->pid = 0;
	qms_gateway_shared->program = 0;
	LWLockRelease(qms_gateway_shared->lock);
}

/* ---- the program's end ---- */

static void
fail(void)
{
	int			pause = Min(SHORTEST_PAUSE_MS << Min(failures, 6), LONGEST_PAUSE_MS);

	failures++;
	not_before = now_ms() + pause;
}

/* It has ended: because we wanted it to, because it said so, or without a word. */
static void
note_end(int status, pid_t pid)
{
	bool		wanted = kill_at != 0;

	kill_at = 0;
	qms_gateway_note_program(0);
	if (wanted && !is_faulty)
	{
		ereport(LOG,
				(errmsg("qms gateway: the program (PID %d) has ended", (int) pid)));
		return;
	}
	if (now_ms() > started_at + LONG_RUN_MS)
		failures = 0;
	if (!wanted && !qms_gateway_has_given_up())
	{
		char	   *how = wait_result_to_str(status);

		qms_gateway_complain(psprintf("the program (PID %d) has ended by itself: %s", (int) pid, how), NULL,
							 "It is started again. No SQL session is concerned.");
	}
	fail();
}

static void
reap(void)
{
	pid_t		pid = qms_program_pid();
	int			status;
	int			turns;

	if (!qms_program_reap(&status))
		return;
	for (turns = 0; turns < LAST_READS && qms_gateway_read_messages(); turns++)
		CHECK_FOR_INTERRUPTS();
	qms_program_forget();
	note_end(status, pid);
}

/* Ask it to end, once; kill it if it does not. */
static void
stop_program(const char *why)
{
	int64		until = now_ms() + (server_stops ? LAST_PATIENCE_MS : PATIENCE_MS);

	if (kill_at == 0)
	{
		ereport(DEBUG1,
				(errmsg_internal("qms gateway: the program (PID %d) is told to end: %s", (int) qms_program_pid(), why)));
		qms_program_stop();
		kill_at = until;
	}
	kill_at = Min(kill_at, until);
}

/* ---- the program's start ---- */

/* Tell it what it is to do, if that is not what it was told before. */
static void
send_config(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "qms gateway config", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	StringInfoData json;
	char		host[16];
	uint64		hash;

	initStringInfo(&json);
	appendStringInfoString(&json, "{\"type\":\"config\"");
	qms_gateway_write_settings(&json);
	qms_gateway_write_hosts(&json);
	appendStringInfo(&json, ",\"alive_every\":%d", qms_alive_every());
	if (qms_gateway_find_server(host, sizeof(host)))
		qms_gateway_write_databases(&json, host);
	appendStringInfoString(&json, "}\n");
	hash = DatumGetUInt64(hash_any_extended((unsigned char *) json.data, json.len, 0));
	if (hash != sent_hash || send_again)
		qms_program_send(json.data, json.len);
	sent_hash = hash;
	send_again = false;
	explicit_bzero(json.data, json.len);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Have the login set if it is not; false until it is. */
static bool
login_is_set(void)
{
	int			n = qms_gateway_count_databases();
	int			login_failures;
	Oid			database;

	if (qms_gateway_login_is_set(n))
		return true;
	database = qms_gateway_best_database(&login_failures);
	if (OidIsValid(database))
		qms_gateway_want_login(database, n);
	/* One that runs goes on with the connections that it has. */
	if (!qms_program_is_running())
		qms_gateway_note_state(failures > 0 || login_failures > 0 ? QMS_GATEWAY_FAILED : QMS_GATEWAY_STARTING,
							   "its login is to be made");
	return false;
}

/* Can it be run at all? */
static bool
is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
	{
		errno = EACCES;
		if (S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return true;
	}
	qms_gateway_complain(psprintf("there is no program \"%s\"", path), strerror(errno),
						 "Install qms_gateway, or set qms.gateway_program, or qms.gateway = off.");
	return false;
}

static bool
server_is_reachable(void)
{
	char		host[16];

	if (qms_gateway_find_server(host, sizeof(host)))
		return true;
	qms_gateway_complain("it could not connect to the server", "The server does not listen on a loopback address.",
						 "Add localhost to listen_addresses and restart the server, or set qms.gateway = off and run qms_gateway by hand.");
	return false;
}

/* Start it, or see why that cannot be; answers when to look again. */
static int64
start_program(void)
{
	char	   *path = qms_gateway_program_path();
	int			error;

	/* It will not be another one before a restart. */
	if (!server_is_reachable())
		return NEVER;
	if (!is_program(path))
	{
		fail();
		return not_before;
	}
	/* Whoever sets it wakes us. */
	if (!login_is_set())
		return NEVER;
	error = qms_program_start(path);
	if (error != 0)
	{
		qms_gateway_complain(psprintf("could not start the program: %s", strerror(error)), NULL, NULL);
		fail();
		return not_before;
	}
	started_at = now_ms();
	is_faulty = false;
	qms_alive_begin(started_at);
	restart_key = qms_gateway_restart_key();
	sent_hash = 0;
	qms_gateway_begin_messages();
	qms_gateway_note_program(qms_program_pid());
	qms_gateway_note_state(failures > 0 ? QMS_GATEWAY_FAILED : QMS_GATEWAY_STARTING, NULL);
	send_config();
	return started_at + START_PATIENCE_MS;
}

/* ---- turns ---- */

/*
 * A smart shutdown tells nobody: it waits for the sessions to end, and those of
 * the program are among them.  The postmaster writes it into its lock file.
 */
static bool
server_is_stopping(void)
{
	FILE	   *file = AllocateFile("postmaster.pid", "r");
	char		line[MAXPGPATH];
	bool		found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
	FreeFile(file);
	return found;
}

/* Should it run?  Says so in the status if not. */
static bool
is_wanted(void)
{
	if (server_stops)
		return false;
	if (server_is_stopping())
	{
		qms_gateway_note_state(QMS_GATEWAY_WAITING, "the server is stopping");
		return false;
	}
	if (qms_gateway_is_on() && qms_gateway_count_databases() > 0)
		return true;
	failures = 0;
	not_before = 0;
	qms_gateway_forget_complaint();
	if (!qms_program_is_running())
		qms_gateway_note_state(qms_gateway_is_on() ? QMS_GATEWAY_WAITING : QMS_GATEWAY_OFF,
							   qms_gateway_is_on() ? "no database has the extension" : "qms.gateway is off");
	return false;
}

/* One that cannot connect may have lost its login. */
static int64
look_after_login(int64 now)
{
	int64		next = looked_at_login + LOGIN_LOOK_MS;

	if (!qms_gateway_misses_database())
		return NEVER;
	if (next > now)
		return next;
	looked_at_login = now;
	(void) login_is_set();
	return now + LOGIN_LOOK_MS;
}

/* It listens and says nothing any more: it would not hear SIGTERM either. */
static void
kill_silent_program(void)
{
	qms_gateway_complain(psprintf("the program (PID %d) said nothing for %d s and was killed",
								  (int) qms_program_pid(), qms_gateway_hang_timeout()),
						 "It is to say every few seconds that it is alive: it hung, or somebody had stopped it.",
						 "It is started again. No SQL session is concerned. How long its silence is borne is set by qms.gateway_hang_timeout.");
	is_faulty = true;
	kill_at = now_ms();
}

/* A running program: is it as it should be? */
static int64
watch_program(bool changed)
{
	int64		now = now_ms();
	int64		ready_by = started_at + START_PATIENCE_MS;

	if (!is_wanted())
		stop_program("nobody wants it");
	else if (restart_key != qms_gateway_restart_key())
		stop_program("settings have changed");
	else if (!qms_gateway_is_ready() && ready_by <= now && kill_at == 0)
	{
		qms_gateway_complain("the program did not begin to listen", NULL, NULL);
		is_faulty = true;
		stop_program("it did not begin to listen");
	}
	else if (qms_gateway_is_ready() && qms_alive_is_silent() && kill_at == 0)
		kill_silent_program();
	if (kill_at != 0)
	{
		if (kill_at > now_ms())
			return kill_at;
		qms_program_kill();
		return NEVER;
	}
	if (changed)
	{
		/* More databases, more connections. */
		(void) login_is_set();
		send_config();
	}
	return Min(Min(look_after_login(now), now + SERVER_LOOK_MS),
			   qms_gateway_is_ready() ? qms_alive_next_look() : ready_by);
}

/* Answers when to look again at the latest. */
static int64
turn(bool changed)
{
	if (changed)
		qms_gateway_look_at_databases();
	if (qms_program_is_running())
		return watch_program(changed);
	if (!is_wanted())
		return NEVER;
	if (not_before > now_ms())
		return not_before;
	return start_program();
}

/* The settings are read anew: whoever did that may have mended what was wrong. */
static void
reload(void)
{
	int			alive_every = qms_alive_every();
	int			i;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	/* It has yet to be told. */
	if (alive_every != qms_alive_every())
		qms_alive_begin(now_ms());
	failures = 0;
	not_before = 0;
	send_again = qms_gateway_has_certificate();
	qms_gateway_forget_complaint();
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		qms_worker_shared->databases[i].workers[QMS_LOGIN].failures = 0;
		qms_worker_shared->databases[i].workers[QMS_LOGIN].not_before = 0;
	}
	LWLockRelease(qms_worker_shared->lock);
	qms_worker_wake_launcher();
}

/* True if somebody has woken us. */
static bool
sleep_until(int64 until)
{
	bool		woken;
	long		timeout = -1;

	qms_alive_expect(until, now_ms());
	if (until != NEVER)
		timeout = (long) Max(until - now_ms(), 0);
	pgstat_report_activity(STATE_IDLE, NULL);
	woken = qms_program_wait(timeout);
	CHECK_FOR_INTERRUPTS();
	return woken;
}

/* Turn after turn, until the server stops and the program has ended. */
static void
work(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "qms gateway turn", ALLOCSET_DEFAULT_SIZES);
	bool		changed = true;

	while (!server_stops || qms_program_is_running())
	{
		int64		next;
		bool		more;

		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		if (ConfigReloadPending)
			reload();
		server_stops = ShutdownRequestPending;
		qms_alive_look(now_ms());
		more = qms_gateway_read_messages();
		reap();
		next = turn(changed);
		changed = false;
		/* One that says very much is read slowly, and does not keep us from all else. */
		if (more)
			pg_usleep(5000L);
		if (!server_stops || qms_program_is_running())
			changed = sleep_until(more ? 0 : next);
	}
}

void
qms_gateway_main(Datum arg pg_attribute_unused())
{
	qms_program_set_signals();
	BackgroundWorkerUnblockSignals();
	/* No database: what it has to know of them is in shared catalogs. */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	/* The program's texts are UTF-8, and there is no database of another encoding here. */
	SetDatabaseEncoding(PG_UTF8);
	pgstat_report_appname("qms gateway");
	before_shmem_exit(leave, 0);
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	qms_gateway_shared->pid = MyProcPid;
	qms_gateway_shared->procno = MyProc->pgprocno + 1;
	LWLockRelease(qms_gateway_shared->lock);
	qms_gateway_note_program(0);
	work();
	/* Not 0: somebody who terminates it by hand gets it back. */
	proc_exit(1);
}
