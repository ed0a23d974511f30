/*
 * log.c
 *		The log: text on standard error by hand, lines of JSON to the supervisor.
 */
#include "net.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {"debug", "info", "warning", "error"};
static QmsLogLevel least = QMS_LOG_INFO;
static bool to_supervisor;

/* Milliseconds of the monotonic clock. */
int64_t
qms_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What of the log is written, and where to. */
void
qms_log_set(const char *level, bool supervised)
{
	int			i;

	for (i = 0; i < (int) (sizeof(names) / sizeof(names[0])); i++)
		if (level != NULL && strcmp(level, names[i]) == 0)
			least = (QmsLogLevel) i;
	to_supervisor = supervised;
}

/* Whether a message of that level would be written. */
bool
qms_log_wants(QmsLogLevel level)
{
	return level >= least;
}

/* One line for a terminal or journal; line ends inside of the text would forge others. */
static void
put_line(const char *head, const char *text)
{
	const char *p;

	fputs(head, stderr);
	for (p = text; *p != '\0'; p++)
		fputc((unsigned char) *p < 0x20 || *p == 0x7f ? ' ' : *p, stderr);
	fputc('\n', stderr);
}

/* By hand: message, detail and hint as the server writes them. */
static void
log_text(QmsLogLevel level, const char *message, const char *detail, const char *hint)
{
	static const char *const words[] = {"DEBUG:  ", "LOG:  ", "WARNING:  ", "ERROR:  "};
	char		head[80];
	struct timespec now;
	struct tm	tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	snprintf(head, sizeof(head), "%04d-%02d-%02d %02d:%02d:%02d.%03d UTC [%ld] %s",
			 (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			 (int) (now.tv_nsec / 1000000), (long) getpid(), words[level]);
	put_line(head, message);
	if (detail != NULL)
		put_line("\tDETAIL:  ", detail);
	if (hint != NULL)
		put_line("\tHINT:  ", hint);
}

/* Message lower case without a full stop; detail and hint, or null, are sentences. */
void
qms_log(QmsLogLevel level, const char *message, const char *detail, const char *hint)
{
	QmsText		line = {0};

	if (level < least)
		return;
	if (!to_supervisor)
	{
		log_text(level, message, detail, hint);
		return;
	}
	qms_text_printf(&line, "{\"type\":\"log\",\"level\":\"%s\",\"message\":", names[level]);
	qms_text_json_string(&line, message);
	if (detail != NULL)
	{
		qms_text_puts(&line, ",\"detail\":");
		qms_text_json_string(&line, detail);
	}
	if (hint != NULL)
	{
		qms_text_puts(&line, ",\"hint\":");
		qms_text_json_string(&line, hint);
	}
	qms_text_puts(&line, "}\n");
	qms_supervisor_say(&line);
	qms_text_free(&line);
}

/* The same with a formatted message. */
void
qms_logf(QmsLogLevel level, const char *hint, const char *format,...)
{
	QmsText		message = {0};
	va_list		args;
	char		buffer[1000];

	if (level < least)
		return;
	va_start(args, format);
	vsnprintf(buffer, sizeof(buffer), format, args);
	va_end(args);
	qms_text_puts(&message, buffer);
	qms_log(level, message.data, NULL, hint);
	qms_text_free(&message);
}
