/*
 * listen.c
 *		The sockets that we listen on, and accepting.  A port that is busy is an
 *		error, and who is over a limit is told so before anything is allocated.
 */
#include "net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 4096
#define ACCEPTED_AT_ONCE 64	/* then the others have their turn */
#define SEND_BUFFER (64 * 1024) /* the kernel doubles it; unset it grows to 4 MB for who does not read */
#define DEAD_PEER_MS 20000		/* unacknowledged for so long: gone */
#define PAUSE_MS 500			/* without descriptors */

typedef struct Listener
{
	uv_poll_t	poll;
	int			fd;
	char	   *word;			/* as it was asked for */
	char	   *bound;			/* as it is, with a real port */
	struct Listener *next;
} Listener;

static Listener *listeners;
static QmsTimer pause_timer;

static void listen_again(void *arg);

static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/* Who is one too many gets a reply, if his socket takes it (with TLS it would be no reply). */
static void
refuse(int fd, QmsCount count)
{
	ssize_t		n = 0;

	qms_net.counts[count]++;
	if (qms_net.config->tls_cert[0] == '\0')
		n = send(fd, refusal, sizeof(refusal) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void) n;
	close(fd);
}

/* An address has as many connections as it may. */
static bool
address_is_full(const QmsAddress *address)
{
	QmsPeer    *peer;
	bool		full;

	if (qms_networks_contain(&qms_net.proxies, address))
		return false;
	peer = qms_peer_get(address);
	full = qms_peer_connections(peer) > qms_net.config->max_connections_per_address;
	qms_peer_release(peer);
	return full;
}

/* One new socket. */
static void
take(int fd, const struct sockaddr *from)
{
	QmsAddress	address;
	int			on = 1,
				buffer = SEND_BUFFER;
	unsigned int dead_peer = DEAD_PEER_MS;

	qms_net.counts[QMS_ACCEPTED]++;
	if (!qms_address_of_socket(from, &address))
		close(fd);
	else if (qms_net.connections >= qms_net.most_connections)
		refuse(fd, QMS_FULL);
	else if (address_is_full(&address))
		refuse(fd, QMS_FULL_ADDRESS);
	else
	{
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_peer, sizeof(dead_peer));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
		qms_conn_new(fd, &address);
	}
}

/* Without descriptors accepting would fail for ever and at once: a pause. */
static void
make_pause(void)
{
	Listener   *listener;

	qms_logf(QMS_LOG_WARNING, "Raise the limit of open files (LimitNOFILE, ulimit -n).",
			 "could not accept a connection: %s", strerror(errno));
	for (listener = listeners; listener != NULL; listener = listener->next)
		uv_poll_stop(&listener->poll);
	qms_wheel_add(&pause_timer, PAUSE_MS, listen_again, NULL);
}

/* Somebody wants in. */
static void
on_readable(uv_poll_t *handle, int status, int events)
{
	Listener   *listener = handle->data;
	int			i;

	(void) status;
	(void) events;
	for (i = 0; i < ACCEPTED_AT_ONCE; i++)
	{
		struct sockaddr_storage from;
		socklen_t	size = sizeof(from);
		int			fd = accept4(listener->fd, (struct sockaddr *) &from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
		{
			take(fd, (struct sockaddr *) &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			make_pause();
		/* Others are of this one client (ECONNABORTED), or there is nobody. */
		else if (errno != EAGAIN && errno != EINTR)
			continue;
		return;
	}
}

/* The pause is over. */
static void
listen_again(void *arg)
{
	Listener   *listener;

	(void) arg;
	for (listener = listeners; listener != NULL; listener = listener->next)
		uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/* What the kernel has bound: port 0 becomes a real one. */
static char *
bound_address(int fd)
{
	struct sockaddr_storage bound;
	socklen_t	size = sizeof(bound);
	char		host[NI_MAXHOST],
				port[NI_MAXSERV],
				text[NI_MAXHOST + NI_MAXSERV + 4] = "";

	if (getsockname(fd, (struct sockaddr *) &bound, &size) == 0 &&
		getnameinfo((struct sockaddr *) &bound, size, host, sizeof(host), port, sizeof(port),
					NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		snprintf(text, sizeof(text), strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
	return qms_copy(text);
}

/* A socket for one address, or -1 with errno. */
static int
open_socket(const struct addrinfo *address, bool v6_only)
{
	int			fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int			on = 1,
				only = v6_only,
				error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The socket of one word of the list, or -1 and what is wrong. */
static int
open_word(const char *word, QmsText *problem)
{
	char		host[QMS_HOST_SIZE],
				port[QMS_PORT_SIZE];
	struct addrinfo hints = {0},
			   *found = NULL;
	bool		all;
	int			fd = -1,
				rc;

	if (!qms_listen_split(word, host, port))
		return -1;
	all = strcmp(host, "*") == 0;
	hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo(all ? "::" : host, port, &hints, &found);
	if (rc == 0)
		fd = open_socket(found, !all);
	if (fd < 0 && all)
	{
		/* A machine without IPv6. */
		if (found != NULL)
			freeaddrinfo(found);
		found = NULL;
		rc = getaddrinfo("0.0.0.0", port, &hints, &found);
		if (rc == 0)
			fd = open_socket(found, false);
	}
	if (fd < 0)
		qms_text_printf(problem, "could not listen on %s: %s", word, rc != 0 ? gai_strerror(rc) : strerror(errno));
	if (found != NULL)
		freeaddrinfo(found);
	return fd;
}

/* Closed handles are freed when the loop lets go of them. */
static void
on_closed(uv_handle_t *handle)
{
	Listener   *listener = handle->data;

	free(listener->word);
	free(listener->bound);
	free(listener);
}

/* These listen no more. */
static void
close_all(Listener *list)
{
	while (list != NULL)
	{
		Listener   *next = list->next;

		uv_poll_stop(&list->poll);
		uv_close((uv_handle_t *) &list->poll, on_closed);
		close(list->fd);
		list = next;
	}
}

/* The one among these that is what the word asks for, out of the list; or null. */
static Listener *
take_out(Listener **list, const char *word)
{
	for (; *list != NULL; list = &(*list)->next)
	{
		Listener   *listener = *list;

		if (strcmp(listener->word, word) != 0 && strcmp(listener->bound, word) != 0)
			continue;
		*list = listener->next;
		return listener;
	}
	return NULL;
}

/* A new one for the word, or null and what is wrong. */
static Listener *
open_listener(const char *word, QmsText *problem)
{
	int			fd = open_word(word, problem);
	Listener   *listener;

	if (fd < 0)
		return NULL;
	listener = calloc(1, sizeof(*listener));
	if (listener == NULL)
		abort();
	listener->fd = fd;
	listener->word = qms_copy(word);
	listener->bound = bound_address(fd);
	uv_poll_init(qms_net.loop, &listener->poll, fd);
	listener->poll.data = listener;
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	return listener;
}

/*
 * All of the list, or what is wrong, and then as it was.  What is listened on
 * already goes on, with everybody who waits there.
 */
bool
qms_listen_start(const char *list, QmsText *problem)
{
	char		word[QMS_HOST_SIZE + QMS_PORT_SIZE + 8];
	Listener   *before = listeners,
			   *kept = NULL,
			   *fresh = NULL;
	Listener  **kept_end = &kept,
			  **fresh_end = &fresh;
	bool		good = true;

	while (good && qms_list_next(&list, word, sizeof(word)))
	{
		Listener   *listener = take_out(&before, word);
		Listener ***end = listener != NULL ? &kept_end : &fresh_end;

		if (listener == NULL)
			listener = open_listener(word, problem);
		good = listener != NULL;
		if (!good)
			break;
		listener->next = NULL;
		**end = listener;
		*end = &listener->next;
	}
	close_all(good ? before : fresh);
	*kept_end = good ? fresh : before;
	listeners = kept;
	return good;
}

/*
 * Another list.  If the new ones do not go beside the old ones (*:8080 beside
 * 127.0.0.1:8080), the old ones go first, and come back if that does not help.
 */
bool
qms_listen_change(const char *list, QmsText *problem)
{
	QmsText		before = {0};
	QmsText		again = {0};
	bool		good;

	if (qms_listen_start(list, problem))
		return true;
	qms_text_clear(problem);
	qms_listen_text(&before);
	qms_listen_stop();
	good = qms_listen_start(list, problem);
	if (!good && !qms_listen_start(before.data, &again))
		qms_log(QMS_LOG_ERROR, again.data, NULL, NULL);
	qms_text_free(&again);
	qms_text_free(&before);
	return good;
}

/* Nobody comes in any more. */
void
qms_listen_stop(void)
{
	qms_wheel_cancel(&pause_timer);
	close_all(listeners);
	listeners = NULL;
}

/* Where it listens, with real port numbers. */
void
qms_listen_text(QmsText *text)
{
	const Listener *listener;

	qms_text_puts(text, "");
	for (listener = listeners; listener != NULL; listener = listener->next)
		qms_text_printf(text, "%s%s", text->size > 0 ? ", " : "", listener->bound);
}
