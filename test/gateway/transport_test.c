/*
 * transport_test.c
 *		Pieces of the transport by themselves: the timer wheel on a played clock,
 *		addresses behind proxies, origins, texts.
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>

static int	failures;
static int64_t played_ms = 1000;

/* The clock and the loop are ours. */
static uv_timer_cb alarm_cb;
static int64_t alarm_ms;
static long wakes;

QmsNet		qms_net;

int64_t
qms_now_ms(void)
{
	return played_ms;
}

int
uv_timer_init(uv_loop_t *loop, uv_timer_t *handle)
{
	handle->loop = loop;
	return 0;
}

int
uv_timer_start(uv_timer_t *handle, uv_timer_cb cb, uint64_t ms, uint64_t repeat)
{
	(void) handle;
	(void) repeat;
	alarm_cb = cb;
	alarm_ms = played_ms + (int64_t) ms;
	return 0;
}

int
uv_timer_stop(uv_timer_t *handle)
{
	(void) handle;
	alarm_cb = NULL;
	return 0;
}

void
uv_update_time(uv_loop_t *loop)
{
	(void) loop;
}

void
uv_unref(uv_handle_t *handle)
{
	(void) handle;
}

void
uv_close(uv_handle_t *handle, uv_close_cb cb)
{
	(void) handle;
	(void) cb;
}

static void
ok(bool good, const char *name)
{
	printf("%sok - %s\n", good ? "" : "not ", name);
	failures += !good;
}

/* ---- the wheel ---- */

#define TIMERS 2000

static struct Watched
{
	QmsTimer	timer;
	int64_t		due;			/* -1: not to come */
}			watched[TIMERS];

static long came,
			early,
			late,
			wrong;
static bool again;
static bool slow;

static void
on_timer(void *arg)
{
	struct Watched *w = arg;

	came++;
	if (w->due < 0)
		wrong++;
	else if (played_ms < w->due)
		early++;
	else if (played_ms > w->due + 300)
		late++;
	w->due = -1;
	if (slow)
		played_ms += 350;		/* the callback itself takes long */
	if (again && rand() % 2 == 0)
	{
		int			ms = rand() % 5000;

		w->due = played_ms + ms;
		qms_wheel_add(&w->timer, ms, on_timer, w);
	}
}

/* Time goes on; the loop wakes when it was asked to, or a little later. */
static void
play(int64_t ms, int lag)
{
	int64_t		end = played_ms + ms;

	while (alarm_cb != NULL && alarm_ms <= end)
	{
		uv_timer_cb cb = alarm_cb;
		static uv_timer_t handle;

		played_ms = alarm_ms > played_ms ? alarm_ms : played_ms;
		played_ms += lag > 0 ? rand() % lag : 0;
		alarm_cb = NULL;
		wakes++;
		cb(&handle);
	}
	if (played_ms < end)
		played_ms = end;
}

static void
test_wheel(void)
{
	static const int spans[] = {1, 100, 5000, 25600, 60000, 3600 * 1000, 7200 * 1000, 300 * 3600 * 1000};
	long		added = 0,
				round;
	int			i;

	qms_wheel_start(NULL);
	srand(42);
	for (round = 0; round < 300; round++)
	{
		again = round % 2 == 0;
		for (i = 0; i < 100; i++)
		{
			struct Watched *w = &watched[rand() % TIMERS];
			int			ms = rand() % spans[rand() % (int) (sizeof(spans) / sizeof(spans[0]))];

			if (rand() % 4 == 0)
			{
				qms_wheel_cancel(&w->timer);
				w->due = -1;
				continue;
			}
			w->due = played_ms + ms;
			qms_wheel_add(&w->timer, ms, on_timer, w);
			added++;
		}
		play(rand() % spans[rand() % (int) (sizeof(spans) / sizeof(spans[0]))] + 1, rand() % 2 * 90);
	}
	again = false;
	play((int64_t) 400 * 3600 * 1000, 0);
	ok(added > 10000 && came > 5000, "wheel: many timers came");
	ok(wrong == 0, "wheel: none that was cancelled or had come");
	ok(early == 0, "wheel: none too early");
	ok(late == 0, "wheel: none too late");
	for (i = 0; i < TIMERS; i++)
		if (watched[i].due >= 0)
			break;
	ok(i == TIMERS && alarm_cb == NULL, "wheel: none is left, and then nobody is woken");
	wakes = 0;
	qms_wheel_add(&watched[0].timer, 20000, on_timer, &watched[0]);
	watched[0].due = played_ms + 20000;
	play(60000, 0);
	ok(wakes <= 3 && watched[0].due == -1, "wheel: one timer of 20 s wakes the loop three times at most");
	qms_wheel_add(&watched[0].timer, 20000, on_timer, &watched[0]);
	qms_wheel_add(&watched[1].timer, 300, on_timer, &watched[1]);
	watched[0].due = played_ms + 20000;
	watched[1].due = played_ms + 300;
	play(500, 0);
	ok(watched[1].due == -1 && watched[0].due >= 0, "wheel: a shorter one that is added later comes in its time");
	play(30000, 0);
	slow = again = true;
	early = wrong = wakes = 0;
	watched[0].due = played_ms + 1000;
	qms_wheel_add(&watched[0].timer, 1000, on_timer, &watched[0]);
	for (i = 0; i < 1000; i++)
	{
		if (watched[0].due < 0)
		{
			watched[0].due = played_ms + 5000;
			qms_wheel_add(&watched[0].timer, 5000, on_timer, &watched[0]);
		}
		play(5000, 0);
	}
	ok(early == 0 && wrong == 0 && wakes < 5000, "wheel: callbacks that take long");
	slow = again = false;
	play(30000, 0);
}

/* ---- addresses ---- */

static void
test_addresses(void)
{
	static const struct
	{
		const char *socket,
				   *forwarded,
				   *want;
	}			cases[] = {
		{"10.0.0.1", "192.0.2.1", "192.0.2.1"}, {"10.0.0.1", "6.6.6.6,192.0.2.1 , 10.9.9.9", "192.0.2.1"},
		{"192.0.2.9", "6.6.6.6", "192.0.2.9"}, {"10.0.0.1", "", "10.0.0.1"}, {"10.0.0.1", ",", "10.0.0.1"},
		{"10.0.0.1", "unknown", "10.0.0.1"}, {"10.0.0.1", "10.0.0.2,10.0.0.3", "10.0.0.2"},
		{"::1", "2001:db8::5", "2001:db8::5"}, {"10.0.0.1", "[2001:db8::5]:443", "2001:db8::5"},
		{"10.0.0.1", "192.0.2.1, nonsense, 10.1.1.1", "10.1.1.1"}, {"::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1", "fe80::1%eth0", "fe80::1"}, {"10.0.0.1", "192.0.2.1:99999", "192.0.2.1"}
	};
	QmsNetworks proxies = {0};
	QmsText		problem = {0};
	size_t		i;

	qms_networks_parse(&proxies, "10.0.0.0/8, ::1");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		QmsAddress	address;
		char		text[QMS_ADDRESS_SIZE];
		char		name[200];

		qms_address_parse(cases[i].socket, &address);
		qms_address_forwarded(&proxies, cases[i].forwarded, &address);
		qms_address_text(&address, text);
		snprintf(name, sizeof(name), "address: %s behind %s is %s", cases[i].forwarded, cases[i].socket, cases[i].want);
		ok(strcmp(text, cases[i].want) == 0, name);
	}
	ok(qms_networks_check("", &problem) && qms_networks_check("0.0.0.0/0, ::/0", &problem), "address: everything is a network");
	ok(!qms_networks_check("::/129", &problem) && !qms_networks_check("1.2.3", &problem) &&
	   !qms_networks_check("1.2.3.4/", &problem) && !qms_networks_check("1.2.3.4/x", &problem), "address: not everything is one");
	qms_networks_parse(&proxies, "");
	qms_text_free(&problem);
}

/* ---- texts ---- */

static void
test_texts(void)
{
	QmsText		text = {0};
	const char *list = " a ,b,, c";
	char		word[4];
	char		host[QMS_HOST_SIZE],
				port[QMS_PORT_SIZE];
	char		big[1000];

	qms_text_json_string(&text, "a\"\\\n\x01\x7f\xc3\xa4</script>");
	ok(strcmp(text.data, "\"a\\\"\\\\\\n\\u0001\\u007f\xc3\xa4</script>\"") == 0, "text: JSON");
	qms_text_clear(&text);
	memset(big, 'x', sizeof(big));
	big[999] = '\0';
	qms_text_printf(&text, "%s%d", big, 42);
	ok(text.size == 1001 && strcmp(text.data + 998, "x42") == 0, "text: longer than its room");
	qms_text_free(&text);
	ok(qms_list_next(&list, word, 4) && strcmp(word, "a") == 0 && qms_list_next(&list, word, 4) && strcmp(word, "b") == 0 &&
	   qms_list_next(&list, word, 4) && strcmp(word, "c") == 0 && !qms_list_next(&list, word, 4), "text: a list");
	ok(qms_listen_split("[::1]:80", host, port) && strcmp(host, "::1") == 0 && strcmp(port, "80") == 0 &&
	   !qms_listen_split("[]:80", host, port) && !qms_listen_split(":80", host, port) && !qms_listen_split("a:+1", host, port),
	   "text: where to listen");
	ok(qms_origin_allowed("", NULL, "h") && qms_origin_allowed("", "http://h", "h") && !qms_origin_allowed("", "http://h.x", "h") &&
	   !qms_origin_allowed("", "h", "h") && !qms_origin_allowed("https://*.h", "https://h", "x") &&
	   !qms_origin_allowed("https://*.h", "https://a/.h", "x") && qms_origin_allowed("https://*.h", "https://a.h", "x") &&
	   !qms_origin_allowed("https://*.h", "https://.h", "x") && qms_origin_allowed("*", "null", "x"), "origins");
}

int
main(void)
{
	test_wheel();
	test_addresses();
	test_texts();
	return failures > 0;
}
