/*
 * installation.c
 *		Which extension is it that this session sees?  It may be dropped and made
 *		again under a session, be of another version than this library, or not
 *		be there completely.
 */
#include "base/base.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* Version of the extension in this database, as pg_extension has it; NULL if there is none. */
char *
qms_installation_version(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	char	   *version = NULL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("qms"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &isnull);

		version = isnull ? pstrdup("") : TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return version;
}

/* Half upgraded: most of it works, and who meets an error should know where to look. */
static void
warn_of_version(void)
{
	char	   *version = qms_installation_version();

	if (version != NULL && strcmp(version, QMS_VERSION) != 0)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("qms is half upgraded in this database"),
				 errdetail("The extension is of version %s, the library of version %s.", version, QMS_VERSION),
				 errhint("Run ALTER EXTENSION qms UPDATE; if it is the library that is older, restart the server.")));
}

static uint64 number = 0;

/* Which one it is, counted by this session; 0: none yet. */
uint64
qms_installation_number(void)
{
	return number;
}

/*
 * Forget what belongs to an extension that has been dropped and made again in
 * this session: the OIDs of its tables and types are other ones now.  Called
 * before anything of ours is looked up; costs one syscache look-up.  True if
 * something was forgotten.  If that fails, because something is not there, it is
 * done again by the next call: nobody may go on without hearing of changes.
 */
bool
qms_installation_check(void)
{
	static Oid	known = InvalidOid;
	Oid			now = get_namespace_oid(QMS_SCHEMA, false);

	if (now == known)
		return false;
	known = InvalidOid;
	qms_spi_forget_plans();
	qms_partition_forget();
	qms_inval_watch();
	warn_of_version();
	known = now;
	number++;
	return true;
}
