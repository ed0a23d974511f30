/*
 * load.c
 *		Very many WebSocket clients in one process on one epoll: connects them,
 *		counts what they get, and commits, so that one clock measures all.
 *
 *	load PORT PATH centrifuge|plain CHANNEL|- CONNINFO
 *
 * Commands on standard input, one line of answer each:
 *	open N				N more clients, connected (and subscribed); "opened N ms_handshake ms_all"
 *	round SQL			BEGIN, SQL, and COMMIT in a thread; "round ack_us first_us last_us got"
 *	stall N				N of the clients stop reading for good; "stalled N"
 *	write SQL			SQL without waiting for clients; "wrote rows ms"
 *	wait N MS			until every reading client has N messages since the last reset
 *	reset				messages count from here; "reset"
 *	counts				"counts least most bytes pings closed"
 *	latency SQL N		N rounds, only the last client's microseconds, sorted; "latency ..."
 *	quit
 * Between commands pings are answered.
 */
#include "load.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static void
set_goal(int64_t n)
{
	int			i;

	goal = n;
	reached = 0;
	first_at = last_at = 0;
	for (i = 0; i < nclients; i++)
		if (clients[i].state == OPEN && clients[i].messages >= goal)
			reached++;
}

static void
reset(void)
{
	int			i;

	for (i = 0; i < nclients; i++)
		clients[i].messages = 0;
	set_goal(INT64_MAX);
}

/* One commit, and when the first and the last client had it. */
static bool
one_round(const char *sql, double *ack, double *first, double *last)
{
	int64_t		end;

	reset();
	set_goal(1);
	give(sql, true);
	end = now_ns() + ROUND_MS * INT64_C(1000000);
	while ((reached < nopen || is_given()) && now_ns() < end)
		turn(reached < nopen ? 100 : 0);
	while (is_given())
		usleep(100);
	*ack = (ack_at - commit_at) / 1e3;
	*first = (first_at - commit_at) / 1e3;
	*last = (last_at - commit_at) / 1e3;
	return reached >= nopen;
}

static int
by_value(const void *a, const void *b)
{
	double		x = *(const double *) a,
				y = *(const double *) b;

	return (x > y) - (x < y);
}

static void
latency(char *line)
{
	char	   *sql = strchr(line, ' ');
	int			n = atoi(line);
	double	   *all = calloc(n + 1, sizeof(double));
	double		ack,
				first;
	int			i;

	for (i = 0; i < n; i++)
		if (!one_round(sql, &ack, &first, &all[i]))
			die("a client got nothing");
	qsort(all, n, sizeof(double), by_value);
	printf("latency");
	for (i = 0; i < n; i++)
		printf(" %.0f", all[i]);
	printf("\n");
	free(all);
}

static void
stall(int n)
{
	int			i,
				left = n;

	for (i = nclients - 1; i >= 0 && left > 0; i--)
		if (clients[i].state == OPEN)
		{
			epoll_ctl(epoll, EPOLL_CTL_DEL, clients[i].fd, NULL);
			clients[i].state = STALLED;
			nopen--;
			nstalled++;
			left--;
		}
	printf("stalled %d\n", n - left);
}

static void
counts(void)
{
	int64_t		least = INT64_MAX,
				most = 0;
	int			i;

	for (i = 0; i < nclients; i++)
		if (clients[i].state == OPEN)
		{
			least = clients[i].messages < least ? clients[i].messages : least;
			most = clients[i].messages > most ? clients[i].messages : most;
		}
	printf("counts %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d\n", nopen > 0 ? least : 0, most, bytes, pings, nclosed);
}

static void
wait_for(const char *line)
{
	int64_t		n = atoll(line);
	int64_t		began = now_ns();
	int64_t		end = began + atoll(strchr(line, ' ')) * 1000000;

	set_goal(n);
	while (reached < nopen && now_ns() < end)
		turn(50);
	printf("waited %" PRId64 " of %d %.1f\n", reached, nopen, (now_ns() - began) / 1e6);
}

static void
write_only(const char *sql)
{
	int64_t		began = now_ns();

	give(sql, false);
	while (is_given())
		turn(20);
	printf("wrote %" PRId64 " %.1f\n", nrows, (now_ns() - began) / 1e6);
}

static bool
obey(char *line)
{
	char	   *rest = strchr(line, ' ');
	double		ack,
				first,
				last;

	rest = rest == NULL ? line + strlen(line) : rest + 1;
	if (strncmp(line, "open ", 5) == 0)
		open_clients(atoi(rest));
	else if (strncmp(line, "round ", 6) == 0)
	{
		one_round(rest, &ack, &first, &last);
		printf("round %.1f %.1f %.1f %" PRId64 "\n", ack, first, last, reached);
	}
	else if (strncmp(line, "latency ", 8) == 0)
		latency(rest);
	else if (strncmp(line, "stall ", 6) == 0)
		stall(atoi(rest));
	else if (strncmp(line, "write ", 6) == 0)
		write_only(rest);
	else if (strncmp(line, "wait ", 5) == 0)
		wait_for(rest);
	else if (strcmp(line, "reset") == 0)
	{
		reset();
		printf("reset\n");
	}
	else if (strcmp(line, "counts") == 0)
		counts();
	else
		return false;
	fflush(stdout);
	return true;
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	struct epoll_event input = {.events = EPOLLIN,.data.ptr = NULL};
	char		line[8192];

	if (argc != 6)
	{
		fprintf(stderr, "usage: load PORT PATH centrifuge|plain CHANNEL CONNINFO\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	begin(atoi(argv[1]), argv[2], strcmp(argv[3], "centrifuge") == 0 ? argv[4] : NULL);
	begin_committing(argv[5]);
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input) != 0)
		die("epoll_ctl");
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;)
	{
		struct pollfd ready = {.fd = 0,.events = POLLIN};

		/* Standard input is in the set too, or a command would wait for a message. */
		turn(1000);
		if (poll(&ready, 1, 0) > 0)
		{
			if (fgets(line, sizeof(line), stdin) == NULL)
				return 0;
			line[strcspn(line, "\n")] = '\0';
			epoll_ctl(epoll, EPOLL_CTL_DEL, 0, NULL);
			if (!obey(line))
				return 0;
			epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
		}
	}
}
