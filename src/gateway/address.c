/*
 * address.c
 *		Addresses and networks: read from text, and whether one lies in another.
 *		All are kept as IPv6; IPv4 as ::ffff:a.b.c.d, so one client has one address.
 */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define V4_BITS 96				/* before the IPv4 address */

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Whether it is an IPv4 address. */
bool
qms_address_is_v4(const QmsAddress *address)
{
	return memcmp(address->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

/* "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711", "fe80::1%eth0". */
bool
qms_address_parse(const char *text, QmsAddress *address)
{
	char		copy[64];
	char	   *end;

	if (*text == '[')
		text++;
	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	if ((end = strchr(copy, ']')) != NULL || (end = strchr(copy, '%')) != NULL)
		*end = '\0';
	end = strchr(copy, ':');
	if (end != NULL && strchr(end + 1, ':') != NULL)
		return inet_pton(AF_INET6, copy, address->bytes) == 1;
	if (end != NULL)
		*end = '\0';
	memcpy(address->bytes, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, copy, address->bytes + sizeof(v4_prefix)) == 1;
}

/* Of the other side of a socket. */
bool
qms_address_of_socket(const struct sockaddr *socket_address, QmsAddress *address)
{
	if (socket_address->sa_family == AF_INET6)
	{
		memcpy(address->bytes, &((const struct sockaddr_in6 *) socket_address)->sin6_addr, 16);
		return true;
	}
	memcpy(address->bytes, v4_prefix, sizeof(v4_prefix));
	if (socket_address->sa_family == AF_INET)
		memcpy(address->bytes + sizeof(v4_prefix), &((const struct sockaddr_in *) socket_address)->sin_addr, 4);
	return socket_address->sa_family == AF_INET;
}

/* As people write it. */
void
qms_address_text(const QmsAddress *address, char text[QMS_ADDRESS_SIZE])
{
	bool		v4 = qms_address_is_v4(address);

	if (inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? sizeof(v4_prefix) : 0), text, QMS_ADDRESS_SIZE) == NULL)
		strcpy(text, "unknown");
}

/* An address with or without the length of its network. */
static bool
network_parse(const char *text, QmsNetwork *network)
{
	char		copy[64];
	char	   *slash,
			   *end;
	long		bits = 128;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (!qms_address_parse(copy, &network->address))
		return false;
	if (slash != NULL)
	{
		bits = strtol(slash, &end, 10);
		if (end == slash || *end != '\0' || bits < 0)
			return false;
		if (qms_address_is_v4(&network->address))
			bits += V4_BITS;
		if (bits > 128)
			return false;
	}
	network->bits = (int) bits;
	return true;
}

/* The list of a setting; what is no network was refused before. */
void
qms_networks_parse(QmsNetworks *networks, const char *list)
{
	char		word[64];

	free(networks->list);
	memset(networks, 0, sizeof(*networks));
	while (qms_list_next(&list, word, sizeof(word)))
	{
		QmsNetwork	network;
		QmsNetwork *more;

		if (!network_parse(word, &network))
			continue;
		more = realloc(networks->list, (networks->n + 1) * sizeof(network));
		if (more == NULL)
			abort();
		networks->list = more;
		networks->list[networks->n++] = network;
	}
}

/* Each word of a setting is an address or a network. */
bool
qms_networks_check(const char *value, QmsText *problem)
{
	char		word[64];
	QmsNetwork	network;

	while (qms_list_next(&value, word, sizeof(word)))
		if (!network_parse(word, &network))
		{
			qms_text_printf(problem, "\"%s\" is not an address or a network, such as 127.0.0.1 or 10.0.0.0/8", word);
			return false;
		}
	return true;
}

/* Whether the address lies in one of the networks. */
bool
qms_networks_contain(const QmsNetworks *networks, const QmsAddress *address)
{
	int			i;

	for (i = 0; i < networks->n; i++)
	{
		const QmsNetwork *network = &networks->list[i];
		int			whole = network->bits / 8;
		int			rest = network->bits % 8;

		if (memcmp(network->address.bytes, address->bytes, whole) == 0 &&
			(rest == 0 || (network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

/*
 * The client's address, if the other side of the socket is a proxy that is
 * believed: the last of X-Forwarded-For that is not such a proxy itself.  What
 * stands before it could be written by anybody.
 */
void
qms_address_forwarded(const QmsNetworks *proxies, const char *forwarded, QmsAddress *address)
{
	size_t		end = strlen(forwarded);

	while (end > 0 && qms_networks_contain(proxies, address))
	{
		size_t		begin = end;
		char		word[64];
		QmsAddress	before;

		while (begin > 0 && forwarded[begin - 1] != ',')
			begin--;
		if (end - begin >= sizeof(word))
			return;
		memcpy(word, forwarded + begin, end - begin);
		word[end - begin] = '\0';
		while (strlen(word) > 0 && strchr(" \t", word[strlen(word) - 1]) != NULL)
			word[strlen(word) - 1] = '\0';
		if (!qms_address_parse(word + strspn(word, " \t"), &before))
			return;
		*address = before;
		end = begin > 0 ? begin - 1 : 0;
	}
}
