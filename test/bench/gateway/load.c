/*
 * load.c
 *		Very many WebSocket clients in one process on one epoll: connects them,
 *		counts what they get, and commits, so that one clock measures all.
 *
 *	load PORT PATH centrifuge|plain CHANNEL|- CONNINFO
 *
 * Commands on standard input, one line of answer each:
 *	more N CHANNEL TOKEN	with the next "open", at random places among those: N whose times are
 *						told apart ("the watched"); - for CHANNEL and TOKEN: as all, without
 *	open N				N more clients, connected (and subscribed); "opened N ms_handshake ms_all"
 *	round SQL			BEGIN, SQL, and COMMIT in a thread; "round ack_us first_us last_us watched_us got"
 *	chase SQL			SQL once, and again when a fifth of the clients have it: the second one's "round"
 *	stall				all but the watched stop reading for good; "stalled N"
 *	drop				those who do not read are closed; "dropped N"
 *	memory				"memory N own_mean own_most their_mean their_most": the N sockets that do not
 *						read and are not closed, and their other ends: bytes that the kernel holds
 *	write SQL			SQL without waiting for clients; "wrote rows ms"
 *	wait N MS			until every reading client has N messages since the last reset, or nothing
 *						comes any more; "waited reached end", or "... busy" when it still comes
 *	reset				messages count from here; "reset"
 *	counts				"counts least most bytes pings closed"
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

#define IDLE_MS 2000			/* nothing comes any more */

static const Group *more[MAX_CLIENTS];
static int	nmore;

static void
set_goal(int64_t n)
{
	int			i;

	goal = n;
	reached = watched_reached = 0;
	first_at = last_at = watched_at = 0;
	for (i = 0; i < nclients; i++)
		if (clients[i].state == OPEN && clients[i].messages >= goal)
		{
			reached++;
			watched_reached += clients[i].group->watched;
		}
}

static void
reset(void)
{
	int			i;

	for (i = 0; i < nclients; i++)
		clients[i].messages = 0;
	received = 0;
	set_goal(INT64_MAX);
}

/* Reads until so many messages are there and the commit is acknowledged. */
static void
read_until(const int64_t *count, int64_t n, int64_t end)
{
	while ((*count < n || is_given()) && now_ns() < end)
		turn(*count < n ? 100 : 0);
	while (is_given())
		usleep(100);
}

/* One commit, or one and another close behind it; when did the first and the last client have it? */
static void
one_round(const char *sql, int commits)
{
	int64_t		end = now_ns() + ROUND_MS * INT64_C(1000000);

	reset();
	set_goal(commits);
	if (commits > 1)
	{
		give(sql, true);
		read_until(&received, nopen / 5, end);
	}
	give(sql, true);
	read_until(&reached, nopen, end);
	printf("round %.1f %.1f %.1f %.1f %" PRId64 "\n", (ack_at - commit_at) / 1e3, (first_at - commit_at) / 1e3,
		   (last_at - commit_at) / 1e3, nwatched > 0 && watched_reached == nwatched ? (watched_at - commit_at) / 1e3 : 0.0, reached);
}

static void
plan(const char *line)
{
	Group	   *group = calloc(1, sizeof(Group));
	char		channel[256],
				token[4096];
	int			n;

	if (sscanf(line, "%d %255s %4095s", &n, channel, token) != 3 || n < 0 || nmore + n > MAX_CLIENTS)
		die("more N CHANNEL TOKEN");
	group->channel = strcmp(channel, "-") == 0 ? NULL : strdup(channel);
	group->token = strcmp(token, "-") == 0 ? NULL : strdup(token);
	group->watched = true;
	while (n-- > 0)
		more[nmore++] = group;
	printf("planned %d\n", nmore);
}

static void
stall(void)
{
	int			before = nstalled;
	int			i;

	for (i = 0; i < nclients; i++)
		if (clients[i].state == OPEN && !clients[i].group->watched)
			stall_client(&clients[i]);
	printf("stalled %d\n", nstalled - before);
}

static void
drop(void)
{
	int			before = nstalled;
	int			i;

	for (i = 0; i < nclients; i++)
		if (clients[i].state == STALLED)
			close_client(&clients[i]);
	printf("dropped %d\n", before);
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
	int64_t		news_at = began;
	int64_t		before;

	set_goal(n);
	while (reached < nopen && now_ns() < end && now_ns() < news_at + IDLE_MS * INT64_C(1000000))
	{
		before = received;
		turn(50);
		if (received > before)
			news_at = now_ns();
	}
	printf("waited %" PRId64 " %s\n", reached, now_ns() < end ? "end" : "busy");
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
obey(char *line, int port)
{
	char	   *rest = strchr(line, ' ');

	rest = rest == NULL ? line + strlen(line) : rest + 1;
	if (strncmp(line, "more ", 5) == 0)
		plan(rest);
	else if (strncmp(line, "open ", 5) == 0)
	{
		open_clients(atoi(rest), more, nmore);
		nmore = 0;
	}
	else if (strncmp(line, "round ", 6) == 0)
		one_round(rest, 1);
	else if (strncmp(line, "chase ", 6) == 0)
		one_round(rest, 2);
	else if (strcmp(line, "stall") == 0)
		stall();
	else if (strcmp(line, "drop") == 0)
		drop();
	else if (strcmp(line, "memory") == 0)
		print_memory(port);
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
			if (!obey(line, atoi(argv[1])))
				return 0;
			epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
		}
	}
}
