/*
 * refusal.c
 *		Calls that were refused, kept in shared memory until the scheduler writes
 *		them into the event log: the transaction of a refused call rolls back, and
 *		an event in it would go with it.
 *
 * Nobody can flood the log: the same refusal (who, from where, what, why) counts
 * up within a minute, and there is room for so many different ones; what goes
 * beyond is only counted, per database.
 */
#include "auth/auth.h"

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/guc.h"

#define PLACES		256
#define REST		16			/* of them, for what there is no room for */

typedef struct RefusalShared
{
	LWLock	   *lock;
	QmsRefusal	places[PLACES]; /* database InvalidOid: free */
} RefusalShared;

void		(*qms_refusal_hook) (TimestampTz due) = NULL;

static RefusalShared *shared = NULL;
static int	window = 60;

static Size
memory_size(void)
{
	return sizeof(RefusalShared);
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks)
{
	shared = memory;
	if (!found)
		memset(shared, 0, sizeof(RefusalShared));
	shared->lock = &locks->lock;
}

void
qms_refusal_init(void)
{
	static const QmsMemory part = {"qms refusals", memory_size, NULL, 1, start_memory};

	DefineCustomIntVariable("qms.refusal_window",
							"How long refusals of the same kind are counted as one, before they are written to the event log.",
							NULL, &window, 60, 1, 3600, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	qms_memory_register(&part);
}

static void
describe(QmsRefusal *refusal, const char *function, const QmsPrincipal *who, int sqlstate)
{
	const char *address;

	memset(refusal, 0, sizeof(*refusal));
	refusal->database = MyDatabaseId;
	refusal->sqlstate = sqlstate;
	strlcpy(refusal->function, function, NAMEDATALEN);
	strlcpy(refusal->kind_name, who && who->kind_name ? who->kind_name : "nobody", NAMEDATALEN);
	strlcpy(refusal->role, who && who->role ? who->role : "", NAMEDATALEN);
	if (who != NULL)
	{
		refusal->id = who->id;
		refusal->organization_id = who->organization_id;
		refusal->api_key_id = who->api_key_id;
	}
	strlcpy(refusal->session_role, GetUserNameFromId(GetSessionUserId(), false), NAMEDATALEN);
	address = qms_client_address();
	if (address != NULL)
		strlcpy(refusal->address, address, NAMEDATALEN);
	if (application_name != NULL)
		strlcpy(refusal->application_name, application_name, NAMEDATALEN);
}

static bool
is_same(const QmsRefusal *a, const QmsRefusal *b)
{
	return a->database == b->database && a->sqlstate == b->sqlstate && a->id == b->id &&
		a->organization_id == b->organization_id && a->api_key_id == b->api_key_id &&
		strcmp(a->function, b->function) == 0 && strcmp(a->kind_name, b->kind_name) == 0 &&
		strcmp(a->role, b->role) == 0 && strcmp(a->session_role, b->session_role) == 0 &&
		strcmp(a->address, b->address) == 0;
}

/* The place of a refusal, or of all those of its database that found none; NULL if there is none of these either. */
static QmsRefusal *
find_place(const QmsRefusal *refusal, TimestampTz now)
{
	QmsRefusal *rest = NULL;
	QmsRefusal *empty = NULL;
	int			i;

	for (i = 0; i < PLACES; i++)
	{
		QmsRefusal *place = &shared->places[i];

		if (place->database == InvalidOid)
		{
			if (empty == NULL && i < PLACES - REST)
				empty = place;
			else if (rest == NULL && i >= PLACES - REST)
				rest = place;
			continue;
		}
		if (i >= PLACES - REST && place->database == refusal->database)
			rest = place;
		else if (i < PLACES - REST && is_same(place, refusal) && now - place->first_at < window * USECS_PER_SEC &&
				 now >= place->first_at)
			return place;
	}
	return empty ? empty : rest;
}

/*
 * Note a refusal, in the middle of the error that it is.  Without shared memory,
 * a line in the log.
 */
void
qms_refusal_note(const char *function, const QmsPrincipal *who, int sqlstate)
{
	QmsRefusal	refusal;
	QmsRefusal *place;
	TimestampTz now = qms_clock_now();
	TimestampTz due = DT_NOEND;

	describe(&refusal, function, who, sqlstate);
	if (shared == NULL)
	{
		ereport(LOG,
				(errmsg("qms refused %s to %s \"%s\" of organization %lld, session of \"%s\" from %s", function,
						refusal.kind_name, refusal.role, (long long) refusal.organization_id,
						refusal.session_role, *refusal.address ? refusal.address : "somewhere"),
				 errhidestmt(true)));
		return;
	}
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	place = find_place(&refusal, now);
	if (place != NULL && place->database == InvalidOid)
	{
		bool		is_rest = place >= shared->places + PLACES - REST;

		*place = refusal;
		/* Of the rest only the number is known. */
		if (is_rest)
		{
			memset(place, 0, sizeof(*place));
			place->database = refusal.database;
			place->sqlstate = refusal.sqlstate;
			strlcpy(place->kind_name, "nobody", NAMEDATALEN);
			strlcpy(place->function, "several", NAMEDATALEN);
		}
		place->first_at = now;
		due = now + window * USECS_PER_SEC;
	}
	if (place != NULL)
	{
		place->last_at = now;
		if (place->count < PG_UINT32_MAX)
			place->count++;
	}
	LWLockRelease(shared->lock);
	if (due != DT_NOEND && qms_refusal_hook != NULL)
		qms_refusal_hook(due);
}

/*
 * One that has been counted long enough, of this database; copied, and still
 * there until qms_refusal_written().  False if there is none; "due" is then when
 * there will be, DT_NOEND if nothing is counted.
 */
bool
qms_refusal_next(TimestampTz now, QmsRefusal *refusal, TimestampTz *due)
{
	bool		found = false;
	int			i;

	*due = DT_NOEND;
	if (shared == NULL)
		return false;
	LWLockAcquire(shared->lock, LW_SHARED);
	for (i = 0; i < PLACES && !found; i++)
	{
		QmsRefusal *place = &shared->places[i];
		TimestampTz closes = place->first_at + window * USECS_PER_SEC;

		if (place->database != MyDatabaseId)
			continue;
		/* A clock that was set back must not keep it here. */
		found = closes <= now || place->first_at > now;
		if (found)
			*refusal = *place;
		else
			*due = Min(*due, closes);
	}
	LWLockRelease(shared->lock);
	return found;
}

/* It is in the event log: its place is free, but for what was counted meanwhile. */
void
qms_refusal_written(const QmsRefusal *refusal)
{
	int			i;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < PLACES; i++)
	{
		QmsRefusal *place = &shared->places[i];

		if (!is_same(place, refusal) || place->first_at != refusal->first_at)
			continue;
		place->count -= refusal->count;
		place->first_at = place->last_at;
		if (place->count == 0)
			place->database = InvalidOid;
	}
	LWLockRelease(shared->lock);
}
