/*
 * send.c
 *		A frame for many connections goes to the kernel from several threads.
 *
 * Nearly all of a fan-out is the kernel's work in send(), which is the same for
 * every connection and needs nothing of ours.  So while the fan-out walks, what
 * it writes is gathered: socket, bytes, how many.  Then the helpers and the loop's
 * thread send it side by side, each taking the next few, and the loop's thread
 * waits until all are sent.  Helpers never see a connection, a frame or the
 * library; between two walks they sleep.
 *
 * One connection is in it once at most, so its messages keep their order.  What a
 * socket did not take goes to the library, which keeps the rest of a message.
 * With TLS each message is encrypted by the library: nothing is gathered.
 */
#include "net.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#define MOST_JOBS 512
#define MOST_HELPERS 15
#define MOST_AUTOMATIC 3			/* helpers, where no setting says otherwise */
#define WORTH_HELP 48			/* jobs; waking a helper costs as much as some sends */
#define AT_ONCE 4				/* jobs taken at a time */

typedef struct Job
{
	const unsigned char *bytes;
	size_t		size;
	ssize_t		sent;			/* negative: minus errno */
	int			fd;
} Job;

static Job	jobs[MOST_JOBS];
static QmsConn *conns[MOST_JOBS];	/* the loop's, as are the frames */
static QmsFrame *frames[MOST_JOBS];
static int	njobs;
static bool gathering;

static pthread_t helpers[MOST_HELPERS];
static int	nhelpers;
static bool tried;				/* to make them */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_there = PTHREAD_COND_INITIALIZER;

/*
 * Under the mutex: the round, whether helpers may still begin with it, and the
 * end.  Who has begun is counted until he has left, and the loop's thread touches
 * no job before that.
 */
static unsigned int round_number;
static bool round_open;
static bool stopping;
static int	round_jobs;
static atomic_int inside;		/* helpers that have begun and not left */
static atomic_int taken;		/* jobs that somebody has taken */

/* The next few jobs, until there are none. */
static void
work(int count)
{
	int			first;

	while ((first = atomic_fetch_add(&taken, AT_ONCE)) < count)
	{
		int			end = first + AT_ONCE < count ? first + AT_ONCE : count;
		int			i;

		for (i = first; i < end; i++)
		{
			ssize_t		n = send(jobs[i].fd, jobs[i].bytes, jobs[i].size, MSG_DONTWAIT | MSG_NOSIGNAL);

			jobs[i].sent = n < 0 ? -errno : n;
		}
	}
}

/* A helper's life. */
static void *
help(void *arg)
{
	unsigned int seen = 0;

	(void) arg;
	pthread_mutex_lock(&mutex);
	while (!stopping)
	{
		int			count = round_jobs;

		if (!round_open || round_number == seen)
		{
			pthread_cond_wait(&work_there, &mutex);
			continue;
		}
		seen = round_number;
		atomic_fetch_add(&inside, 1);
		pthread_mutex_unlock(&mutex);
		work(count);
		atomic_fetch_sub(&inside, 1);
		pthread_mutex_lock(&mutex);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

/* With the first fan-out that is worth it, when the sandbox is around us and so around them. */
static void
make_helpers(void)
{
	int			wanted = qms_net.config->send_threads - 1;
	sigset_t	all,
				before;

	tried = true;
	if (qms_net.config->send_threads == 0)
		wanted = (int) uv_available_parallelism() - 1 < MOST_AUTOMATIC ? (int) uv_available_parallelism() - 1 : MOST_AUTOMATIC;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (nhelpers < wanted && nhelpers < MOST_HELPERS &&
		   pthread_create(&helpers[nhelpers], NULL, help, NULL) == 0)
		nhelpers++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (nhelpers < wanted)
		qms_logf(QMS_LOG_WARNING, NULL, "only %d of %d threads for sending could be started", nhelpers + 1, wanted + 1);
}

/* All jobs, by everybody. */
static void
send_all(void)
{
	atomic_store(&taken, 0);
	if (njobs >= WORTH_HELP && !tried)
		make_helpers();
	if (njobs < WORTH_HELP || nhelpers == 0)
	{
		work(njobs);
		return;
	}
	pthread_mutex_lock(&mutex);
	round_number++;
	round_jobs = njobs;
	round_open = true;
	pthread_cond_broadcast(&work_there);
	pthread_mutex_unlock(&mutex);
	work(njobs);
	pthread_mutex_lock(&mutex);
	round_open = false;
	pthread_mutex_unlock(&mutex);
	/* Each has at most a few sends before him. */
	while (atomic_load(&inside) > 0)
		sched_yield();
}

/* What the socket did not take is kept and sent by the library. */
static void
finish_job(QmsConn *conn, const Job *job)
{
	size_t		sent = job->sent > 0 ? (size_t) job->sent : 0;

	conn->gathered = false;
	if (job->sent < 0 && job->sent != -EAGAIN && job->sent != -EINTR)
	{
		qms_conn_doom(conn);
		return;
	}
	/* This kind of write goes out as it is. */
	if (sent < job->size &&
		lws_write(conn->wsi, (unsigned char *) job->bytes + sent, job->size - sent, LWS_WRITE_HTTP) < 0)
		qms_conn_doom(conn);
}

/* What is gathered is sent now. */
void
qms_send_flush(void)
{
	int			n = njobs;
	int			i;

	if (n == 0)
		return;
	send_all();
	njobs = 0;
	for (i = 0; i < n; i++)
	{
		finish_job(conns[i], &jobs[i]);
		qms_frame_unref(frames[i]);
	}
}

/* From now on writes are gathered, until qms_send_end. */
void
qms_send_begin(void)
{
	gathering = qms_net.config->tls_cert[0] == '\0';
}

/* The end of it: all is sent. */
void
qms_send_end(void)
{
	gathering = false;
	qms_send_flush();
}

/* The header of a server's WebSocket message, before its bytes; where the whole begins. */
static const unsigned char *
put_header(QmsFrame *frame, size_t *size)
{
	size_t		n = frame->size;
	size_t		header = n < 126 ? 2 : n < 65536 ? 4 : 10;
	unsigned char *at = frame->data - header;
	size_t		i;

	/* Several may write it for the same frame, one after the other: it is the same. */
	at[0] = frame->binary ? 0x82 : 0x81;	/* final */
	if (header == 2)
		at[1] = (unsigned char) n;
	else
	{
		at[1] = header == 4 ? 126 : 127;
		for (i = 2; i < header; i++)
			at[i] = (unsigned char) (n >> 8 * (header - 1 - i));
	}
	*size = n + header;
	return at;
}

/* A frame for a connection that is clear.  False: it is not gathered, and has to be written as usual. */
bool
qms_send_gather(QmsConn *conn, QmsFrame *frame)
{
	Job		   *job;

	if (!gathering)
		return false;
	if (conn->gathered || njobs == MOST_JOBS)
		qms_send_flush();
	/* What was sent just now may have been too much for it. */
	if (!qms_conn_is_clear(conn))
		return false;
	job = &jobs[njobs];
	job->fd = lws_get_socket_fd(conn->wsi);
	job->bytes = frame->data;
	job->size = frame->size;
	if (conn->kind != QMS_CONN_SSE)
		job->bytes = put_header(frame, &job->size);
	conns[njobs] = conn;
	frames[njobs] = qms_frame_ref(frame);
	conn->gathered = true;
	njobs++;
	return true;
}

/* The helpers go. */
void
qms_send_stop(void)
{
	int			i;

	pthread_mutex_lock(&mutex);
	stopping = true;
	pthread_cond_broadcast(&work_there);
	pthread_mutex_unlock(&mutex);
	for (i = 0; i < nhelpers; i++)
		pthread_join(helpers[i], NULL);
	nhelpers = 0;
}
