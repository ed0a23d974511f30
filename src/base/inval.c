/*
 * inval.c
 *		When is what we remember of the configuration out of date?
 *
 * Every change of a watched table sends a relation invalidation (a statement
 * trigger does, so direct SQL counts too).  It reaches every backend with the
 * commit, before the writer's locks are released; here it advances a number
 * that whoever remembers something compares with his own.
 */
#include "base/base.h"

#include "commands/trigger.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static const char *const watched_names[] = {
	"organization", "branch", "zone", "service", "service_offer", "application", "release_pool",
	"queue", "customer_class", "counter", "counter_profile", "staff", "role_binding",
	"opening_hours", "closure", "api_key", "device", "staff_session", "alert_rule", "staffing_plan"
};

/* ... and those in schema qms_internal. */
static const char *const watched_internal_names[] = {
	"signing_key", "login_session", "access_key"
};

#define NWATCHED (lengthof(watched_names) + lengthof(watched_internal_names))

/* Whoever wants to hear of changes of the configuration in the transaction that makes them. */
void		(*qms_inval_hook) (Relation rel) = NULL;

static Oid	watched[NWATCHED];
static Oid	staff_session = InvalidOid;
static uint64 generation = 1;

static void
relation_changed(Datum arg pg_attribute_unused(), Oid relid)
{
	size_t		i;

	if (relid == InvalidOid)
	{
		generation++;
		return;
	}
	for (i = 0; i < NWATCHED; i++)
	{
		if (watched[i] == relid)
		{
			generation++;
			return;
		}
	}
}

/* Who belongs to which role decides about principals as well. */
static void
roles_changed(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(),
			  uint32 hashvalue pg_attribute_unused())
{
	generation++;
}

/* Start watching, or start again after the extension was made anew. */
void
qms_inval_watch(void)
{
	static bool registered = false;
	size_t		i;

	for (i = 0; i < lengthof(watched_names); i++)
		watched[i] = qms_relation_oid(QMS_SCHEMA, watched_names[i]);
	for (i = 0; i < lengthof(watched_internal_names); i++)
		watched[lengthof(watched_names) + i] = qms_relation_oid(QMS_INTERNAL_SCHEMA, watched_internal_names[i]);
	staff_session = qms_relation_oid(QMS_SCHEMA, "staff_session");
	if (!registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, roles_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, roles_changed, (Datum) 0);
		registered = true;
	}
	generation++;
}

uint64
qms_inval_generation(void)
{
	return generation;
}

/* Tell everybody, at commit, that the open counters are others now. */
void
qms_inval_sessions(void)
{
	CacheInvalidateRelcacheByRelid(staff_session);
}

PG_FUNCTION_INFO_V1(qms_configuration_changed);

/* Statement trigger of the configuration tables. */
Datum
qms_configuration_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("configuration_changed() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	if (qms_inval_hook != NULL)
		qms_inval_hook(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
