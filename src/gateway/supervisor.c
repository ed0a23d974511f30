/*
 * supervisor.c
 *		The supervised form: settings come as lines of JSON on standard input, its
 *		end says stop; what there is to say goes as lines of JSON to standard output.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LONGEST_LINE (1024 * 1024)
#define UNREAD_LIMIT (256 * 1024)	/* then the supervisor misses lines */
#define STATUS_EVERY 2000		/* ms */

static uv_poll_t input;
static uv_poll_t output;
static bool started;
static QmsText line_in;
static QmsText waiting;			/* not taken by the pipe yet */
static QmsText last_status;
static QmsTimer status_timer;
static QmsTimer alive_timer;
static int	alive_interval;
static QmsSupervisorLine on_line;
static void (*on_end) (void);

static void write_some(void);

/* The pipe takes more. */
static void
on_output(uv_poll_t *handle, int status, int events)
{
	(void) handle;
	(void) status;
	(void) events;
	write_some();
}

/* As much as the pipe takes, without waiting for the reader. */
static void
write_some(void)
{
	while (waiting.size > 0)
	{
		ssize_t		n = write(STDOUT_FILENO, waiting.data, waiting.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
		{
			/* Nobody reads; standard input tells what follows from that. */
			qms_text_clear(&waiting);
			break;
		}
		if (n < 0)
			break;
		memmove(waiting.data, waiting.data + n, waiting.size - n);
		waiting.size -= n;
		waiting.data[waiting.size] = '\0';
	}
	if (started && waiting.size > 0)
		uv_poll_start(&output, UV_WRITABLE, on_output);
	else if (started)
		uv_poll_stop(&output);
}

/* One line, with its line end, for the supervisor; lost if he has stopped reading. */
void
qms_supervisor_say(const QmsText *line)
{
	if (waiting.size + line->size > UNREAD_LIMIT)
		return;
	qms_text_append(&waiting, line->data, line->size);
	write_some();
}

/* {"type":..., "name":"value"}. */
void
qms_supervisor_tell(const char *type, const char *name, const char *value)
{
	QmsText		line = {0};

	qms_text_printf(&line, "{\"type\":\"%s\",\"%s\":", type, name);
	qms_text_json_string(&line, value);
	qms_text_puts(&line, "}\n");
	qms_supervisor_say(&line);
	qms_text_free(&line);
}

/* Whole lines of what has been read go to their reader. */
static void
cut_lines(void)
{
	char	   *begin = line_in.data;
	char	   *end;

	while ((end = memchr(begin, '\n', line_in.data + line_in.size - begin)) != NULL)
	{
		*end = '\0';
		if (end > begin)
			on_line(begin, end - begin);
		begin = end + 1;
	}
	line_in.size -= begin - line_in.data;
	memmove(line_in.data, begin, line_in.size);
}

/* Something to read, or the end. */
static void
on_input(uv_poll_t *handle, int status, int events)
{
	char		buffer[8192];
	ssize_t		n;

	(void) events;
	n = status < 0 ? 0 : read(STDIN_FILENO, buffer, sizeof(buffer));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && line_in.size + n <= LONGEST_LINE)
	{
		qms_text_append(&line_in, buffer, n);
		cut_lines();
		return;
	}
	if (n > 0)
		qms_log(QMS_LOG_ERROR, "the supervisor sent a line that is too long", NULL, NULL);
	uv_poll_stop(handle);
	on_end();
}

/* What the hub and the transport say of themselves, if it is not what they said last. */
static void
say_status(void *arg)
{
	QmsText		line = {0};
	QmsHubStatus status;

	(void) arg;
	memset(&status, 0, sizeof(status));
	qms_hub_status(&status);
	qms_text_printf(&line, "{\"type\":\"status\",\"connections\":%lld,\"subscriptions\":%lld,\"messages\":%lld,\"bytes\":%lld,"
					"\"lag_ms\":%.3f,\"drops\":%lld,\"databases\":",
					(long long) status.connections, (long long) status.subscriptions, (long long) status.messages,
					(long long) status.bytes, status.lag_ms, (long long) status.drops);
	qms_hub_databases_json(&line);
	qms_text_puts(&line, "}\n");
	if (last_status.size != line.size || memcmp(last_status.data, line.data, line.size) != 0)
	{
		qms_supervisor_say(&line);
		qms_text_free(&last_status);
		last_status = line;
	}
	else
		qms_text_free(&line);
	qms_wheel_add(&status_timer, STATUS_EVERY, say_status, NULL);
}

/* The loop comes round: a program that hangs is silent, and killed. */
static void
say_alive(void *arg)
{
	QmsText		line = {0};

	(void) arg;
	qms_text_puts(&line, "{\"type\":\"alive\"}\n");
	qms_supervisor_say(&line);
	qms_text_free(&line);
	qms_wheel_add(&alive_timer, alive_interval, say_alive, NULL);
}

/* A sign of life every so many milliseconds; 0: none is wanted. */
void
qms_supervisor_live(int every)
{
	bool		same = alive_interval == every;

	alive_interval = every;
	if (every <= 0)
		qms_wheel_cancel(&alive_timer);
	else if (!same)
		say_alive(NULL);
}

/* From now on the status is told, whenever it has changed, and that we are alive. */
void
qms_supervisor_report(int alive_every)
{
	say_status(NULL);
	qms_supervisor_live(alive_every);
}

/* Standard input is read from now on.  False: it is nothing that can be waited for. */
bool
qms_supervisor_start(uv_loop_t *loop, QmsSupervisorLine line, void (*end) (void))
{
	on_line = line;
	on_end = end;
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	if (uv_poll_init(loop, &input, STDIN_FILENO) != 0)
		return false;
	if (uv_poll_init(loop, &output, STDOUT_FILENO) != 0)
	{
		uv_close((uv_handle_t *) &input, NULL);
		return false;
	}
	uv_poll_start(&input, UV_READABLE, on_input);
	started = true;
	return true;
}

/* The last lines may still be waiting: the pipe gets them if it has room. */
void
qms_supervisor_stop(void)
{
	qms_wheel_cancel(&status_timer);
	qms_wheel_cancel(&alive_timer);
	if (!started)
		return;
	uv_poll_stop(&input);
	uv_close((uv_handle_t *) &input, NULL);
	started = false;
	uv_close((uv_handle_t *) &output, NULL);
	write_some();
}
