/*
 * gateway_program.c
 *		The program qms_gateway as a child of its worker: started with nothing of
 *		the server's but three pipes, written to and read from without waiting,
 *		gone when the worker is.
 *
 * It talks to the network, so it is kept apart from all that is ours: no
 * descriptor, no environment, no signal handler, no working directory, no way
 * to more privileges (PR_SET_NO_NEW_PRIVS); and the kernel ends it with the
 * worker, however that ends (PR_SET_PDEATHSIG).
 */
#include "worker/gateway.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#define MAX_LINE (256 * 1024)	/* of a message */
#define MAX_ENVIRONMENT 16
#define READS_PER_TURN 8
/* It is easily started again, which cannot be said of a session: the kernel takes it first. */
#define OOM_SCORE "200\n"

enum
{
	STDIN, STDOUT, STDERR, PIPES
};

/* What it says, until a line is complete. */
typedef struct Reader
{
	StringInfoData text;
	int			begin;			/* what is before that has been answered */
	bool		skipping;		/* the rest of a line that was too long */
} Reader;

static pid_t volatile child = 0;	/* 0: does not run */
static int	ends[PIPES] = {-1, -1, -1}; /* ours, of the pipes */
static Reader readers[PIPES];
static StringInfoData unsent;
static WaitEventSet *events = NULL;

bool
qms_program_is_running(void)
{
	return child != 0;
}

pid_t
qms_program_pid(void)
{
	return child;
}

/* ---- start ---- */

/* A pipe whose ends no program inherits, and that are none of the three standard ones. */
static bool
open_pipe(int fds[2])
{
	int			i;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	for (i = 0; i < 2; i++)
	{
		int			other = fds[i];

		if (other > STDERR_FILENO)
			continue;
		fds[i] = fcntl(other, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		close(other);
	}
	return fds[0] >= 0 && fds[1] >= 0;
}

static void
close_end(int which)
{
	if (ends[which] < 0)
		return;
	close(ends[which]);
	ends[which] = -1;
	/* The kernel has taken it out; another one may get its number. */
	if (events != NULL)
		FreeWaitEventSet(events);
	events = NULL;
}

/* What of the server's environment it may see: language and time zone, and where libraries are. */
static void
choose_environment(char *chosen[MAX_ENVIRONMENT])
{
	static const char *const names[] = {"LANG=", "LC_ALL=", "LC_CTYPE=", "LC_MESSAGES=", "TZ=", "PATH=", "LD_LIBRARY_PATH="};
	int			n = 0;
	size_t		i;
	char	  **e;

	for (e = environ; *e != NULL; e++)
	{
		for (i = 0; i < lengthof(names) && n < MAX_ENVIRONMENT - 1; i++)
		{
			if (strncmp(*e, names[i], strlen(names[i])) == 0)
				chosen[n++] = *e;
		}
	}
	chosen[n] = NULL;
}

static void
close_all_from(int first, int limit)
{
	int			fd;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
#endif
	for (fd = first; fd < limit; fd++)
		close(fd);
}

static void
write_oom_score(void)
{
#ifdef __linux__
	int			fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0)
		return;
	/* No matter if it may not. */
	if (write(fd, OOM_SCORE, sizeof(OOM_SCORE) - 1) < 0)
		errno = 0;
	close(fd);
#endif
}

/*
 * In the child: from here to execve() only calls that are safe behind a fork,
 * and no return.  What was wrong is told with the program's own means.
 */
static pg_attribute_noreturn() void
become_program(const char *path, char *const *environment, const int *fds, pid_t parent, int limit)
{
	static char name[] = "qms_gateway";
	static char option[] = "--supervised";
	char	   *const arguments[] = {name, option, NULL};
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	char		errno_line[] = "{\"type\":\"exec\",\"errno\":\"0000\"}\n";
	char	   *digit = errno_line + sizeof(errno_line) - 4;
	sigset_t	none;
	int			i;

	for (i = 1; i < NSIG; i++)
		(void) sigaction(i, &by_default, NULL);
	(void) setsid();
#ifdef __linux__
	(void) prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
	/* The worker may have gone before the kernel was told to watch it. */
	if (getppid() != parent)
		_exit(1);
	for (i = 0; i < PIPES; i++)
	{
		if (dup2(fds[i], i) < 0)
			_exit(1);
	}
	close_all_from(STDERR_FILENO + 1, limit);
	write_oom_score();
	sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir("/") == 0)
		(void) execve(path, arguments, environment);
	for (i = errno; i > 0 && digit[-1] == '0'; i /= 10)
		*--digit = '0' + i % 10;
	if (write(STDOUT_FILENO, errno_line, sizeof(errno_line) - 1) < 0)
		_exit(1);
	_exit(126);
}

static void
begin_reading(void)
{
	int			i;

	for (i = 0; i < PIPES; i++)
	{
		if (readers[i].text.data == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

			initStringInfo(&readers[i].text);
			MemoryContextSwitchTo(old);
		}
		resetStringInfo(&readers[i].text);
		readers[i].begin = 0;
		readers[i].skipping = false;
	}
	if (unsent.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&unsent);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&unsent);
}

/* Start it; 0, or why not. */
int
qms_program_start(const char *path)
{
	int			theirs[PIPES] = {-1, -1, -1};
	char	   *environment[MAX_ENVIRONMENT];
	struct rlimit limit;
	sigset_t	all;
	sigset_t	before;
	pid_t		parent = getpid();
	int			result = 0;
	int			i;

	choose_environment(environment);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		limit.rlim_cur = 65536;
	for (i = 0; i < PIPES; i++)
	{
		int			fds[2] = {-1, -1};

		if (!open_pipe(fds) && result == 0)
			result = errno;
		theirs[i] = fds[i == STDIN ? 0 : 1];
		ends[i] = fds[i == STDIN ? 1 : 0];
		if (ends[i] >= 0 && fcntl(ends[i], F_SETFL, O_NONBLOCK) != 0 && result == 0)
			result = errno;
	}
	begin_reading();
	if (result == 0)
	{
		/* A signal for us must not run our handlers in the child. */
		sigfillset(&all);
		(void) sigprocmask(SIG_SETMASK, &all, &before);
		child = fork();
		if (child == 0)
			become_program(path, environment, theirs, parent, (int) limit.rlim_cur);
		if (child < 0)
			result = errno;
		child = Max(child, 0);
		(void) sigprocmask(SIG_SETMASK, &before, NULL);
	}
	for (i = 0; i < PIPES; i++)
	{
		if (theirs[i] >= 0)
			close(theirs[i]);
		if (result != 0)
			close_end(i);
	}
	return result;
}

/* ---- stop ---- */

/* The whole group of it: it should have no children, but who knows. */
static void
send_signal(int sig)
{
	if (child != 0 && kill(-child, sig) != 0)
		(void) kill(child, sig);
}

/* Ask it to end. */
void
qms_program_stop(void)
{
	close_end(STDIN);
	send_signal(SIGTERM);
}

void
qms_program_kill(void)
{
	send_signal(SIGKILL);
}

/* Has it ended?  What it said before is still to be read. */
bool
qms_program_reap(int *status)
{
	if (child == 0 || waitpid(child, status, WNOHANG) != child)
		return false;
	/* Whatever it may have left behind. */
	(void) kill(-child, SIGKILL);
	child = 0;
	return true;
}

/* It has ended, and what it said has been read. */
void
qms_program_forget(void)
{
	int			i;

	for (i = 0; i < PIPES; i++)
		close_end(i);
}

/* ---- talk ---- */

static void
write_unsent(void)
{
	ssize_t		n;

	if (ends[STDIN] < 0 || unsent.len == 0)
		return;
	n = write(ends[STDIN], unsent.data, unsent.len);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
	{
		/* It has closed its end, so it is about to go. */
		close_end(STDIN);
		n = unsent.len;
	}
	if (n <= 0)
		return;
	memmove(unsent.data, unsent.data + n, unsent.len - n);
	/* There is a password in it. */
	explicit_bzero(unsent.data + unsent.len - n, n);
	unsent.len -= n;
	if (events != NULL)
		FreeWaitEventSet(events);
	events = NULL;
}

/* Send a line, as fast as it reads; the text is wiped. */
void
qms_program_send(char *text, int size)
{
	if (ends[STDIN] >= 0)
	{
		appendBinaryStringInfo(&unsent, text, size);
		write_unsent();
	}
	explicit_bzero(text, size);
}

/* Read what is there. */
static void
read_some(int which)
{
	Reader	   *reader = &readers[which];
	int			turn;

	for (turn = 0; turn < READS_PER_TURN && ends[which] >= 0; turn++)
	{
		char		buffer[8192];
		ssize_t		n = read(ends[which], buffer, sizeof(buffer));

		if (n > 0)
			appendBinaryStringInfo(&reader->text, buffer, (int) n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close_end(which);
		else
			return;
	}
}

/* The next complete line, without its end, until the next call; NULL if there is none. */
static char *
take_line(Reader *reader, bool is_closed)
{
	while (reader->begin < reader->text.len)
	{
		char	   *line = reader->text.data + reader->begin;
		int			left = reader->text.len - reader->begin;
		char	   *end = memchr(line, '\n', left);
		bool		skipped = reader->skipping;

		if (end == NULL && left <= MAX_LINE && !is_closed)
			break;
		reader->begin += end ? (int) (end - line) + 1 : left;
		reader->skipping = end == NULL;
		if (end != NULL)
			*end = '\0';
		if (!skipped && (end != NULL || is_closed) && strlen(line) <= MAX_LINE)
			return line;
	}
	memmove(reader->text.data, reader->text.data + reader->begin, reader->text.len - reader->begin + 1);
	reader->text.len -= reader->begin;
	reader->begin = 0;
	return NULL;
}

/* The next line that it has said; *is_error: where errors go.  NULL: no more at the moment. */
char *
qms_program_line(bool *is_error)
{
	int			which;

	for (which = STDOUT; which <= STDERR; which++)
	{
		char	   *line;

		if (readers[which].text.data == NULL)
			continue;
		*is_error = which == STDERR;
		line = take_line(&readers[which], ends[which] < 0);
		if (line == NULL && ends[which] >= 0)
		{
			read_some(which);
			line = take_line(&readers[which], ends[which] < 0);
		}
		if (line != NULL)
			return line;
	}
	return NULL;
}

static void
make_event_set(void)
{
	int			i;

	if (events != NULL)
		return;
	events = CreateWaitEventSet(TopMemoryContext, PIPES + 2);
	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (i = STDOUT; i < PIPES; i++)
	{
		if (ends[i] >= 0)
			AddWaitEventToSet(events, WL_SOCKET_READABLE, ends[i], NULL, NULL);
	}
	if (ends[STDIN] >= 0 && unsent.len > 0)
		AddWaitEventToSet(events, WL_SOCKET_WRITEABLE, ends[STDIN], NULL, NULL);
}

/* Sleep until something happens, -1: for as long as it takes; true if the latch was set. */
bool
qms_program_wait(long timeout)
{
	WaitEvent	happened[PIPES + 2];
	bool		woken = false;
	int			n;

	write_unsent();
	make_event_set();
	n = WaitEventSetWait(events, timeout, happened, lengthof(happened), PG_WAIT_EXTENSION);
	while (n-- > 0)
		woken = woken || happened[n].events == WL_LATCH_SET;
	ResetLatch(MyLatch);
	return woken;
}

/* ---- signals of the worker ---- */

static void
see_child_end(int signal_number pg_attribute_unused())
{
	int			save_errno = errno;

	SetLatch(MyLatch);
	errno = save_errno;
}

/* The server stops at once: so does the program, and its port is free for the next one. */
static void
leave_at_once(SIGNAL_ARGS)
{
	send_signal(SIGKILL);
	SignalHandlerForCrashExit(postgres_signal_arg);
}

void
qms_program_set_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGQUIT, leave_at_once);
	pqsignal(SIGCHLD, see_child_end);
}
