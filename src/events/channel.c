/*
 * channel.c
 *		Channels of the stream: their names, whose they are, and who may read
 *		them.  events_since raises what is decided here; the gateway, which asks
 *		for many people at once, is answered.
 */
#include "events/events.h"

#include "catalog/pg_type.h"

#define MAX_NAME 300			/* of "display:<slug>/<slug>:<zone>" */

static const struct
{
	const char *name;
	bool		is_public;
}			kinds[QMS_CHANNEL_KINDS] = {
	[QMS_CHANNEL_DISPLAY] = {"display", true},
	[QMS_CHANNEL_QUEUE] = {"queue", true},
	[QMS_CHANNEL_VISIT] = {"visit", false},
	[QMS_CHANNEL_STAFF] = {"staff", false},
	[QMS_CHANNEL_ADMIN] = {"admin", false},
	[QMS_CHANNEL_APPLICATION] = {"application", false},
	[QMS_CHANNEL_SYSTEM] = {"system", true}
};

const char *
qms_channel_kind_name(QmsChannelKind kind)
{
	return kinds[kind].name;
}

bool
qms_channel_is_public(QmsChannelKind kind)
{
	return kinds[kind].is_public;
}

/* A positive number that ends at end or at a colon; moves on behind it. */
static int64
read_id(const char **at)
{
	int64		id = 0;

	while (**at >= '0' && **at <= '9' && id < PG_INT64_MAX / 20)
		id = id * 10 + *(*at)++ - '0';
	return id;
}

/* The kind that stands before the colon; moves on behind it.  False if there is none such. */
static bool
read_kind(const char **at, QmsChannelKind *kind)
{
	const char *colon = strchr(*at, ':');
	int			i;

	for (i = 0; colon != NULL && i < QMS_CHANNEL_KINDS; i++)
	{
		if (strlen(kinds[i].name) != (size_t) (colon - *at) || strncmp(kinds[i].name, *at, colon - *at) != 0)
			continue;
		*kind = (QmsChannelKind) i;
		*at = colon + 1;
		return true;
	}
	return false;
}

/* A zone behind the id, of displays only; false if what stands there is no end of a name. */
static bool
read_zone(const char *at, QmsChannel *channel)
{
	if (channel->kind == QMS_CHANNEL_DISPLAY && *at == ':')
	{
		at++;
		channel->zone_id = read_id(&at);
		if (channel->zone_id == 0)
			return false;
	}
	return channel->id != 0 && *at == '\0';
}

/* "display:3", "display:3:4", "queue:7"; false if the text is no name of a channel. */
bool
qms_channel_parse(const char *text, QmsChannel *channel)
{
	memset(channel, 0, sizeof(*channel));
	if (!read_kind(&text, &channel->kind))
		return false;
	channel->id = read_id(&text);
	return read_zone(text, channel);
}

/*
 * ... or, for displays, with the slugs of organization and branch instead of the
 * id: "display:city/north", "display:city/north:4".  Needs SPI.
 */
bool
qms_channel_find(const char *text, QmsChannel *channel)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.branch_id FROM qms.organization o "
								   "JOIN qms.branch b ON b.organization_id = o.organization_id "
								   "WHERE o.slug = $1 AND b.slug = $2 AND o.deleted_at IS NULL AND b.deleted_at IS NULL",
								   TEXTOID, TEXTOID);
	QmsParams	params = {0};
	const char *slash;
	size_t		length;

	if (strlen(text) > MAX_NAME)
		return false;
	if (strchr(text, '/') == NULL)
		return qms_channel_parse(text, channel);
	memset(channel, 0, sizeof(*channel));
	if (!read_kind(&text, &channel->kind) || channel->kind != QMS_CHANNEL_DISPLAY)
		return false;
	slash = strchr(text, '/');
	length = strcspn(slash + 1, ":");
	qms_param_text(&params, pnstrdup(text, slash - text));
	qms_param_text(&params, pnstrdup(slash + 1, length));
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	channel->id = qms_spi_int64(0, 0);
	return read_zone(slash + 1 + length, channel);
}

/* The one name that a channel has. */
char *
qms_channel_name(const QmsChannel *channel)
{
	if (channel->zone_id != 0)
		return psprintf("display:%lld:%lld", (long long) channel->id, (long long) channel->zone_id);
	return psprintf("%s:%lld", kinds[channel->kind].name, (long long) channel->id);
}

/* Whose it is.  Of a thing that was never there only "found" is set, to false. */
void
qms_channel_owner(const QmsChannel *channel, QmsChannelOwner *owner)
{
#define OF_ORGANIZATION "o.deleted_at IS NOT NULL"
#define OF_BRANCH \
	"SELECT b.organization_id, b.branch_id, 0::int8, b.deleted_at IS NOT NULL OR " OF_ORGANIZATION ", true, " \
	"$2 IS NULL OR EXISTS (SELECT 1 FROM qms.zone z WHERE z.zone_id = $2 AND z.branch_id = b.branch_id AND z.deleted_at IS NULL) " \
	"FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id WHERE b.branch_id = $1"
#define OF_ALL \
	"SELECT o.organization_id, NULL::int8, 0::int8, " OF_ORGANIZATION ", true, $2 IS NULL FROM qms.organization o WHERE o.organization_id = $1"
#define OF_VISIT "SELECT t.organization_id, t.branch_id, 0::int8, " OF_ORGANIZATION ", true, $2 IS NULL FROM "
#define ON_TICKET " t JOIN qms.organization o ON o.organization_id = t.organization_id WHERE t.ticket_id = $1"
	static QmsPlan plans[QMS_CHANNEL_KINDS] = {
		[QMS_CHANNEL_DISPLAY] = QMS_PLAN(OF_BRANCH, INT8OID, INT8OID),
		[QMS_CHANNEL_QUEUE] = QMS_PLAN(
									   "SELECT q.organization_id, q.branch_id, 0::int8, "
									   "q.deleted_at IS NOT NULL OR b.deleted_at IS NOT NULL OR a.deleted_at IS NOT NULL OR " OF_ORGANIZATION ", "
									   "q.settings -> 'public' IS DISTINCT FROM 'false', $2 IS NULL FROM qms.queue q "
									   "JOIN qms.organization o ON o.organization_id = q.organization_id "
									   "LEFT JOIN qms.branch b ON b.branch_id = q.branch_id "
									   "LEFT JOIN qms.application a ON a.application_id = q.application_id WHERE q.queue_id = $1", INT8OID, INT8OID),
		[QMS_CHANNEL_VISIT] = QMS_PLAN(
									   "(" OF_VISIT "qms.ticket" ON_TICKET ") UNION ALL (" OF_VISIT "qms.ticket_history" ON_TICKET " LIMIT 1) LIMIT 1",
									   INT8OID, INT8OID),
		[QMS_CHANNEL_STAFF] = QMS_PLAN(OF_BRANCH, INT8OID, INT8OID),
		[QMS_CHANNEL_ADMIN] = QMS_PLAN(OF_ALL, INT8OID, INT8OID),
		[QMS_CHANNEL_APPLICATION] = QMS_PLAN(
											 "SELECT a.organization_id, NULL::int8, a.application_id, a.deleted_at IS NOT NULL OR " OF_ORGANIZATION ", "
											 "true, $2 IS NULL FROM qms.application a JOIN qms.organization o ON o.organization_id = a.organization_id "
											 "WHERE a.application_id = $1", INT8OID, INT8OID),
		[QMS_CHANNEL_SYSTEM] = QMS_PLAN(OF_ALL, INT8OID, INT8OID)
	};
	QmsParams	params = {0};

	memset(owner, 0, sizeof(*owner));
	qms_param_int64(&params, channel->id);
	qms_param_id(&params, channel->zone_id);
	if (qms_spi_run(&plans[channel->kind], &params) == 0)
		return;
	owner->found = true;
	owner->organization_id = qms_spi_int64(0, 0);
	owner->branch_id = qms_spi_int64(0, 1);
	owner->application_id = qms_spi_int64(0, 2);
	owner->is_deleted = qms_spi_bool(0, 3);
	owner->is_public = qms_spi_bool(0, 4);
	owner->has_zone = qms_spi_bool(0, 5);
}

/* What is about the whole organization is not for the administrator of some of its branches. */
bool
qms_channel_administers_all(const QmsPrincipal *who)
{
	return who->kind == QMS_SUPERUSER || (who->kind == QMS_ADMIN && who->nbranches == 0);
}

/*
 * May the caller read channels of this kind at all?  Asked before the owner is
 * looked for: whoever may read none does not learn which there are.
 */
bool
qms_channel_is_for(const QmsCall *call, const QmsChannel *channel)
{
	return kinds[channel->kind].is_public || qms_gate_is_staff(call);
}

/*
 * May the caller read this channel?  If something of his organization is denied
 * because it lies outside of his part of it, "outside" says what it is.
 */
QmsVerdict
qms_channel_verdict(const QmsCall *call, const QmsChannel *channel, const QmsChannelOwner *owner,
					const char **outside)
{
	bool		staff = qms_gate_is_staff(call);
	QmsObject	object = {kinds[channel->kind].name, channel->id, owner->organization_id, owner->branch_id,
	owner->application_id, 0, 0};
	QmsVerdict	verdict;

	*outside = NULL;
	if (!qms_channel_is_for(call, channel))
		return QMS_DENIED;
	if (!owner->found)
		return QMS_UNKNOWN;
	verdict = qms_gate_verdict(call, &object, outside);
	if (verdict != QMS_ALLOWED)
		return verdict;
	if (!owner->has_zone)
		return QMS_UNKNOWN;
	/* Staff read to its end what is no longer, and what is not shown to others. */
	if (!staff && (owner->is_deleted || !owner->is_public))
		return QMS_UNKNOWN;
	if (channel->kind == QMS_CHANNEL_ADMIN && !qms_channel_administers_all(call->who))
		return QMS_DENIED;
	/* An application sees its own waiting rooms, not those of another one. */
	if (channel->kind == QMS_CHANNEL_APPLICATION && call->who->kind == QMS_APPLICATION && call->who->id != channel->id)
		return QMS_DENIED;
	return QMS_ALLOWED;
}
