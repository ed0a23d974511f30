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

/* Where the caller is, as limits see it; NULL if nobody knows. */
static const void *
client_address(void)
{
	static QmsNetwork known;
	static inet *made = NULL;
	QmsNetwork	address;

	if (!qms_client_network(&address))
		return NULL;
	if (made == NULL)
		made = MemoryContextAllocZero(TopMemoryContext, sizeof(inet));
	if (VARSIZE(made) == 0 || memcmp(&known, &address, sizeof(address)) != 0)
		qms_network_to_inet(&address, made);
	known = address;
	return made;
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

/* The login of the session. */
static const void *
session_role(void)
{
	static Oid	known = InvalidOid;
	static uint64 generation = 0;
	static Kept kept;

	if (known != GetSessionUserId() || generation != qms_inval_generation())
	{
		keep(&kept, "", GetUserNameFromId(GetSessionUserId(), true));
		known = GetSessionUserId();
		generation = qms_inval_generation();
	}
	return kept.value;
}

/* The user-agent of the request's headers, cut to a bounded length; NULL if there is none. */
static char *
user_agent(void)
{
	char	   *value = qms_request_header("user-agent");

	if (value != NULL)
		value[pg_mbcliplen(value, strlen(value), MAX_USER_AGENT)] = '\0';
	return value;
}

static const void *
client_user_agent(void)
{
	static Kept kept;
	const char *headers = GetConfigOption("request.headers", true, false);

	if (headers == NULL || *headers == '\0')
		return NULL;
	if (kept.source == NULL || strcmp(kept.source, headers) != 0)
		keep(&kept, headers, user_agent());
	return kept.value;
}

/* The session of the running call. */
void
qms_actor_read(QmsActor *actor)
{
	memset(actor, 0, sizeof(*actor));
	/* A worker is its own actor: its session is nobody's. */
	if (MyBackendType != B_BACKEND)
		return;
	actor->address = client_address();
	actor->application_name = client_application();
	actor->session_role = session_role();
	if (qms_session_speaks_for_others())
		actor->user_agent = client_user_agent();
}
