/*
 * floor.c
 *		The least that can be done: WebSocket clients on a bare epoll, and one
 *		write() of the same frame to each when NOTIFY says so.  Nothing is checked,
 *		nobody is subscribed, who is slow is written to once and forgotten.
 *
 *	floor PORT CONNINFO CHANNEL
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 65536

/* The load client does not look at the key. */
static const char welcome[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: none\r\n\r\n";

static bool is_client[MOST];
static int	highest;

static void
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
take(int listener, int epoll)
{
	int			yes = 1;
	int			fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		struct epoll_event event = {.events = EPOLLIN,.data.fd = fd};

		if (fd >= MOST)
			die("too many clients");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		highest = fd > highest ? fd : highest;
	}
}

/* The first that it says is the request; the rest does not matter. */
static void
readable(int fd)
{
	char		text[4096];
	ssize_t		n = recv(fd, text, sizeof(text), 0);

	if (n <= 0)
	{
		is_client[fd] = false;
		close(fd);
	}
	else if (!is_client[fd])
	{
		is_client[fd] = true;
		if (send(fd, welcome, sizeof(welcome) - 1, MSG_NOSIGNAL) < 0)
			die("send");
	}
}

static void
send_all(const char *payload)
{
	static unsigned char frame[16384];
	size_t		size = strlen(payload);
	size_t		at = 0;
	int			fd;

	frame[at++] = 0x81;
	if (size < 126)
		frame[at++] = size;
	else
	{
		frame[at++] = 126;
		frame[at++] = size >> 8;
		frame[at++] = size & 0xff;
	}
	memcpy(frame + at, payload, size);
	for (fd = 0; fd <= highest; fd++)
		if (is_client[fd])
			(void) !write(fd, frame, at + size);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct rlimit limit;
	PGconn	   *database;
	char		listen_sql[100];
	int			listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int			epoll = epoll_create1(EPOLL_CLOEXEC);
	int			yes = 1;

	if (argc != 4)
		die("floor PORT CONNINFO CHANNEL");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < MOST ? limit.rlim_max : MOST;
	setrlimit(RLIMIT_NOFILE, &limit);
	address.sin_port = htons(atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(listener, 4096) != 0)
		die("listen");
	database = PQconnectdb(argv[2]);
	snprintf(listen_sql, sizeof(listen_sql), "LISTEN %s", argv[3]);
	PQclear(PQexec(database, listen_sql));
	if (PQstatus(database) != CONNECTION_OK)
		die(PQerrorMessage(database));
	for (int i = 0; i < 2; i++)
	{
		int			fd = i == 0 ? listener : PQsocket(database);
		struct epoll_event event = {.events = EPOLLIN,.data.fd = fd};

		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
	printf("ready\n");
	fflush(stdout);
	for (;;)
	{
		struct epoll_event events[512];
		int			n = epoll_wait(epoll, events, 512, -1);
		PGnotify   *notify;
		int			i;

		for (i = 0; i < n; i++)
			if (events[i].data.fd == listener)
				take(listener, epoll);
			else if (events[i].data.fd != PQsocket(database))
				readable(events[i].data.fd);
			else if (PQconsumeInput(database))
				while ((notify = PQnotifies(database)) != NULL)
				{
					send_all(notify->extra);
					PQfreemem(notify);
				}
			else
				die("the database is gone");
	}
}
