/*
 * client.c
 *		WebSocket clients on one epoll: they connect, subscribe, count messages and
 *		answer pings.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 400				/* handshakes under way */
#define AT_ONCE_READ 64
#define BUFFER 262144

Client		clients[MAX_CLIENTS];
int			nclients,
			nopen,
			nstalled,
			nclosed,
			nwatched,
			epoll;
int64_t		bytes,
			pings,
			received,
			goal = INT64_MAX,
			reached,
			watched_reached;
int64_t		first_at,
			last_at,
			watched_at;

static int	nupgraded;
static int	watch = -1;			/* the epoll of the watched, which is in the other one ... */
static Client watched_clients;	/* ... as this client */
static struct sockaddr_in address;
static const char *path;
static Group common;
static unsigned char buffer[BUFFER + 1];

int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A text frame, masked with zeros. */
static void
say(Client *client, const char *text)
{
	unsigned char frame[4096 + 8];
	size_t		size = strlen(text);
	size_t		at = 0;

	frame[at++] = 0x81;
	if (size < 126)
		frame[at++] = 0x80 | size;
	else
	{
		frame[at++] = 0x80 | 126;
		frame[at++] = size >> 8;
		frame[at++] = size & 0xff;
	}
	memset(frame + at, 0, 4);
	at += 4;
	memcpy(frame + at, text, size);
	if (send(client->fd, frame, at + size, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EPIPE && errno != ECONNRESET)
		die("send");
}

static void
not_open(Client *client, State state)
{
	if (client->state == OPEN)
	{
		nopen--;
		nwatched -= client->group->watched;
	}
	nstalled += (state == STALLED) - (client->state == STALLED);
	client->state = state;
}

void
close_client(Client *client)
{
	if (client->state == CLOSED)
		return;
	not_open(client, CLOSED);
	nclosed++;
	close(client->fd);
}

/* It does not read any more. */
void
stall_client(Client *client)
{
	epoll_ctl(client->group->watched ? watch : epoll, EPOLL_CTL_DEL, client->fd, NULL);
	not_open(client, STALLED);
}

static void
now_open(Client *client)
{
	client->state = OPEN;
	nopen++;
	nwatched += client->group->watched;
}

/* More messages of a client: has everybody so many now? */
static void
count_messages(Client *client, int64_t n)
{
	bool		had = client->messages >= goal;

	received += n;
	client->messages += n;
	if (had || client->messages < goal)
		return;
	last_at = now_ns();
	if (reached++ == 0)
		first_at = last_at;
	if (client->group->watched)
	{
		watched_reached++;
		watched_at = last_at;
	}
}

/* A whole frame. */
static void
take_frame(Client *client, int opcode, const unsigned char *data, size_t size)
{
	const unsigned char *at = data;
	int64_t		n = 0;

	if (opcode == 8)
	{
		close_client(client);
		return;
	}
	if (opcode == 9)
	{
		static const unsigned char pong[6] = {0x8a, 0x80, 0, 0, 0, 0};

		pings++;
		(void) !send(client->fd, pong, sizeof(pong), MSG_NOSIGNAL);
		return;
	}
	if (opcode > 2)
		return;
	if (client->group->channel == NULL)
	{
		count_messages(client, 1);
		return;
	}
	if (size == 2 && data[0] == '{' && data[1] == '}')
	{
		pings++;
		say(client, "{}");
		return;
	}
	if (client->state == ASKED)
	{
		if (memmem(data, size, "\"error\"", 7) != NULL)
		{
			fprintf(stderr, "load: refused: %.*s\n", (int) size, data);
			exit(1);
		}
		if (memmem(data, size, "\"subscribe\"", 11) != NULL)
			now_open(client);
	}
	while ((at = memmem(at, data + size - at, "\"pub\":", 6)) != NULL)
	{
		n++;
		at += 6;
	}
	if (n > 0)
		count_messages(client, n);
}

/* Frames in data; answers how many bytes were used up. */
static size_t
take_frames(Client *client, const unsigned char *data, size_t size)
{
	size_t		used = 0;

	while (size - used >= 2 && client->state != CLOSED)
	{
		const unsigned char *frame = data + used;
		size_t		head = 2;
		uint64_t	length = frame[1] & 0x7f;
		int			i;

		if (length == 126)
			head = 4;
		else if (length == 127)
			head = 10;
		if (size - used < head)
			break;
		if (head > 2)
			for (length = 0, i = 2; i < (int) head; i++)
				length = length << 8 | frame[i];
		if (size - used - head < length)
			break;
		take_frame(client, frame[0] & 0x0f, frame + head, length);
		used += head + length;
	}
	return used;
}

/* The answer to the upgrade; what follows it are frames. */
static size_t
take_upgrade(Client *client, const unsigned char *data, size_t size)
{
	const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
	const Group *group = client->group;
	char		text[4096];

	if (end == NULL)
		return 0;
	if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)
	{
		fprintf(stderr, "load: %.*s\n", (int) (end - data), data);
		exit(1);
	}
	nupgraded++;
	if (group->channel != NULL)
	{
		client->state = ASKED;
		snprintf(text, sizeof(text), "{\"id\":1,\"connect\":{%s%s%s}}\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}",
				 group->token == NULL ? "" : "\"token\":\"", group->token == NULL ? "" : group->token, group->token == NULL ? "" : "\"", group->channel);
		say(client, text);
	}
	else
		now_open(client);
	return end - data + 4;
}

static void
readable(Client *client)
{
	for (;;)
	{
		size_t		kept = client->kept;
		size_t		used = 0;
		size_t		size;
		ssize_t		n;

		if (kept > 0)
			memcpy(buffer, client->rest, kept);
		n = recv(client->fd, buffer + kept, BUFFER - kept, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
		{
			close_client(client);
			return;
		}
		bytes += n;
		size = kept + n;
		if (client->state == UPGRADING)
			used = take_upgrade(client, buffer, size);
		if (client->state != UPGRADING)
			used += take_frames(client, buffer + used, size - used);
		free(client->rest);
		client->rest = NULL;
		client->kept = size - used;
		if (client->kept > 0)
		{
			client->rest = malloc(client->kept);
			memcpy(client->rest, buffer + used, client->kept);
		}
		/* A short read was all there was: no second system call to learn that. */
		if (client->state == CLOSED || (size_t) n < BUFFER - kept)
			return;
	}
}

static void
connected(Client *client)
{
	struct epoll_event event = {.events = EPOLLIN,.data.ptr = client};
	char		request[512];
	int			error = 0;
	socklen_t	size = sizeof(error);

	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0)
	{
		errno = error;
		die("connect");
	}
	client->state = UPGRADING;
	size = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, ntohs(address.sin_port));
	if (send(client->fd, request, size, MSG_NOSIGNAL) != (ssize_t) size)
		die("send");
	epoll_ctl(client->group->watched ? watch : epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* Ports of one address do not suffice for very many: use several of the loopback network. */
static void
begin_client(int n, const Group *group)
{
	Client	   *client = &clients[n];
	struct sockaddr_in own = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLOUT,.data.ptr = client};
	int			yes = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		die("socket");
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + n / 10000);
	setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (bind(client->fd, (struct sockaddr *) &own, sizeof(own)) != 0)
		die("bind");
	if (connect(client->fd, (struct sockaddr *) &address, sizeof(address)) != 0 && errno != EINPROGRESS)
		die("connect");
	client->state = CONNECTING;
	client->group = group;
	if (epoll_ctl(group->watched ? watch : epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		die("epoll_ctl");
}

/* What has happened to those of one epoll; at most so many, or the watched would wait. */
static void
serve(int which, int timeout)
{
	struct epoll_event events[AT_ONCE_READ];
	int			n = epoll_wait(which, events, AT_ONCE_READ, timeout);
	int			i;

	if (which == epoll && nwatched > 0)
		serve(watch, 0);
	for (i = 0; i < n; i++)
	{
		Client	   *client = events[i].data.ptr;

		if (client == &watched_clients)
			serve(watch, 0);
		else if (client == NULL || client->state == CLOSED || client->state == STALLED)
			continue;
		else if (client->state == CONNECTING)
			connected(client);
		else
			readable(client);
	}
}

void
turn(int timeout)
{
	serve(epoll, timeout);
}

/* n clients of the common channel, and those of others at random places among them. */
void
open_clients(int n, const Group *const *among, int namong)
{
	int64_t		began = now_ns();
	int64_t		upgraded_at = 0;
	int			want = nclients + n + namong;
	int			upgraded = nupgraded + n + namong;
	int			target = nopen + n + namong;

	if (want > MAX_CLIENTS)
		die("too many clients");
	while (nopen < target)
	{
		while (nclients < want && nclients - nopen - nstalled - nclosed < AT_ONCE)
		{
			const Group *group = rand() % (want - nclients) < namong ? among[--namong] : &common;

			begin_client(nclients++, group);
		}
		turn(100);
		if (upgraded_at == 0 && nupgraded >= upgraded)
			upgraded_at = now_ns();
		if (now_ns() - began > INT64_C(120000000000))
		{
			fprintf(stderr, "load: %d of %d are open, %d upgraded, %d closed\n", nopen, target, nupgraded, nclosed);
			exit(1);
		}
	}
	printf("opened %d %.1f %.1f\n", n, (upgraded_at - began) / 1e6, (now_ns() - began) / 1e6);
}

void
begin(int port, const char *where, const char *what)
{
	struct epoll_event event = {.events = EPOLLIN,.data.ptr = &watched_clients};

	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = where;
	common.channel = what;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	watch = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || watch < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, watch, &event) != 0)
		die("epoll_create1");
}
