/*
 * personal.c
 *		personal_data: what is kept of a person, for himself, by the token of his
 *		visit.
 */
#include "access/access.h"

#include "catalog/pg_type.h"

QMS_FUNCTION(personal_data, QMS_ACT_TOKEN, QMS_SETOF | QMS_PERSONAL)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT ticket_id, number, state, joined_at, NULL::timestamptz, language, subject, contact, metadata, organization_id "
								   "FROM qms.ticket WHERE ticket_id = $1 OR (visit_id = $1 AND visit_id <> ticket_id) UNION ALL "
								   "SELECT ticket_id, number, state, joined_at, ended_at, language, subject, contact, metadata, organization_id "
								   "FROM qms.ticket_history WHERE visit_id = $1 ORDER BY ticket_id", INT8OID);
	FunctionCallInfo fcinfo = call->fcinfo;
	QmsParams	params = {0};
	SPITupleTable *table;
	int64		nonce;
	uint64		n;
	uint64		i;

	if (PG_ARGISNULL(0))
		qms_token_refuse();
	qms_param_int64(&params, qms_visit_of_token(call, PG_GETARG_TICKET_TOKEN(0), &nonce));
	n = qms_spi_run(&plan, &params);
	table = SPI_tuptable;
	for (i = 0; i < n; i++)
	{
		Datum		values[9];
		bool		nulls[9];
		QmsSealPlace place = {0, "ticket", "contact", 0};
		int			c;

		/* Opening may read keys. */
		SPI_tuptable = table;
		place.organization_id = qms_spi_int64(i, 9);
		place.id = qms_spi_int64(i, 0);
		for (c = 0; c < 9; c++)
			values[c] = qms_spi_datum(i, c, &nulls[c]);
		if (!nulls[7])
			values[7] = PointerGetDatum(qms_contact_open(&place, DatumGetJsonbP(values[7]), true));
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}
