/*
 * fuzz_sockets.c PORT SECONDS SEED
 *		Throws mutated requests, handshakes and frames at a gateway, over many sockets
 *		that are cut, half closed and reset, and asks it meanwhile whether it lives:
 *		an answer must come, and soon.  Prints what it did; 1 if the gateway failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS 48
#define MOST 20000
#define STALL_MS 5000			/* on a busy machine; the median is printed */

static const char handshake[] =
"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/* The same where binary messages are spoken. */
static const char binary_handshake[] =
"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: centrifuge-protobuf\r\n\r\n";

static const char *const requests[] = {
	handshake, binary_handshake,
	"GET /connection/websocket?a=b&format=protobuf&cf_protocol=protobuf HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
	"GET /events?channel=display:1&channel=many:1000 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 4:abc\r\n\r\n",
	"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: foo\r\nConnection: keep-alive, Upgrade\r\n\r\n",
	"GET /x HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
	"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc",
	"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HEAD /display/1?a=b&c=%41%zz HTTP/1.0\r\nIf-None-Match: \"a\", W/\"b\", *\r\n\r\n",
	"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"OPTIONS /events HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
	"GET /connection/uni_websocket?channel=a&channel=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, centrifuge-json\r\n"
	"X-Forwarded-For: 1.2.3.4, ::1\r\nAuthorization: Bearer x.y.z\r\nOrigin: null\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};

/* Pieces that mean something, put in anywhere. */
static const char *const words[] = {
	"\r\n", "\n", "\r", ":", " ", "%00", "%2e%2e/", "/../", "//", "?", "&", ";", "=", "Upgrade: ", "Connection: Upgrade\r\n", "Host: ",
	"Sec-WebSocket-Key: ", "Content-Length: 99999999999999999999\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n",
	"Expect: 100-continue\r\n", "Cookie: a=b; c\r\n", "X: ", "HTTP/1.1", "HTTP/9.9", "GET ", "\0\0\0", "\xff\xff\xff", "websocket", "h2c",
	"{\"id\":1,\"connect\":{}}", "close 3001 x", "big 70000", "many 300", "about", "polite 500",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct sockaddr_in target;
static uint64_t state;
static long sent_requests,
			sent_frames,
			sent_bytes,
			looked;
static double waits[100000];

/* The same numbers for the same seed. */
static uint32_t
number(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 16) % below;
}

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* A frame: mostly of a sound form, its fields taken at random. */
static size_t
make_frame(unsigned char *to)
{
	static const unsigned char opcodes[] = {0, 1, 1, 1, 1, 2, 2, 2, 8, 9, 10, 3, 11, 15};
	size_t		length = number(8) == 0 ? number(3000) : number(130);
	size_t		said = number(30) == 0 ? number(1 << 20) : length;
	int			form = number(10) == 0 ? (int) number(3) : said < 126 ? 0 : said < 65536 ? 1 : 2;
	bool		masked = number(20) != 0;
	size_t		n = 0,
				i;

	to[n++] = (unsigned char) ((number(4) != 0) << 7 | (number(30) == 0 ? number(8) << 4 : 0) | opcodes[number(COUNT(opcodes))]);
	to[n++] = (unsigned char) (masked << 7 | (form == 0 ? said & 127 : form == 1 ? 126 : 127));
	for (i = form == 0 ? 0 : form == 1 ? 2 : 8; i > 0; i--)
		to[n++] = (unsigned char) (said >> ((i - 1) * 8));
	if (number(200) == 0 && form == 2)
		to[2] |= 0x80;
	for (i = 0; masked && i < 4; i++)
		to[n++] = 0;
	if (number(3) == 0)
	{
		const char *word = words[number(COUNT(words))];

		length = strlen(word);
		to[1] = (unsigned char) (masked << 7 | length);
		n = masked ? 6 : 2;
		memset(to + 2, 0, 4);
		memcpy(to + n, word, length);
		return n + length;
	}
	for (i = 0; i < length; i++)
		to[n + i] = (unsigned char) (number(4) == 0 ? number(256) : 'a' + number(26));
	sent_frames++;
	return n + length;
}

/* Bytes changed, taken out, doubled, words put in. */
static size_t
mutate(unsigned char *data, size_t size)
{
	int			changes = number(3) == 0 ? 0 : (int) number(6);

	for (; changes > 0 && size > 0; changes--)
	{
		size_t		at = number((uint32_t) size);
		size_t		length = 1 + number(20);
		const char *word = words[number(COUNT(words))];

		if (length > size - at)
			length = size - at;
		switch (number(5))
		{
			case 0:
				data[at] = (unsigned char) number(256);
				break;
			case 1:
				memmove(data + at, data + at + length, size - at - length);
				size -= length;
				break;
			case 2:
				if (size + length > MOST)
					break;
				memmove(data + at + length, data + at, size - at);
				size += length;
				break;
			case 3:
				length = strlen(word);
				if (size + length > MOST)
					break;
				memmove(data + at + length, data + at, size - at);
				memcpy(data + at, word, length);
				size += length;
				break;
			default:
				size = at;
		}
	}
	return size;
}

/* What one socket will say. */
static size_t
make_input(unsigned char *data)
{
	size_t		size = 0;
	int			i;

	if (number(2) == 0)
	{
		/* A sound handshake, so that the frames are heard. */
		bool		binary = number(3) == 0;
		size_t		head = binary ? sizeof(binary_handshake) - 1 : sizeof(handshake) - 1;

		memcpy(data, binary ? binary_handshake : handshake, head);
		size = head;
		sent_requests++;
		for (i = (int) number(20); i > 0 && size < MOST - 4000; i--)
			size += make_frame(data + size);
		return number(4) == 0 ? head + mutate(data + head, size - head) : size;
	}
	for (i = 1 + (int) number(3); i > 0 && size < MOST / 2; i--)
	{
		const char *request = requests[number(COUNT(requests))];

		memcpy(data + size, request, strlen(request));
		size += strlen(request);
		sent_requests++;
	}
	if (number(3) == 0 && size < MOST - 4000)
		size += make_frame(data + size);
	return mutate(data, size);
}

static int
open_socket(void)
{
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *) &target, sizeof(target)) != 0)
	{
		close(fd);
		return -1;
	}
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Whether it lives, and how long the answer took. */
static bool
look(void)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	double		begin = now_ms();
	int			fd = open_socket();
	char		answer[2000];
	size_t		have = 0;
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t		n = 1;

	if (fd < 0 || write(fd, request, sizeof(request) - 1) < 0)
		return false;
	while (n > 0 && have < sizeof(answer) - 1 && poll(&p, 1, STALL_MS) > 0)
	{
		n = read(fd, answer + have, sizeof(answer) - 1 - have);
		have += n > 0 ? n : 0;
	}
	answer[have] = '\0';
	close(fd);
	if (looked < (long) COUNT(waits))
		waits[looked++] = now_ms() - begin;
	return strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

/* Ended in one of the ways that there are. */
static void
end_socket(int fd)
{
	struct linger linger = {1, 0};

	if (number(3) == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static int
by_size(const void *a, const void *b)
{
	return *(const double *) a < *(const double *) b ? -1 : 1;
}

int
main(int argc, char **argv)
{
	static struct
	{
		int			fd;
		unsigned char data[MOST + 4000];
		size_t		size,
					sent;
	}			sockets[SOCKETS];
	char		bucket[65536];
	double		end,
				next_look = 0;
	int			i;

	if (argc != 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t) atoi(argv[1]));
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	end = now_ms() + atof(argv[2]) * 1000;
	state = strtoull(argv[3], NULL, 10) * 2654435761u + 88172645463325252u;
	for (i = 0; i < SOCKETS; i++)
		sockets[i].fd = -1;
	for (i = 0; now_ms() < end; i = (i + 1) % SOCKETS)
	{
		if (now_ms() > next_look)
		{
			next_look = now_ms() + 50;
			if (!look())
			{
				printf("the gateway does not answer\n");
				return 1;
			}
		}
		if (sockets[i].fd < 0)
		{
			sockets[i].fd = open_socket();
			sockets[i].sent = 0;
			sockets[i].size = make_input(sockets[i].data);
		}
		if (sockets[i].fd >= 0)
		{
			size_t		left = sockets[i].size - sockets[i].sent;
			ssize_t		n = left == 0 ? 0 : write(sockets[i].fd, sockets[i].data + sockets[i].sent,
												  number(3) == 0 ? 1 + number((uint32_t) left) : left);

			if (n > 0)
				sockets[i].sent += n, sent_bytes += n;
			if (number(3) != 0)
				while (read(sockets[i].fd, bucket, sizeof(bucket)) > 0)
					;
			if (number(100) == 0)
				shutdown(sockets[i].fd, SHUT_WR);
			if ((n < 0 && errno != EAGAIN) || (left == 0 && number(3) == 0) || number(200) == 0)
			{
				end_socket(sockets[i].fd);
				sockets[i].fd = -1;
			}
		}
	}
	qsort(waits, looked, sizeof(waits[0]), by_size);
	printf("%ld requests, %ld frames, %ld bytes; %ld looks, answered within %.1f ms (median), %.1f (99 %%), %.1f (all)\n", sent_requests,
		   sent_frames, sent_bytes, looked, waits[looked / 2], waits[looked * 99 / 100], waits[looked - 1]);
	return 0;
}
