/*
 * customers.c
 *		Finding customers: by what they are stored under, or by looking through
 *		them, one by one, for a piece of a name or address.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_ROWS	10000
#define LOOK_ROWS	1000		/* looked through at a time */

typedef struct Search
{
	QmsCall    *call;
	int64		organization_id;
	const char *query;			/* or NULL */
	QmsPiece	piece;			/* of it */
	const char *subject;		/* or NULL */
	int64		after;
	int32		max_rows;
	int32		found;
} Search;

/* Answer all rows of the present result. */
static void
answer_result(Search *search, uint64 n)
{
	QmsCustomer **customers = palloc(sizeof(QmsCustomer *) * Max(n, 1));
	uint64		i;

	/* Opening them may read keys, and so replace the result. */
	for (i = 0; i < n; i++)
		customers[i] = qms_row_fetch(&qms_customer_table, i, 0);
	for (i = 0; i < n; i++)
		qms_customer_answer(search->call, customers[i], false);
	search->found += n;
}

/* Those of a subject, or all, in the order of their ids. */
static void
list(Search *search)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID, INT8OID, TEXTOID, INT4OID);
	QmsParams	params = {0};

	qms_param_int64(&params, search->organization_id);
	qms_param_int64(&params, search->after);
	qms_param_text(&params, search->subject);
	qms_param_int32(&params, search->max_rows);
	answer_result(search, qms_spi_run(qms_table_plan(&qms_customer_table, &plan,
													 "SELECT %s FROM qms.customer t WHERE t.organization_id = $1 AND t.customer_id > $2 "
													 "AND ($3 IS NULL OR t.external_subject = $3) AND t.deleted_at IS NULL "
													 "ORDER BY t.customer_id LIMIT $4"), &params));
}

/* The whole name, number or address was given. */
static void
find_exactly(Search *search)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID, INT8OID, TEXTARRAYOID, INT4OID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, search->organization_id);
	qms_param_int64(&params, search->after);
	qms_param_datum(&params, qms_contact_search(search->organization_id, search->query, true));
	qms_param_int32(&params, search->max_rows);
	qms_param_text(&params, search->subject);
	/* OFFSET 0: by the index of the keys, not through all in the order of the ids. */
	answer_result(search, qms_spi_run(qms_table_plan(&qms_customer_table, &plan,
													 "SELECT %s FROM (SELECT * FROM qms.customer t WHERE t.find && $3 AND t.organization_id = $1 "
													 "AND t.deleted_at IS NULL OFFSET 0) t WHERE t.customer_id > $2 "
													 "AND ($5 IS NULL OR t.external_subject = $5) ORDER BY t.customer_id LIMIT $4"), &params));
}

static bool
has_piece(const QmsCustomer *customer, const QmsPiece *piece)
{
	char	   *name = qms_customer_name(customer, false);
	Jsonb	   *contact;

	if (name != NULL && qms_piece_in_text(piece, name))
		return true;
	contact = qms_customer_contact(customer, false);
	return contact != NULL && qms_piece_in_contact(piece, contact);
}

/* Look at the next ones; false at the end. */
static bool
look_at_some(Search *search, int64 *after)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID, INT8OID, TEXTOID, INT4OID);
	QmsParams	params = {0};
	QmsCustomer **customers;
	SPITupleTable *table;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, search->organization_id);
	qms_param_int64(&params, *after);
	qms_param_text(&params, search->subject);
	qms_param_int32(&params, LOOK_ROWS);
	n = qms_spi_run(qms_table_plan(&qms_customer_table, &plan,
								   "SELECT %s FROM qms.customer t WHERE t.organization_id = $1 AND t.customer_id > $2 "
								   "AND ($3 IS NULL OR t.external_subject = $3) AND t.deleted_at IS NULL "
								   "ORDER BY t.customer_id LIMIT $4"), &params);
	table = SPI_tuptable;
	customers = palloc(sizeof(QmsCustomer *) * Max(n, 1));
	for (i = 0; i < n; i++)
		customers[i] = qms_row_fetch(&qms_customer_table, i, 0);
	for (i = 0; i < n && search->found < search->max_rows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		*after = qms_row_int64(customers[i], C_customer_id);
		if (!has_piece(customers[i], &search->piece))
			continue;
		qms_customer_answer(search->call, customers[i], false);
		search->found++;
	}
	SPI_freetuptable(table);
	return n == LOOK_ROWS && search->found < search->max_rows;
}

/* A piece of a name, number or address: nothing but looking at each tells. */
static void
look_through(Search *search)
{
	MemoryContext look;
	MemoryContext old;
	int64		after = search->after;

	qms_piece_make(&search->piece, search->query);
	look = AllocSetContextCreate(CurrentMemoryContext, "qms customers", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(look);
	while (look_at_some(search, &after))
		MemoryContextReset(look);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(look);
}

QMS_FUNCTION(find_customers, QMS_ACT_PERSONAL, QMS_SETOF | QMS_PERSONAL)
{
	Search		search = {0};

	search.call = call;
	search.organization_id = qms_arg_id(call, 0, "organization_id");
	search.query = qms_arg_text_or_null(call, 1);
	search.subject = qms_arg_text_or_null(call, 2);
	search.after = qms_arg_id_or_0(call, 3, "after_customer_id");
	search.max_rows = qms_arg_int32(call, 4, 100);
	if (search.max_rows < 1 || search.max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and %d, not %d", MAX_ROWS, search.max_rows),
				 errhint("Give max_rows => a number in that range, or leave it out for 100.")));
	qms_customer_organization(call, search.organization_id);
	if (search.query == NULL || *search.query == '\0')
	{
		list(&search);
		return qms_answer_none(call);
	}
	find_exactly(&search);
	if (search.found == 0)
		look_through(&search);
	return qms_answer_none(call);
}
