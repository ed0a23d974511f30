/*
 * room_count.c
 *		Counts who is in a waiting room, for room.c, while others come and go.
 *
 * The result is never too low.  In the room at the end of the count are
 *
 *	people of the snapshot,
 *	those whose transactions were under way before it was taken ("coming"; some
 *	have committed in between and are in the snapshot too),
 *	those of prepared transactions, which are in neither,
 *	and those who have come since ("came").
 *
 * Whoever has left in the snapshot, but gives his place back only now ("leaving"),
 * is counted as well.  If nobody was moving and nothing is prepared the result is
 * exact and leaves no doubt.
 */
#include "queue/queue.h"

#include "access/heapam.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/twophase.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_PREPARED 1024

/* The numbers of a room at one moment. */
static QmsRoom
copy_of(QmsRoom *room)
{
	QmsRoom		copy;

	SpinLockAcquire(&room->mutex);
	copy = *room;
	SpinLockRelease(&room->mutex);
	return copy;
}

/* Transactions of this database that are prepared; MAX_PREPARED: at least so many. */
static int
read_prepared(TransactionId *xids)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT transaction FROM pg_catalog.pg_prepared_xacts "
								   "WHERE database = pg_catalog.current_database() LIMIT $1", INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	if (max_prepared_xacts == 0)
		return 0;
	qms_param_int32(&params, MAX_PREPARED);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
	{
		bool		isnull;

		xids[i] = DatumGetTransactionId(qms_spi_datum((int) i, 0, &isnull));
	}
	return (int) n;
}

/* Is a tuple a ticket in the room of that queue? */
static bool
is_inside(Relation rel, HeapTuple tuple, int64 queue_id)
{
	static const char *const names[] = {"queue_id", "state"};
	TupleDesc	desc = RelationGetDescr(rel);
	Datum		values[lengthof(names)];
	bool		isnull;
	size_t		i;

	for (i = 0; i < lengthof(names); i++)
	{
		values[i] = heap_getattr(tuple, SPI_fnumber(desc, names[i]), desc, &isnull);
		if (isnull)
			return false;
	}
	return DatumGetInt64(values[0]) == queue_id && qms_state_is_in_room(qms_state_by_name(TextDatumGetCString(values[1])));
}

/*
 * Tickets in the room that prepared transactions have written.  Nobody else can
 * change such a row, so it is where it is; the others of the table do not matter.
 */
static int64
count_prepared(int64 queue_id)
{
	TransactionId xids[MAX_PREPARED];
	int			nxids = read_prepared(xids);
	SnapshotData dirty;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	int64		n = 0;
	int			i;

	if (nxids == 0)
		return 0;
	qms_table_prepare(&qms_ticket_table);
	rel = table_open(qms_ticket_table.relid, AccessShareLock);
	InitDirtySnapshot(dirty);
	scan = table_beginscan_strat(rel, &dirty, 0, NULL, true, false);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		TransactionId writer;

		CHECK_FOR_INTERRUPTS();
		if (!TransactionIdIsValid(dirty.xmin) || !is_inside(rel, tuple, queue_id))
			continue;
		writer = SubTransGetTopmostTransaction(dirty.xmin);
		for (i = 0; i < nxids && xids[i] != writer; i++)
			;
		if (i < nxids || nxids == MAX_PREPARED)
			n++;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return n;
}

static bool
some_are_prepared(void)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() "
								   "AND $1 > 0 LIMIT 1", INT4OID);
	QmsParams	params = {0};

	qms_param_int32(&params, 1);
	return max_prepared_xacts > 0 && qms_spi_run(&plan, &params) > 0;
}

/* Those of the present moment, without what the running transaction has changed. */
static int64
count_visible(int64 queue_id, const QmsRoom *room)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT (SELECT pg_catalog.count(*) FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
								   "AND sort_key >= $2) + (SELECT pg_catalog.count(*) FROM qms.ticket WHERE queue_id = $1 "
								   "AND state = 'on_hold')", INT8OID, INT8OID);
	QmsParams	params = {0};
	Snapshot	snapshot;

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, qms_bound_lowest(queue_id));
	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	qms_spi_look_at(&plan, &params, snapshot);
	UnregisterSnapshot(snapshot);
	return qms_spi_int64(0, 0) - qms_room_mine(room);
}

/* Count, and correct the number of places that are taken. */
void
qms_room_count(int64 queue_id, QmsRoom *room)
{
	QmsRoom		before = copy_of(room);
	bool		prepared = some_are_prepared();
	int64		of_prepared = count_prepared(queue_id);
	int64		visible = count_visible(queue_id, room);
	int64		taken;
	bool		quiet;

	prepared = prepared || some_are_prepared();
	SpinLockAcquire(&room->mutex);
	taken = visible + before.coming + of_prepared + (room->came - before.came) + room->leaving;
	quiet = !prepared && before.moving == 0 && room->moving == 0 && room->moved == before.moved;
	/* What was known was not too low either. */
	room->taken = room->known && !quiet ? Min(room->taken, taken) : taken;
	room->known = true;
	room->doubt = !quiet;
	SpinLockRelease(&room->mutex);
}
