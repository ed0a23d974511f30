/*
 * main.c
 *		qms_gateway: from the command line to the end of the loop.
 */
#include "net.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t loop;
static uv_async_t ending;		/* set by signals */
static uv_async_t reloading;
static QmsFlags flags;
static QmsTimer linger_timer;
static bool serving;
static bool ended;
static int	exit_code;

static void end(void);

/* What can be given on the command line. */
static void
print_help(void)
{
	printf("qms_gateway sends what changes in qms databases to screens, phones and consoles.\n\n"
		   "Usage:\n"
		   "  qms_gateway --database \"host=127.0.0.1 dbname=shop user=gateway\" [--listen 127.0.0.1:8080] ...\n"
		   "  qms_gateway --config FILE\n\n"
		   "Options:\n"
		   "  --%-28s %s\n  --%-28s %s\n  --%-28s %s\n  --%-28s %s\n  --%-28s %s\n\n"
		   "Settings:\n",
		   "config FILE", "file with lines of \"setting = value\"",
		   "check-config", "say whether the settings are good, and end",
		   "supervised", "be run by the server's worker: settings as JSON on standard input",
		   "help", "this text",
		   "version", "the version");
	qms_settings_help(stdout);
	printf("\nEach setting is also an environment variable, such as QMS_GATEWAY_MAX_CONNECTIONS, and\n"
		   "a line of the file, such as max-connections = 20000.  The command line counts before the\n"
		   "environment, the environment before the file.  SIGHUP reads them again.\n");
}

/* A reason not to start, or to end. */
static void
fatal(const char *message)
{
	if (flags.supervised)
		qms_supervisor_tell("fatal", "message", message);
	else
		qms_log(QMS_LOG_ERROR, message, NULL, NULL);
	exit_code = 1;
}

/* What the tests of the sandbox want. */
static void
try_forbidden(void)
{
	const char *list = flags.forbidden == NULL ? "" : flags.forbidden;
	char		word[64];

	while (qms_list_next(&list, word, sizeof(word)))
		qms_try_forbidden(word);
}

/* Begins to serve with these settings, which it keeps. */
static void
begin(QmsConfig *config)
{
	QmsText		problem = {0};
	QmsText		where = {0};
	bool		good;

	qms_log_set(config->log_level, config->supervised);
	good = qms_server_start(&loop, config, &problem);
	serving = good;
	if (good)
		qms_hub_init(config, &loop);
	/* As the server's own user it does not run without. */
	if (good && flags.supervised && qms_sandbox_built && !qms_landlock_enter(config))
	{
		good = false;
		qms_text_puts(&problem, "could not restrict which files the program reads");
	}
	if (good && !qms_sandbox_enter() && flags.supervised)
	{
		good = false;
		qms_text_puts(&problem, "could not restrict the program's system calls");
	}
	qms_listen_text(&where);
	if (!good)
	{
		fatal(problem.data);
		end();
	}
	else if (flags.supervised)
	{
		qms_supervisor_tell("ready", "listen", where.data);
		qms_supervisor_report(config->alive_every);
	}
	else
		qms_logf(QMS_LOG_INFO, NULL, "qms_gateway %s listens on %s, %d pages", QMS_VERSION, where.data, qms_pages_count());
	qms_text_free(&where);
	qms_text_free(&problem);
	try_forbidden();
}

/* Other settings for all. */
static void
change(QmsConfig *config)
{
	QmsConfig  *old = qms_net.config;

	qms_server_reload(config);
	qms_hub_reload(config);
	if (flags.supervised)
		qms_supervisor_live(config->alive_every);
	qms_settings_free(old);
}

/* A line of the supervisor: the settings. */
static void
on_line(const char *line, size_t size)
{
	QmsText		problem = {0};
	QmsConfig  *config;

	if (ended)
		return;
	config = qms_settings_of_json(line, size, &problem);
	if (config != NULL && serving)
		change(config);
	else if (config != NULL)
		begin(config);
	else if (serving)
		qms_log(QMS_LOG_ERROR, problem.data, "The settings stay as they were.", NULL);
	else
	{
		fatal(problem.data);
		end();
	}
	qms_text_free(&problem);
}

/* SIGHUP. */
static void
on_reload(uv_async_t *handle)
{
	QmsText		problem = {0};
	QmsConfig  *config;

	(void) handle;
	if (ended || !serving || flags.supervised)
		return;
	config = qms_settings_read(&flags, &problem);
	if (config == NULL)
		qms_log(QMS_LOG_ERROR, problem.data, "The settings stay as they were.", NULL);
	else
	{
		change(config);
		qms_log(QMS_LOG_INFO, "the settings were read again", NULL, NULL);
	}
	qms_text_free(&problem);
}

/* Out of the loop. */
static void
leave(void)
{
	uv_stop(&loop);
}

/* A moment for the last lines and packets. */
static void
on_linger(void *arg)
{
	(void) arg;
	leave();
}

/* The end begins: clients are told, and have a second. */
static void
end(void)
{
	if (ended)
		return;
	ended = true;
	if (!serving)
	{
		qms_wheel_add(&linger_timer, 1, on_linger, NULL);
		return;
	}
	qms_net.stopping = true;
	qms_hub_stop();
	qms_server_stop(leave);
}

/* SIGTERM, SIGINT. */
static void
on_ending(uv_async_t *handle)
{
	(void) handle;
	end();
}

/*
 * Signals only wake the loop.  Who asks to end gets an end: a loop that does not
 * come round any more is ended by the alarm.
 */
static void
on_signal(int signum)
{
	if (signum == SIGHUP)
		uv_async_send(&reloading);
	else
	{
		alarm(3);
		uv_async_send(&ending);
	}
}

/* Handlers for what is ours; a closed socket is no reason to die. */
static void
take_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART;
	action.sa_handler = on_signal;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = SIG_DFL;
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

/* The end of standard input. */
static void
on_end(void)
{
	alarm(3);
	end();
}

/* All until the loop has ended. */
static void
run(QmsConfig *config)
{
	uv_loop_init(&loop);
	qms_wheel_start(&loop);
	uv_async_init(&loop, &ending, on_ending);
	uv_async_init(&loop, &reloading, on_reload);
	take_signals();
	if (flags.supervised)
	{
		if (!qms_supervisor_start(&loop, on_line, on_end))
		{
			fatal("standard input and output must be pipes");
			return;
		}
	}
	else
		begin(config);
	uv_run(&loop, UV_RUN_DEFAULT);
	if (serving)
		qms_server_finish();
	qms_supervisor_stop();
	qms_settings_free(qms_net.config);
}

/* What is said at once, without serving; -1: it is to serve. */
static int
answer(QmsConfig **config)
{
	QmsText		problem = {0};

	if (flags.help)
		print_help();
	else if (flags.version)
		printf("qms_gateway %s%s\n", QMS_VERSION, qms_sandbox_built ? "" : " (without sandbox)");
	if (flags.help || flags.version)
		return 0;
	if (flags.supervised)
		return -1;
	*config = qms_settings_read(&flags, &problem);
	if (*config == NULL)
		fprintf(stderr, "qms_gateway: %s\n", problem.data);
	else if (flags.check)
		printf("the settings are good\n");
	qms_text_free(&problem);
	return *config == NULL ? 1 : flags.check ? 0 : -1;
}

/* By hand the settings are read before anything happens. */
int
main(int argc, char **argv)
{
	QmsText		problem = {0};
	QmsConfig  *config = NULL;
	pid_t		parent = getppid();
	int			rc;

	if (!qms_flags_parse(argc, argv, &flags, &problem))
	{
		fprintf(stderr, "qms_gateway: %s\nTry --help.\n", problem.data);
		qms_text_free(&problem);
		return 2;
	}
	qms_log_set("info", flags.supervised);
	qms_sandbox_begin(flags.supervised, parent);
	rc = answer(&config);
	if (rc >= 0)
	{
		qms_settings_free(config);
		return rc;
	}
	run(config);
	return exit_code;
}
