/*
 * hub_fake.c
 *		Clock, wheel, log and loop of the played world.
 */
#include "hub_fake.h"

#include <stdarg.h>
#include <time.h>

int64_t		fake_now = 1000000;
bool		fake_loud;
static uint64_t seed_state;
static QmsTimer timers;			/* ring */
static uv_loop_t loop;
static uv_idle_t alive;			/* as the sockets do: without it the loop does nothing */

/* The test is over. */
void
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fputs("not ok - ", stdout);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	abort();
}

/* A sequence that is the same each time. */
void
fake_seed(unsigned seed)
{
	seed_state = seed * 2654435761u + 1;
}

/* A number below n. */
int
fake_random(int n)
{
	seed_state = seed_state * 6364136223846793005u + 1442695040888963407u;
	return (int) ((seed_state >> 33) % (unsigned) n);
}

/* The clock. */
int64_t
qms_now_ms(void)
{
	return fake_now;
}

/* Wall clock: the same. */
time_t		__wrap_time(time_t *t);
int			__wrap_uv_gettimeofday(uv_timeval64_t *now);

time_t
__wrap_time(time_t *t)
{
	if (t != NULL)
		*t = fake_now / 1000;
	return fake_now / 1000;
}

int
__wrap_uv_gettimeofday(uv_timeval64_t *now)
{
	now->tv_sec = fake_now / 1000;
	now->tv_usec = fake_now % 1000 * 1000;
	return 0;
}

/* The wheel: one list. */
void
qms_wheel_add(QmsTimer *timer, int ms, QmsTimerCallback callback, void *arg)
{
	qms_wheel_cancel(timer);
	timer->callback = callback;
	timer->arg = arg;
	timer->due = (uint32_t) (fake_now + ms);
	timer->next = &timers;
	timer->prev = timers.prev;
	timers.prev->next = timer;
	timers.prev = timer;
}

void
qms_wheel_cancel(QmsTimer *timer)
{
	if (timer->prev == NULL)
		return;
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->next = timer->prev = NULL;
}

/* The next that is due, or null. */
static QmsTimer *
due_timer(void)
{
	QmsTimer   *timer;

	for (timer = timers.next; timer != &timers; timer = timer->next)
		if ((int32_t) (timer->due - (uint32_t) fake_now) <= 0)
			return timer;
	return NULL;
}

/* Time passes. */
void
fake_advance(int ms)
{
	while (ms > 0)
	{
		int			step = ms < QMS_WHEEL_GRAIN ? ms : QMS_WHEEL_GRAIN;
		QmsTimer   *timer;

		fake_now += step;
		ms -= step;
		while ((timer = due_timer()) != NULL)
		{
			qms_wheel_cancel(timer);
			timer->callback(timer->arg);
		}
	}
}

/* What the gateway says. */
void
qms_log(QmsLogLevel level, const char *message, const char *detail, const char *hint)
{
	if (fake_loud)
		printf("# log %d: %s (%s) %s\n", level, message, detail == NULL ? "" : detail, hint == NULL ? "" : hint);
}

/* One turn of the loop. */
void
fake_turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void
on_alive(uv_idle_t *handle)
{
	(void) handle;
}

/* Until nothing happens any more. */
void
fake_settle(void)
{
	int			i;

	for (i = 0; i < 100000; i++)
	{
		bool		stepped = fake_database_step();

		fake_turn();
		if (!stepped && qms_fanout_is_done() && fake_database_is_idle())
		{
			fake_turn();
			if (fake_database_is_idle() && qms_fanout_is_done())
				return;
		}
	}
	fail("the world does not come to rest");
}

/* A hub with one database. */
void
fake_start(int history_size)
{
	static QmsConfigDatabase database = {(char *) "shop", (char *) "dbname=shop"};
	QmsConfig	config;

	memset(&config, 0, sizeof(config));
	config.databases = &database;
	config.ndatabases = 1;
	config.max_commands_per_second = 50;
	config.max_subscriptions = 5;
	config.ping_interval = 25;
	config.pong_timeout = 10;
	config.history_size = history_size;
	timers.next = timers.prev = &timers;
	uv_loop_init(&loop);
	uv_idle_init(&loop, &alive);
	uv_idle_start(&alive, on_alive);
	qms_hub_init(&config, &loop);
}

/* The end of it; whatever is left is a leak. */
void
fake_stop(void)
{
	fake_turn();
	qms_text_free(&qms_hub.scratch);
	CHECK(qms_hub.databases == NULL);
	CHECK(qms_hub.counters.connections == 0);
	CHECK(qms_hub.counters.subscriptions == 0);
	CHECK(timers.next == &timers);
	uv_close((uv_handle_t *) &alive, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&loop) == 0);
	free(qms_hub.hosts);
}
