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
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CLIENTS 40000
#define AT_ONCE 400				/* handshakes under way */
#define BUFFER 262144
#define ROUND_MS 20000

typedef enum { CONNECTING, UPGRADING, ASKED, OPEN, STALLED, CLOSED } State;

typedef struct Client
{
	int			fd;
	State		state;
	int64_t		messages;
	size_t		kept;			/* bytes of a frame that is not complete */
	unsigned char *rest;
} Client;

static Client clients[MAX_CLIENTS];
static int	nclients,
			nopen,
			nupgraded,
			nstalled,
			nclosed;
static int	epoll;
static struct sockaddr_in address;
static const char *path,
		   *channel;
static bool speaks_centrifuge;
static int64_t bytes,
			pings,
			goal,
			reached;
static int64_t first_at,
			last_at;
static unsigned char buffer[BUFFER + 1];

/* The committing thread. */
static PGconn *database;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static char *statement;
static bool in_transaction,
			finished;
static int64_t commit_at,
			ack_at,
			nrows;

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
run_sql(const char *sql)
{
	PGresult   *result = PQexec(database, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		fprintf(stderr, "load: %s%s\n", sql, PQerrorMessage(database));
		exit(1);
	}
	nrows = PQntuples(result);
	PQclear(result);
}

/* Executes what it is given; the time runs from just before COMMIT is sent. */
static void *
committer(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;)
	{
		while (statement == NULL)
			pthread_cond_wait(&given, &lock);
		pthread_mutex_unlock(&lock);
		if (in_transaction)
			run_sql("BEGIN");
		run_sql(statement);
		__atomic_store_n(&commit_at, now_ns(), __ATOMIC_SEQ_CST);
		if (in_transaction)
			run_sql("COMMIT");
		ack_at = now_ns();
		pthread_mutex_lock(&lock);
		free(statement);
		statement = NULL;
		__atomic_store_n(&finished, true, __ATOMIC_SEQ_CST);
	}
	return unused;
}

static void
give(const char *sql, bool transaction)
{
	pthread_mutex_lock(&lock);
	finished = false;
	in_transaction = transaction;
	commit_at = 0;
	statement = strdup(sql);
	pthread_cond_signal(&given);
	pthread_mutex_unlock(&lock);
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

static void
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

static void
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
	while ((reached < nopen || !__atomic_load_n(&finished, __ATOMIC_SEQ_CST)) && now_ns() < end)
		turn(reached < nopen ? 100 : 0);
	while (!__atomic_load_n(&finished, __ATOMIC_SEQ_CST))
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
	while (!__atomic_load_n(&finished, __ATOMIC_SEQ_CST))
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
	pthread_t	thread;
	char		line[8192];

	if (argc != 6)
	{
		fprintf(stderr, "usage: load PORT PATH centrifuge|plain CHANNEL CONNINFO\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	address.sin_family = AF_INET;
	address.sin_port = htons(atoi(argv[1]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path = argv[2];
	speaks_centrifuge = strcmp(argv[3], "centrifuge") == 0;
	channel = argv[4];
	goal = INT64_MAX;
	database = PQconnectdb(argv[5]);
	if (PQstatus(database) != CONNECTION_OK)
	{
		fprintf(stderr, "load: %s", PQerrorMessage(database));
		return 1;
	}
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input) != 0)
		die("epoll");
	pthread_create(&thread, NULL, committer, NULL);
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
