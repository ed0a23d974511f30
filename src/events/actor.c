/*
 * actor.c
 *		From where something is done: what every event says of its session,
 *		beside the principal.
 *
 * All of it is the same from call to call, so it is kept ready as the values of
 * columns, and only looked at again when what it was made from has changed.
 */
#include "events/events.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MAX_USER_AGENT 200		/* bytes */

/* A text column, and what it was made from. */
typedef struct Kept
{
	char	   *source;
	struct varlena *value;		/* NULL: none */
} Kept;

/* Keep another value; NULL for none. */
static void
keep(Kept *kept, const char *source, const char *value)
{
	if (kept->source != NULL)
		pfree(kept->source);
	if (kept->value != NULL)
		pfree(kept->value);
	kept->value = NULL;
	kept->source = NULL;
	if (value != NULL && *value != '\0')
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		kept->value = (struct varlena *) cstring_to_text(value);
		MemoryContextSwitchTo(old);
	}
	kept->source = MemoryContextStrdup(TopMemoryContext, source);
}

/* The address as a column; NULL: nobody knows, or a unix-domain socket. */
static struct varlena *
read_address(void)
{
	const char *text = qms_client_address();
	struct varlena *found;
	struct varlena *address;

	if (text == NULL)
		return NULL;
	found = (struct varlena *) DatumGetPointer(DirectFunctionCall1(inet_in, CStringGetDatum(text)));
	address = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(found));
	memcpy(address, found, VARSIZE_ANY(found));
	return address;
}

/* Of a session of its own: once. */
static const void *
session_address(void)
{
	static bool known = false;
	static struct varlena *address = NULL;

	if (!known)
		address = read_address();
	known = true;
	return address;
}

static const void *
client_application(void)
{
	static Kept kept;
	const char *now = application_name ? application_name : "";

	if (kept.source == NULL || strcmp(kept.source, now) != 0)
		keep(&kept, now, now);
	return kept.value;
}

/*
 * The login of the session, and whether it is one whose requests carry the
 * headers of somebody else: PostgREST's and the gateway's.
 */
static const void *
session_role(bool *carries_headers)
{
	static Oid	known = InvalidOid;
	static uint64 generation = 0;
	static Kept kept;
	static bool carries = false;

	if (known != GetSessionUserId() || generation != qms_inval_generation())
	{
		Oid			session = GetSessionUserId();
		Oid			group = get_role_oid("qms_authenticator", true);
		char	   *name = GetUserNameFromId(session, true);

		keep(&kept, "", name);
		carries = OidIsValid(group) && !superuser_arg(session) && is_member_of_role_nosuper(session, group);
		known = session;
		generation = qms_inval_generation();
	}
	*carries_headers = carries;
	return kept.value;
}

/*
 * Of a session that speaks for others: where and what the client of this request
 * is, by its headers or the gateway's setting.  Read anew when they are others.
 */
static void
read_request(QmsActor *actor)
{
	static Kept agent;
	static char *headers_then = NULL;
	static char *setting_then = NULL;
	static struct varlena *address = NULL;
	const char *headers = GetConfigOption("request.headers", true, false);
	const char *setting = GetConfigOption("qms.client_address", true, false);

	headers = headers ? headers : "";
	setting = setting ? setting : "";
	if (headers_then == NULL || setting_then == NULL || strcmp(headers, headers_then) != 0 || strcmp(setting, setting_then) != 0)
	{
		char	   *value = qms_request_header("user-agent");

		if (value != NULL)
			value[pg_mbcliplen(value, strlen(value), MAX_USER_AGENT)] = '\0';
		keep(&agent, "", value);
		if (address != NULL)
			pfree(address);
		address = NULL;
		address = read_address();
		if (headers_then != NULL)
			pfree(headers_then);
		headers_then = NULL;
		if (setting_then != NULL)
			pfree(setting_then);
		setting_then = NULL;
		headers_then = MemoryContextStrdup(TopMemoryContext, headers);
		setting_then = MemoryContextStrdup(TopMemoryContext, setting);
	}
	actor->address = address;
	actor->user_agent = agent.value;
}

/* The session of the running call. */
void
qms_actor_read(QmsActor *actor)
{
	bool		carries_headers;

	memset(actor, 0, sizeof(*actor));
	/* A worker is its own actor: its session is nobody's. */
	if (MyBackendType != B_BACKEND)
		return;
	actor->application_name = client_application();
	actor->session_role = session_role(&carries_headers);
	if (carries_headers)
		read_request(actor);
	else
		actor->address = session_address();
}
