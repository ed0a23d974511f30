/*
 * stream.c
 *		Where the stream of this database is, and whether somebody who has read up
 *		to some place can go on from there.
 */
#include "events/events.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

/*
 * Epoch and positions, as a snapshot sees them (NULL: as of now).  False if there
 * are none.  "is_ours": the data was set up or adopted here, or there is none
 * yet.
 */
bool
qms_stream_read(QmsStream *stream, Snapshot snapshot)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT p.epoch, r.last_position, p.pruned_position, "
								   "EXISTS (SELECT 1 FROM qms_internal.instance i WHERE i.system_identifier = $1 AND i.database_oid = $2) OR NOT "
								   "(EXISTS (SELECT 1 FROM qms_internal.instance) OR EXISTS (SELECT 1 FROM qms.organization)) "
								   "FROM qms_internal.publisher p, "
								   "LATERAL (SELECT last_position FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1) r",
								   INT8OID, OIDOID);
	QmsParams	params = {0};

	qms_param_int64(&params, (int64) GetSystemIdentifier());
	qms_param_datum(&params, ObjectIdGetDatum(MyDatabaseId));
	if ((snapshot == NULL ? qms_spi_run(&plan, &params) : qms_spi_look_at(&plan, &params, snapshot)) == 0)
		return false;
	stream->epoch = qms_spi_text(0, 0);
	stream->last_position = qms_spi_int64(0, 1);
	stream->pruned_position = qms_spi_int64(0, 2);
	stream->is_ours = qms_spi_bool(0, 3);
	return true;
}

void
qms_stream_needed(QmsStream *stream, Snapshot snapshot)
{
	if (!qms_stream_read(stream, snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ADOPTED),
				 errmsg("the stream of this database has not begun"),
				 errhint("Call qms.adopt_database().")));
}

/* Can somebody who has read up to a position of an epoch (NULL: of this one) go on from there? */
void
qms_stream_check(const QmsStream *stream, const char *epoch, int64 position)
{
	if (epoch != NULL && strcmp(epoch, stream->epoch) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_FOREIGN_EPOCH),
				 errmsg("the stream has another epoch now"),
				 errdetail("It is \"%s\", not \"%s\": events may have been lost or published again.",
						   stream->epoch, epoch),
				 errhint("Read the state itself anew, then go on from the last position of the new epoch, %lld.",
						 (long long) stream->last_position)));
	if (position < stream->pruned_position)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_POSITION_PRUNED),
				 errmsg("position %lld is not kept any more", (long long) position),
				 errdetail("Positions up to %lld have been dropped.", (long long) stream->pruned_position),
				 errhint("Read the state itself anew, then go on from position %lld.",
						 (long long) stream->last_position)));
}
