/*
 * gateway_status.c
 *		The rows of qms.gateway_status: the gateway that the server runs itself,
 *		and those elsewhere that say that they are there.
 */
#include "worker/gateway.h"
#include "auth/auth.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define COLUMNS 18
#define FORGET_AFTER_MS (5 * 60 * 1000)
#define MAX_STATUS_SIZE 65536

/* Who asks, and what he may see. */
typedef struct Viewer
{
	bool		all;			/* of all databases */
	bool		errors;			/* and figures: they are of all databases together */
} Viewer;

/* Text of unknown origin, as the encoding of this database can have it. */
static Datum
text_datum(const char *text)
{
	char	   *copy = pstrdup(text);
	bool		keep = GetDatabaseEncoding() == PG_UTF8 && pg_encoding_verifymbstr(PG_UTF8, copy, strlen(copy)) == (int) strlen(copy);
	char	   *c;

	for (c = copy; *c != '\0' && !keep; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return CStringGetTextDatum(copy);
}

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || *text == '\0';
	if (!nulls[column])
		values[column] = text_datum(text);
}

static void
put_time(Datum *values, bool *nulls, int column, TimestampTz at)
{
	nulls[column] = at == 0;
	values[column] = TimestampTzGetDatum(at);
}

/* Columns 10 to 16. */
static void
put_figures(Datum *values, bool *nulls, const QmsGatewayFigures *figures, const Viewer *viewer)
{
	int			i;

	for (i = 10; i <= 15; i++)
		nulls[i] = figures->at == 0 || !viewer->errors;
	values[10] = Int64GetDatum(figures->connections);
	values[11] = Int64GetDatum(figures->subscriptions);
	values[12] = Int64GetDatum(figures->messages);
	values[13] = Int64GetDatum(figures->bytes);
	nulls[14] = nulls[14] || figures->lag_ms < 0 || figures->lag_ms > 1e12;
	values[14] = nulls[14] ? (Datum) 0 : IntervalPGetDatum(qms_interval_make((int64) (figures->lag_ms * 1000)));
	values[15] = Int64GetDatum(figures->drops);
	put_time(values, nulls, 16, figures->at);
}

static const char *
state_name(QmsGatewayState state)
{
	switch (state)
	{
		case QMS_GATEWAY_OFF:
			return "off";
		case QMS_GATEWAY_WAITING:
			return "waiting";
		case QMS_GATEWAY_STARTING:
			return "starting";
		case QMS_GATEWAY_LISTENING:
			return "listening";
		default:
			return "failed";
	}
}

/* The databases of the gateway here; those that the viewer may know of. */
static Jsonb *
local_databases(const QmsGatewayDatabase *databases, const Viewer *viewer)
{
	QmsJson		json;
	int			n = 0;
	int			i;

	qms_json_begin(&json);
	qms_json_begin_array(&json, "databases");
	for (i = 0; i < QMS_MAX_DATABASES && OidIsValid(databases[i].database); i++)
	{
		char	   *name = get_database_name(databases[i].database);

		if (name == NULL || (!viewer->all && databases[i].database != MyDatabaseId))
			continue;
		qms_json_begin_object(&json, NULL);
		qms_json_text(&json, "name", name);
		qms_json_bool(&json, "connected", databases[i].connected);
		qms_json_int64(&json, "position", databases[i].position);
		if (viewer->errors && databases[i].error[0] != '\0')
			qms_json_text(&json, "error", TextDatumGetCString(text_datum(databases[i].error)));
		qms_json_end_object(&json);
		n++;
	}
	qms_json_end_array(&json);
	return n > 0 ? qms_jsonb_object(qms_json_end(&json), "databases") : NULL;
}

/* Why it is not there at all: no worker looks after it. */
static const char *
absence(const QmsGatewayShared *copy, QmsGatewayState *state)
{
	*state = copy->state;
	if (!qms_launcher_enabled())
	{
		*state = QMS_GATEWAY_OFF;
		return "qms.workers is off";
	}
	if (RecoveryInProgress())
	{
		*state = QMS_GATEWAY_WAITING;
		return "standby";
	}
	if (copy->pid != 0)
		return copy->reason;
	*state = QMS_GATEWAY_WAITING;
	return "its worker is about to be started";
}

static void
put_local(ReturnSetInfo *set, const QmsGatewayShared *copy, const Viewer *viewer)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {false};
	QmsGatewayState state;
	const char *reason = absence(copy, &state);
	Jsonb	   *databases = copy->program != 0 ? local_databases(copy->databases, viewer) : NULL;

	put_text(values, nulls, 0, "local");
	nulls[1] = true;
	values[2] = Int32GetDatum(copy->program);
	nulls[2] = copy->program == 0;
	put_text(values, nulls, 3, state_name(state));
	put_text(values, nulls, 4, reason);
	put_text(values, nulls, 5, copy->listen);
	put_time(values, nulls, 6, copy->since);
	values[7] = Int64GetDatum(Max(copy->starts - 1, 0));
	put_text(values, nulls, 8, viewer->errors ? copy->error : NULL);
	put_time(values, nulls, 9, copy->error_at);
	put_figures(values, nulls, &copy->figures, viewer);
	nulls[17] = databases == NULL;
	values[17] = databases ? JsonbPGetDatum(databases) : (Datum) 0;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

bool
qms_gateway_is_forgotten(const QmsGatewayReport *report, TimestampTz now)
{
	return !OidIsValid(report->database) ||
		now > TimestampTzPlusMilliseconds(report->figures.at, FORGET_AFTER_MS);
}

static void
put_report(ReturnSetInfo *set, const QmsGatewayReport *report, const Viewer *viewer)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {false};

	put_text(values, nulls, 0, report->name);
	put_text(values, nulls, 1, report->host);
	values[2] = Int32GetDatum(report->pid);
	nulls[2] = report->pid == 0;
	put_text(values, nulls, 3, "listening");
	nulls[4] = nulls[7] = nulls[9] = true;
	put_text(values, nulls, 5, report->listen);
	put_time(values, nulls, 6, report->since);
	put_text(values, nulls, 8, viewer->errors ? report->error : NULL);
	put_figures(values, nulls, &report->figures, viewer);
	/* It names other databases. */
	nulls[17] = report->databases[0] == '\0' || !viewer->all;
	if (!nulls[17])
		values[17] = DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(text_datum(report->databases))));
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

static void
see_viewer(Viewer *viewer)
{
	Oid			session = GetSessionUserId();
	Oid			super_admin = get_role_oid("qms_super_admin", true);

	viewer->all = superuser_arg(session);
	viewer->errors = viewer->all || is_member_of_role_nosuper(session, ROLE_PG_MONITOR) ||
		(OidIsValid(super_admin) && is_member_of_role_nosuper(session, super_admin));
}

PG_FUNCTION_INFO_V1(qms_gateway_status);

/* The gateway here, and those that have said something in this database (superusers: in any). */
Datum
qms_gateway_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = qms_clock_now();
	QmsGatewayShared *copy;
	Viewer		viewer;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	if (qms_gateway_shared == NULL)
		return (Datum) 0;
	see_viewer(&viewer);
	copy = palloc(sizeof(QmsGatewayShared));
	LWLockAcquire(qms_gateway_shared->lock, LW_SHARED);
	memcpy(copy, qms_gateway_shared, sizeof(QmsGatewayShared));
	LWLockRelease(qms_gateway_shared->lock);
	explicit_bzero(copy->password, sizeof(copy->password));
	explicit_bzero(copy->verifier, sizeof(copy->verifier));
	put_local(set, copy, &viewer);
	for (i = 0; i < QMS_GATEWAY_REPORTS; i++)
	{
		if (!qms_gateway_is_forgotten(&copy->reports[i], now) && (viewer.all || copy->reports[i].database == MyDatabaseId))
			put_report(set, &copy->reports[i], &viewer);
	}
	return (Datum) 0;
}

/* ---- what others report ---- */

static pg_attribute_noreturn() void
refuse(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is not valid", what),
			 errdetail("%s", detail)));
}

static void
copy_member(char *place, Size size, const Jsonb *status, const char *key)
{
	char	   *text = qms_jsonb_text(status, key);

	if (text != NULL)
		strlcpy(place, text, pg_mbcliplen(text, strlen(text), size - 1) + 1);
}

/* Where this session comes from; empty for a unix-domain socket. */
static void
copy_host(char *place, Size size)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum		address;

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_client_addr(fcinfo);
	if (!fcinfo->isnull)
		strlcpy(place, TextDatumGetCString(DirectFunctionCall1(network_host, address)), size);
}

/* What it says of itself; what does not fit is left out. */
static void
read_report(QmsGatewayReport *report, const char *name, const Jsonb *status)
{
	Jsonb	   *databases = qms_jsonb_object(status, "databases");
	int64		pid = 0;
	char	   *text;

	memset(report, 0, sizeof(*report));
	report->database = MyDatabaseId;
	strlcpy(report->name, name, QMS_GATEWAY_NAME_SIZE);
	copy_host(report->host, QMS_GATEWAY_NAME_SIZE);
	if (qms_jsonb_int64(status, "pid", &pid) && pid > 0 && pid <= PG_INT32_MAX)
		report->pid = (int32) pid;
	copy_member(report->listen, QMS_GATEWAY_LISTEN_SIZE, status, "listen");
	copy_member(report->error, QMS_ERROR_SIZE, status, "last_error");
	qms_gateway_read_figures(status, &report->figures);
	report->since = report->figures.at = qms_clock_now();
	if (databases == NULL || !JB_ROOT_IS_ARRAY(databases))
		return;
	text = JsonbToCString(NULL, &databases->root, VARSIZE(databases));
	if (strlen(text) < QMS_GATEWAY_DATABASES_SIZE)
		strlcpy(report->databases, text, QMS_GATEWAY_DATABASES_SIZE);
}

/* Its place: where it was, or a free one, or that of the one that has been silent for longest. */
static QmsGatewayReport *
find_place(const QmsGatewayReport *report)
{
	QmsGatewayReport *place = NULL;
	int			i;

	for (i = 0; i < QMS_GATEWAY_REPORTS; i++)
	{
		QmsGatewayReport *other = &qms_gateway_shared->reports[i];

		if (other->database == report->database && strcmp(other->name, report->name) == 0)
			return other;
		if (place == NULL || other->figures.at < place->figures.at)
			place = other;
	}
	return place;
}

PG_FUNCTION_INFO_V1(qms_gateway_report);

/* A gateway says what it does.  Nothing is written: it works on a standby, too. */
Datum
qms_gateway_report(PG_FUNCTION_ARGS)
{
	QmsGatewayReport report;
	QmsGatewayReport *place;
	char	   *name;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("name and status must not be null")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (*name == '\0' || strlen(name) >= QMS_GATEWAY_NAME_SIZE)
		refuse("name", "It has between 1 and 63 bytes.");
	if (!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(1)) || VARSIZE(PG_GETARG_JSONB_P(1)) > MAX_STATUS_SIZE)
		refuse("status", "It is an object of at most 64 kB.");
	/* What the one here says comes through its pipe. */
	if (qms_gateway_shared == NULL || strcmp(name, "local") == 0)
		PG_RETURN_VOID();
	read_report(&report, name, PG_GETARG_JSONB_P(1));
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	place = find_place(&report);
	if (strcmp(place->name, report.name) == 0 && place->database == report.database &&
		!qms_gateway_is_forgotten(place, report.since))
		report.since = place->since;
	*place = report;
	LWLockRelease(qms_gateway_shared->lock);
	PG_RETURN_VOID();
}
