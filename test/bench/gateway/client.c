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
#define BUFFER 262144

Client		clients[MAX_CLIENTS];
int			nclients,
			nopen,
			nstalled,
			nclosed,
			epoll;
int64_t		bytes,
			pings,
			goal = INT64_MAX,
			reached;
int64_t		first_at,
			last_at;

static int	nupgraded;
static struct sockaddr_in address;
static const char *path,
		   *channel;
static bool speaks_centrifuge;
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
	unsigned char frame[1024];
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
close_client(Client *client)
{
	if (client->state == CLOSED)
		return;
	if (client->state == OPEN)
		nopen--;
	client->state = CLOSED;
	nclosed++;
	close(client->fd);
}

static void
now_open(Client *client)
{
	client->state = OPEN;
	nopen++;
}

/* One more message of a client: has everybody so many now? */
static void
count_messages(Client *client, int64_t n)
{
	bool		had = client->messages >= goal;

	client->messages += n;
	if (had || client->messages < goal)
		return;
	last_at = now_ns();
	if (reached++ == 0)
		first_at = last_at;
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
	if (!speaks_centrifuge)
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
	char		text[512];

	if (end == NULL)
		return 0;
	if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)
	{
		fprintf(stderr, "load: %.*s\n", (int) (end - data), data);
		exit(1);
	}
	nupgraded++;
	if (speaks_centrifuge)
	{
		client->state = ASKED;
		snprintf(text, sizeof(text), "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", channel);
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
	epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
}

/* Ports of one address do not suffice for very many: use several of the loopback network. */
static void
begin_client(int n)
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
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
		die("epoll_ctl");
}

void
turn(int timeout)
{
	struct epoll_event events[512];
	int			n = epoll_wait(epoll, events, 512, timeout);
	int			i;

	for (i = 0; i < n; i++)
	{
		Client	   *client = events[i].data.ptr;

		if (client == NULL)
			continue;
		if (client->state == CONNECTING)
			connected(client);
		else if (client->state != CLOSED && client->state != STALLED)
			readable(client);
	}
}

void
open_clients(int n)
{
	int64_t		began = now_ns();
	int64_t		upgraded_at = 0;
	int			want = nclients + n;
	int			upgraded = nupgraded + n;
	int			target = nopen + n;

	if (want > MAX_CLIENTS)
		die("too many clients");
	while (nopen < target)
	{
		while (nclients < want && nclients - nopen - nstalled - nclosed < AT_ONCE)
			begin_client(nclients++);
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
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = where;
	channel = what;
	speaks_centrifuge = what != NULL;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll_create1");
}
