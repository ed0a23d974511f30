/*
 * hub_metrics.c
 *		What the hub counts, as Prometheus text and as a status.
 */
#include "hub.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Upper bounds in seconds. */
static const double bounds[QMS_LATENCY_BUCKETS] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
};

static const int disconnect_codes[] = {
	QMS_DISCONNECT_SHUTDOWN, QMS_DISCONNECT_SERVER_ERROR, QMS_DISCONNECT_EXPIRED, QMS_DISCONNECT_SLOW,
	QMS_DISCONNECT_INSUFFICIENT_STATE, QMS_DISCONNECT_FORCE_RECONNECT, QMS_DISCONNECT_NO_PONG,
	QMS_DISCONNECT_TOO_MANY_REQUESTS, QMS_DISCONNECT_INVALID_TOKEN, QMS_DISCONNECT_BAD_REQUEST,
	QMS_DISCONNECT_STALE, QMS_DISCONNECT_PERMISSION_DENIED
};

#define DISCONNECT_CODES ((int) (sizeof(disconnect_codes) / sizeof(disconnect_codes[0])))

static const char *const kind_names[QMS_CHANNEL_KINDS] = {
	[QMS_STAFF] = "staff", [QMS_ADMIN] = "admin", [QMS_APPLICATION] = "application",
	[QMS_DISPLAY] = "display", [QMS_SYSTEM] = "system", [QMS_QUEUE] = "queue", [QMS_VISIT] = "visit"
};

static const char *const form_names[QMS_FORMS] = {
	[QMS_FORM_JSON] = "json", [QMS_FORM_PROTOBUF] = "protobuf"
};

static const struct
{
	const char *name;
	const char *type;
	const char *help;
	size_t		offset;
}			numbers[] = {
	{"connections", "gauge", "Clients connected.", offsetof(QmsCounters, connections)},
	{"subscriptions", "gauge", "Subscriptions of all clients.", offsetof(QmsCounters, subscriptions)},
	{"connects_total", "counter", "Connects answered.", offsetof(QmsCounters, connects)},
	{"commands_total", "counter", "Commands of clients.", offsetof(QmsCounters, commands)},
	{"commands_refused_total", "counter", "Commands beyond the limit per second.", offsetof(QmsCounters, refused_commands)},
	{"bad_requests_total", "counter", "Clients that did not speak the protocol.", offsetof(QmsCounters, bad_requests)},
	{"messages_total", "counter", "Messages written to clients.", offsetof(QmsCounters, messages)},
	{"bytes_total", "counter", "Bytes of these messages.", offsetof(QmsCounters, bytes)},
	{"events_total", "counter", "Events read from databases.", offsetof(QmsCounters, events)},
	{"publications_total", "counter", "Publications of channels made of them.", offsetof(QmsCounters, publications)},
	{"wakes_total", "counter", "Reads that brought events.", offsetof(QmsCounters, wakes)},
	{"direct_writes_total", "counter", "Frames of publications written at once.", offsetof(QmsCounters, direct)},
	{"late_writes_total", "counter", "Frames of publications written when the client could take more.", offsetof(QmsCounters, late)},
	{"snapshots_sent_total", "counter", "Snapshots sent instead of publications.", offsetof(QmsCounters, snapshots)},
	{"drops_total", "counter", "Clients disconnected because they missed too much.", offsetof(QmsCounters, slow)},
	{"recovered_total", "counter", "Subscriptions resumed without a gap.", offsetof(QmsCounters, recovered)},
	{"not_recovered_total", "counter", "Subscriptions that could not be resumed and got a snapshot.", offsetof(QmsCounters, not_recovered)},
	{"stream_breaks_total", "counter", "Epochs that ended, and positions that were pruned.", offsetof(QmsCounters, resets)},
	{"checks_total", "counter", "Questions about rights.", offsetof(QmsCounters, checks)},
	{"check_statements_total", "counter", "Statements they were asked with.", offsetof(QmsCounters, check_statements)},
	{"snapshots_total", "counter", "Snapshots and histories asked for.", offsetof(QmsCounters, loads)},
	{"snapshot_statements_total", "counter", "Statements they were asked with.", offsetof(QmsCounters, load_statements)},
	{"database_losses_total", "counter", "Connections to databases lost or not made.", offsetof(QmsCounters, reconnects)}
};

/* One observation. */
void
qms_histogram_add(QmsHistogram *histogram, double seconds)
{
	int			i = 0;

	while (i < QMS_LATENCY_BUCKETS && seconds > bounds[i])
		i++;
	histogram->buckets[i]++;
	histogram->count++;
	histogram->sum += seconds;
}

/* A client is told to go. */
void
qms_count_disconnect(int code)
{
	int			i;

	for (i = 0; i < DISCONNECT_CODES; i++)
		if (disconnect_codes[i] == code)
			qms_hub.counters.disconnects[i]++;
}

/* One histogram; label is empty or 'name="value",'. */
static void
put_histogram(QmsText *out, const char *name, const char *label, const QmsHistogram *histogram)
{
	char		labels[40] = "";	/* without le, in braces if there are any */
	uint64_t	sum = 0;
	int			i;

	if (label[0] != '\0')
		snprintf(labels, sizeof(labels), "{%.*s}", (int) strlen(label) - 1, label);
	for (i = 0; i < QMS_LATENCY_BUCKETS; i++)
	{
		sum += histogram->buckets[i];
		qms_text_printf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, label, bounds[i], sum);
	}
	qms_text_printf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, histogram->count);
	qms_text_printf(out, "%s_sum%s %.9f\n", name, labels, histogram->sum);
	qms_text_printf(out, "%s_count%s %" PRIu64 "\n", name, labels, histogram->count);
}

/* The databases, each with what is known of it. */
static void
put_databases(QmsText *out)
{
	const QmsDatabase *db;

	qms_text_puts(out, "# HELP qms_gateway_database_up Whether events of the database are read.\n"
				  "# TYPE qms_gateway_database_up gauge\n");
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		qms_text_puts(out, "qms_gateway_database_up{database=");
		qms_text_json_string(out, db->name);
		qms_text_printf(out, "} %d\n", db->streaming ? 1 : 0);
	}
	qms_text_puts(out, "# HELP qms_gateway_position Position up to which events were read.\n"
				  "# TYPE qms_gateway_position gauge\n");
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		qms_text_puts(out, "qms_gateway_position{database=");
		qms_text_json_string(out, db->name);
		qms_text_printf(out, "} %" PRId64 "\n", db->position < 0 ? 0 : db->position);
	}
	qms_text_puts(out, "# HELP qms_gateway_channels Channels kept.\n# TYPE qms_gateway_channels gauge\n");
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		qms_text_puts(out, "qms_gateway_channels{database=");
		qms_text_json_string(out, db->name);
		qms_text_printf(out, "} %d\n", db->nchannels);
	}
}

/* All of it. */
void
qms_hub_metrics(QmsText *out)
{
	const char *name = "qms_gateway_delivery_seconds";
	size_t		i;
	int			kind;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		uint64_t	value;

		memcpy(&value, (const char *) &qms_hub.counters + numbers[i].offset, sizeof(value));
		qms_text_printf(out, "# HELP qms_gateway_%s %s\n# TYPE qms_gateway_%s %s\nqms_gateway_%s %" PRIu64 "\n",
						numbers[i].name, numbers[i].help, numbers[i].name, numbers[i].type, numbers[i].name, value);
	}
	qms_text_puts(out, "# HELP qms_gateway_clients Clients connected, by the form in which they speak the protocol.\n"
				  "# TYPE qms_gateway_clients gauge\n");
	for (i = 0; i < QMS_FORMS; i++)
		qms_text_printf(out, "qms_gateway_clients{form=\"%s\"} %" PRId64 "\n", form_names[i], qms_hub.counters.forms[i]);
	qms_text_puts(out, "# HELP qms_gateway_disconnects_total Clients told to go, by the protocol's code.\n"
				  "# TYPE qms_gateway_disconnects_total counter\n");
	for (i = 0; i < DISCONNECT_CODES; i++)
		qms_text_printf(out, "qms_gateway_disconnects_total{code=\"%d\"} %" PRIu64 "\n", disconnect_codes[i],
						qms_hub.counters.disconnects[i]);
	qms_text_printf(out, "# HELP qms_gateway_lag_seconds Doorbell to last write, of the latest channel served.\n"
					"# TYPE qms_gateway_lag_seconds gauge\nqms_gateway_lag_seconds %.6f\n", qms_hub.counters.lag_ms / 1000);
	qms_text_printf(out, "# HELP %s Doorbell to the last write to a channel's subscribers.\n# TYPE %s histogram\n", name, name);
	for (kind = 0; kind < QMS_CHANNEL_KINDS; kind++)
	{
		char		label[32];

		snprintf(label, sizeof(label), "kind=\"%s\",", kind_names[kind]);
		put_histogram(out, name, label, &qms_hub.counters.delivery[kind]);
	}
	name = "qms_gateway_arrival_seconds";
	qms_text_printf(out, "# HELP %s An event's own time to its arrival here.\n# TYPE %s histogram\n", name, name);
	put_histogram(out, name, "", &qms_hub.counters.arrival);
	put_databases(out);
	qms_scrape_write(out);
}

/* In short. */
void
qms_hub_status(QmsHubStatus *status)
{
	status->connections = qms_hub.counters.connections;
	status->subscriptions = qms_hub.counters.subscriptions;
	status->messages = (int64_t) qms_hub.counters.messages;
	status->bytes = (int64_t) qms_hub.counters.bytes;
	status->drops = (int64_t) (qms_hub.counters.slow);
	status->lag_ms = qms_hub.counters.lag_ms;
}

/* [{"name":...,"connected":true,"position":7,"error":null}] */
void
qms_hub_databases_json(QmsText *out)
{
	const QmsDatabase *db;

	qms_text_append(out, "[", 1);
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		qms_text_puts(out, db == qms_hub.databases ? "{\"name\":" : ",{\"name\":");
		qms_text_json_string(out, db->name);
		qms_text_printf(out, ",\"connected\":%s,\"position\":%" PRId64 ",\"error\":",
						db->streaming ? "true" : "false", db->position < 0 ? 0 : db->position);
		if (db->error == NULL)
			qms_text_puts(out, "null");
		else
			qms_text_json_string(out, db->error);
		qms_text_append(out, "}", 1);
	}
	qms_text_append(out, "]", 1);
}
