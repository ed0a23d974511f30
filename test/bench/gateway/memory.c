/*
 * memory.c
 *		What the kernel holds for the clients that do not read: at their own
 *		ends, and at the ends of the program they talk to, which are on this
 *		machine too.  Both are in one netlink dump (what "ss -tm" shows).
 */
#include "load.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Sum
{
	int			n;
	double		bytes;
	double		most;
} Sum;

/* Local ports of those who do not read. */
static bool is_stalled[65536];

static void
mark_stalled(void)
{
	struct sockaddr_in own;
	int			i;

	memset(is_stalled, 0, sizeof(is_stalled));
	for (i = 0; i < nclients; i++)
	{
		socklen_t	size = sizeof(own);

		if (clients[i].state == STALLED && getsockname(clients[i].fd, (struct sockaddr *) &own, &size) == 0)
			is_stalled[ntohs(own.sin_port)] = true;
	}
}

/* What is charged to a socket: received, to be sent or acknowledged, and set aside. */
static void
add(Sum *sum, const struct inet_diag_msg *socket, int size)
{
	const struct rtattr *attribute = (const struct rtattr *) (socket + 1);

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size))
	{
		const uint32_t *figure = RTA_DATA(attribute);
		double		bytes;

		if (attribute->rta_type != INET_DIAG_SKMEMINFO)
			continue;
		/* What is set aside may be a little less than nothing. */
		bytes = (double) figure[SK_MEMINFO_RMEM_ALLOC] + figure[SK_MEMINFO_WMEM_QUEUED] + (int32_t) figure[SK_MEMINFO_FWD_ALLOC];
		sum->n++;
		sum->bytes += bytes;
		sum->most = bytes > sum->most ? bytes : sum->most;
	}
}

/* One part of the answer; false: it was the last. */
static bool
take_part(const char *part, int size, int port, Sum *own, Sum *theirs)
{
	const struct nlmsghdr *head = (const struct nlmsghdr *) part;

	for (; NLMSG_OK(head, (unsigned int) size); head = NLMSG_NEXT(head, size))
	{
		const struct inet_diag_msg *socket = NLMSG_DATA(head);
		int			rest = (int) head->nlmsg_len - (int) NLMSG_LENGTH(sizeof(*socket));

		if (head->nlmsg_type == NLMSG_DONE)
			return false;
		if (head->nlmsg_type == NLMSG_ERROR)
			die("sock_diag");
		if (ntohs(socket->id.idiag_sport) == port && is_stalled[ntohs(socket->id.idiag_dport)])
			add(theirs, socket, rest);
		else if (ntohs(socket->id.idiag_dport) == port && is_stalled[ntohs(socket->id.idiag_sport)])
			add(own, socket, rest);
	}
	return true;
}

void
print_memory(int port)
{
	struct
	{
		struct nlmsghdr head;
		struct inet_diag_req_v2 what;
	}			request = {0};
	static char part[65536] __attribute__((aligned(8)));
	Sum			own = {0},
				theirs = {0};
	int			fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t		size;

	mark_stalled();
	request.head.nlmsg_len = sizeof(request);
	request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.what.sdiag_family = AF_INET;
	request.what.sdiag_protocol = IPPROTO_TCP;
	request.what.idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
	request.what.idiag_states = 1 << TCP_ESTABLISHED;
	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		die("netlink");
	do
		size = recv(fd, part, sizeof(part), 0);
	while (size > 0 && take_part(part, (int) size, port, &own, &theirs));
	close(fd);
	printf("memory %d %.0f %.0f %.0f %.0f\n", theirs.n, own.n > 0 ? own.bytes / own.n : 0, own.most, theirs.n > 0 ? theirs.bytes / theirs.n : 0, theirs.most);
}
