/*
 * metrics.c
 *		The figures of the transport for Prometheus; the hub adds its own.
 */
#include "net.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One line each, and what the family means where it begins. */
static const struct
{
	const char *name;
	const char *label;
	QmsCount	count;
	const char *help;
}			counters[] = {
	{"accepted_total", "", QMS_ACCEPTED, "Sockets accepted."},
	{"refused_total", "{reason=\"full\"}", QMS_FULL, "Connections and requests refused, by the limit they met."},
	{"refused_total", "{reason=\"address_full\"}", QMS_FULL_ADDRESS, NULL},
	{"refused_total", "{reason=\"flood\"}", QMS_FLOOD, NULL},
	{"refused_total", "{reason=\"no_request\"}", QMS_NO_REQUEST, NULL},
	{"refused_total", "{reason=\"slow_request\"}", QMS_SLOW_REQUEST, NULL},
	{"refused_total", "{reason=\"bad_upgrade\"}", QMS_BAD_UPGRADE, NULL},
	{"refused_total", "{reason=\"origin\"}", QMS_BAD_ORIGIN, NULL},
	{"cut_total", "{reason=\"bad_frame\"}", QMS_BAD_FRAME, "Clients cut off by the transport, or lost, by the reason."},
	{"cut_total", "{reason=\"binary\"}", QMS_BINARY, NULL},
	{"cut_total", "{reason=\"oversize\"}", QMS_OVERSIZE, NULL},
	{"cut_total", "{reason=\"chatter\"}", QMS_CHATTER, NULL},
	{"cut_total", "{reason=\"stuck\"}", QMS_STUCK, NULL},
	{"cut_total", "{reason=\"lost\"}", QMS_LOST, NULL},
	{"received_messages_total", "", QMS_MESSAGES_IN, "Messages from clients."},
	{"received_bytes_total", "", QMS_BYTES_IN, "Bytes of messages from clients."},
	{"sent_frames_total", "", QMS_MESSAGES_OUT, "Frames to clients."},
	{"sent_bytes_total", "", QMS_BYTES_OUT, "Bytes of frames to clients."},
};

/* HELP and TYPE. */
static void
begin_family(QmsText *out, const char *name, const char *type, const char *help)
{
	qms_text_printf(out, "# HELP qms_gateway_%s %s\n# TYPE qms_gateway_%s %s\n", name, help, name, type);
}

/* Descriptors that are open. */
static int
open_descriptors(void)
{
	DIR		   *dir = opendir("/proc/self/fd");
	int			n = -1;			/* the one that looks */

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;				/* . and .. */
}

/* Memory that is resident, in bytes. */
static long long
resident_bytes(void)
{
	FILE	   *file = fopen("/proc/self/statm", "r");
	long long	pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*s %lld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* All of them. */
void
qms_metrics_write(QmsText *out)
{
	static const char *const kinds[] = {"websocket", "uni_websocket", "sse"};
	size_t		i;

	begin_family(out, "build_info", "gauge", "The version, as a label.");
	qms_text_printf(out, "qms_gateway_build_info{version=\"%s\"} 1\n", QMS_VERSION);
	begin_family(out, "sockets", "gauge", "Open connections of all kinds.");
	qms_text_printf(out, "qms_gateway_sockets %d\n", qms_net.connections);
	begin_family(out, "sockets_limit", "gauge", "Connections that are possible at the same time.");
	qms_text_printf(out, "qms_gateway_sockets_limit %d\n", qms_net.most_connections);
	begin_family(out, "transport_clients", "gauge", "Clients by the kind of their connection.");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		qms_text_printf(out, "qms_gateway_transport_clients{kind=\"%s\"} %d\n", kinds[i], qms_net.clients[i]);
	qms_text_printf(out, "# HELP qms_websocket_connections Clients connected by WebSocket.\n"
					"# TYPE qms_websocket_connections gauge\nqms_websocket_connections %d\n", qms_net.clients[0] + qms_net.clients[1]);
	begin_family(out, "rpc_queue_length", "gauge", "Calls that wait for a database connection (there is no /rpc yet).");
	qms_text_puts(out, "qms_gateway_rpc_queue_length 0\n");
	begin_family(out, "http_replies_total", "counter", "HTTP replies by the hundred of their status.");
	for (i = 2; i < 6; i++)
		qms_text_printf(out, "qms_gateway_http_replies_total{code=\"%zuxx\"} %lld\n", i, (long long) qms_net.replies[i]);
	for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
	{
		if (counters[i].help != NULL)
			begin_family(out, counters[i].name, "counter", counters[i].help);
		qms_text_printf(out, "qms_gateway_%s%s %lld\n", counters[i].name, counters[i].label,
						(long long) qms_net.counts[counters[i].count]);
	}
	begin_family(out, "open_fds", "gauge", "Open file descriptors.");
	qms_text_printf(out, "qms_gateway_open_fds %d\n", open_descriptors());
	begin_family(out, "resident_memory_bytes", "gauge", "Memory of the process.");
	qms_text_printf(out, "qms_gateway_resident_memory_bytes %lld\n", resident_bytes());
	qms_hub_metrics(out);
}
