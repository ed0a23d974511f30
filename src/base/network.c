/*
 * network.c
 *		Addresses and networks of clients, read from text or from inet values, and
 *		whether one contains the other.  Pure, and raises no errors: the text is
 *		what a proxy passed on.
 */
#include "base/base.h"

#include <sys/socket.h>

#include "utils/builtins.h"

#define MAPPED_BITS 96			/* before the IPv4 address in an IPv6 one */

/* ::ffff:a.b.c.d is a.b.c.d, so that one client has one address. */
static void
unmap(QmsNetwork *network)
{
	static const uint8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (!network->is_v6 || network->bits < MAPPED_BITS || memcmp(network->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(network->bytes, network->bytes + sizeof(mapped), 4);
	memset(network->bytes + 4, 0, 12);
	network->bits -= MAPPED_BITS;
	network->is_v6 = false;
}

/*
 * "192.0.2.1", "192.0.2.0/24", "2001:db8::/32".  Behind an address there may be
 * what proxies write: "192.0.2.1:4711", "[2001:db8::1]:4711", "fe80::1%eth0".
 */
bool
qms_network_parse(const char *text, QmsNetwork *network)
{
	char		copy[64];
	char	   *end;

	memset(network, 0, sizeof(*network));
	if (*text == '[')
		text++;
	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return false;
	if ((end = strchr(copy, ']')) != NULL || (end = strchr(copy, '%')) != NULL)
		*end = '\0';
	end = strchr(copy, ':');
	network->is_v6 = end != NULL && strchr(end + 1, ':') != NULL;
	if (end != NULL && !network->is_v6)
		*end = '\0';
	network->bits = pg_inet_net_pton(network->is_v6 ? PGSQL_AF_INET6 : PGSQL_AF_INET, copy, network->bytes, -1);
	if (network->bits < 0)
		return false;
	unmap(network);
	return true;
}

/* One address, not a network. */
bool
qms_network_is_address(const QmsNetwork *network)
{
	return network->bits == (network->is_v6 ? 128 : 32);
}

/* The address or network of an inet or cidr value. */
void
qms_network_of_inet(const inet *value, QmsNetwork *network)
{
	memset(network, 0, sizeof(*network));
	network->is_v6 = ip_family(value) == PGSQL_AF_INET6;
	network->bits = ip_bits(value);
	memcpy(network->bytes, ip_addr(value), ip_addrsize(value));
	unmap(network);
}

void
qms_network_to_inet(const QmsNetwork *network, inet *value)
{
	memset(value, 0, sizeof(inet));
	value->inet_data.family = network->is_v6 ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	value->inet_data.bits = network->bits;
	memcpy(value->inet_data.ipaddr, network->bytes, network->is_v6 ? 16 : 4);
	SET_VARSIZE(value, offsetof(inet, inet_data) + offsetof(inet_struct, ipaddr) + (network->is_v6 ? 16 : 4));
}

bool
qms_network_contains(const QmsNetwork *network, const QmsNetwork *address)
{
	int			whole = network->bits / 8;
	int			rest = network->bits % 8;

	if (network->is_v6 != address->is_v6 || address->bits < network->bits ||
		memcmp(network->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || ((network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

/* As text; an address without its length. */
char *
qms_network_text(const QmsNetwork *network)
{
	char		buffer[sizeof("xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:255.255.255.255/128")];

	if (pg_inet_net_ntop(network->is_v6 ? PGSQL_AF_INET6 : PGSQL_AF_INET, network->bytes, network->bits,
						 buffer, sizeof(buffer)) == NULL)
		return pstrdup("unknown");
	return pstrdup(buffer);
}

/* The first bits of an address: the network that it lies in. */
void
qms_network_cut(QmsNetwork *network, int bits)
{
	int			i;

	for (i = 0; i < (int) sizeof(network->bytes); i++)
	{
		int			keep = Max(0, Min(8, bits - i * 8));

		network->bytes[i] &= (uint8) (0xff00 >> keep);
	}
	network->bits = Min(network->bits, bits);
}
