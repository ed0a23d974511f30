/*
 * reseal.c
 *		After a change of keys: what was sealed with an old one is sealed anew,
 *		and what is in clear is sealed, some rows at a time.
 *
 * The tables are walked by their ids, open tickets first: one that ends
 * meanwhile is met in history.  A row is changed only if it still holds what was
 * read of it, so nothing that is wiped meanwhile comes back.
 *
 * When it says that it is done, no value needs an older key any more, and that key
 * may be deleted.  So what was written by transactions that were running when the
 * keys changed must have been seen: if there were any when a pass began, there
 * is another one when they have ended.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define LOOK_ROWS	20			/* rows that are looked at for one that may be sealed anew */
#define FILE_IS_KNOWN (2 * USECS_PER_SEC)	/* to every session, after it was changed */

/* What has a contact; customers have a name as well. */
static const struct
{
	const char *table;
	const char *place;			/* as the seal knows it */
	const char *key;
}			stages[] = {
	{"ticket", "ticket", "ticket_id"},
	{"visit", "visit", "visit_id"},
	{"customer", "customer", "customer_id"},
	{"ticket_history", "ticket", "ticket_id"}
};

#define CUSTOMERS 2
#define OPEN_TICKETS 0

/* One row that has a contact. */
typedef struct Stored
{
	int64		id;
	int64		organization_id;
	Jsonb	   *contact;
} Stored;

/* The keys of now, as one text. */
static char *
current_keys(void)
{
	const QmsSealKey *data = qms_seal_key_current(QMS_SEAL_DATA);
	const QmsSealKey *index = qms_seal_key_current(QMS_SEAL_INDEX);

	if (data == NULL || index == NULL)
		return NULL;
	return psprintf("%c%d/%c%d", data->source, data->kid, index->source, index->kid);
}

static void
write_progress(const QmsReseal *progress)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.reseal (keys, horizon, seen_at, pass, settled, stage, after_id, resealed, failed) "
								   "VALUES ($1, $2::pg_catalog.xid8, $3, $4, $5, $6, $7, $8, $9) "
								   "ON CONFLICT (only_row) DO UPDATE SET keys = excluded.keys, horizon = excluded.horizon, seen_at = excluded.seen_at, "
								   "pass = excluded.pass, settled = excluded.settled, stage = excluded.stage, "
								   "after_id = excluded.after_id, resealed = excluded.resealed, failed = excluded.failed",
								   TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID, BOOLOID, INT4OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_text(&params, progress->keys);
	qms_param_text(&params, progress->horizon);
	qms_param_time(&params, progress->seen_at);
	qms_param_int32(&params, progress->pass);
	qms_param_bool(&params, progress->settled);
	qms_param_int32(&params, progress->stage);
	qms_param_int64(&params, progress->after_id);
	qms_param_int64(&params, progress->resealed);
	qms_param_int64(&params, progress->failed);
	qms_spi_run(&plan, &params);
}

/* Has everybody ended who may seal with older keys? */
static bool
is_settled(const QmsReseal *progress)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) >= $1::pg_catalog.xid8", TEXTOID);
	QmsParams	params = {0};

	if (qms_seal_key_is_in_file() && GetCurrentTimestamp() - progress->seen_at < FILE_IS_KNOWN)
		return false;
	qms_param_text(&params, progress->horizon);
	qms_spi_look(&plan, &params);
	return qms_spi_bool(0, 0);
}

/* These keys are seen for the first time. */
static void
begin(QmsReseal *progress)
{
	static QmsPlan plan = QMS_PLAN_NOARGS("SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text");

	qms_spi_look(&plan, NULL);
	progress->horizon = qms_spi_text(0, 0);
	progress->seen_at = GetCurrentTimestamp();
	progress->pass = 1;
	progress->settled = is_settled(progress);
}

/*
 * How far it is; false when there is nothing to do.  While sealing is off that is
 * said in the place of the keys: when it is on again, all is looked at.
 */
bool
qms_reseal_read(QmsReseal *progress)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT keys, stage, after_id, resealed, failed, horizon::pg_catalog.text, seen_at, pass, settled FROM qms_internal.reseal");
	bool		known;

	memset(progress, 0, sizeof(*progress));
	progress->keys = qms_seal_is_on() ? current_keys() : "off";
	if (progress->keys == NULL)
		return false;
	known = qms_spi_look(&plan, NULL) > 0 && strcmp(qms_spi_text(0, 0), progress->keys) == 0;
	if (known)
	{
		progress->stage = qms_spi_int32(0, 1);
		progress->after_id = qms_spi_int64(0, 2);
		progress->resealed = qms_spi_int64(0, 3);
		progress->failed = qms_spi_int64(0, 4);
		progress->horizon = qms_spi_text(0, 5);
		progress->seen_at = qms_spi_time(0, 6);
		progress->pass = qms_spi_int32(0, 7);
		progress->settled = qms_spi_bool(0, 8);
		if (progress->pass == 2 && !progress->settled)
		{
			progress->settled = is_settled(progress);
			progress->waits = !progress->settled;
		}
		return progress->stage < (int) lengthof(stages);
	}
	begin(progress);
	if (!qms_seal_is_on())
	{
		progress->stage = lengthof(stages);
		write_progress(progress);
	}
	return progress->stage < (int) lengthof(stages);
}

/* Put the new contact in the place of the one that was read; false if that is gone. */
static bool
replace_contact(int stage, const Stored *stored, const Jsonb *contact)
{
	static QmsPlan plans[lengthof(stages)];
	QmsPlan    *plan = &plans[stage];
	QmsParams	params = {0};

	if (plan->sql == NULL)
	{
		plan->nargs = 4;
		plan->argtypes[0] = plan->argtypes[1] = INT8OID;
		plan->argtypes[2] = plan->argtypes[3] = JSONBOID;
		plan->sql = MemoryContextStrdup(TopMemoryContext,
										psprintf("UPDATE qms.%s SET contact = $3 WHERE %s = $1 AND organization_id = $2 AND contact = $4",
												 stages[stage].table, stages[stage].key));
	}
	qms_param_int64(&params, stored->id);
	qms_param_int64(&params, stored->organization_id);
	qms_param_pointer(&params, contact);
	qms_param_pointer(&params, stored->contact);
	return qms_spi_run(plan, &params) > 0;
}

/* An open ticket is locked as for any change of its own, so that a call at this moment waits rather than passes it by. */
static bool
lock_ticket(int64 ticket_id)
{
	qms_visit_lock_of(ticket_id);
	qms_lock(QMS_LOCK_TICKET, ticket_id, true);
	return qms_ticket_lock_if(QMS_IF_OPEN, ticket_id) != NULL;
}

static void
reseal_contact(QmsReseal *progress, const Stored *stored)
{
	QmsSealPlace place = {stored->organization_id, stages[progress->stage].place, "contact", stored->id};
	Jsonb	   *contact;

	if (qms_contact_is_current(stored->contact))
		return;
	contact = qms_contact_open(&place, stored->contact, false);
	if (contact == NULL)
	{
		progress->failed++;
		return;
	}
	if (progress->stage == OPEN_TICKETS && !lock_ticket(stored->id))
		return;
	if (replace_contact(progress->stage, stored, qms_contact_seal(&place, contact)))
		progress->resealed++;
}

/* The rows behind the last one; answers how many there were. */
static uint64
reseal_contacts(QmsReseal *progress, int max_rows)
{
	static QmsPlan plans[lengthof(stages)];
	QmsPlan    *plan = &plans[progress->stage];
	QmsParams	params = {0};
	Stored	   *stored;
	uint64		found = 0;
	uint64		n;
	uint64		i;

	if (plan->sql == NULL)
	{
		plan->nargs = 2;
		plan->argtypes[0] = plan->argtypes[1] = INT8OID;
		plan->sql = MemoryContextStrdup(TopMemoryContext,
										psprintf("SELECT %s, organization_id, contact FROM qms.%s WHERE %s > $1 ORDER BY 1 LIMIT $2",
												 stages[progress->stage].key, stages[progress->stage].table, stages[progress->stage].key));
	}
	qms_param_int64(&params, progress->after_id);
	qms_param_int64(&params, (int64) max_rows * LOOK_ROWS);
	n = qms_spi_run(plan, &params);
	stored = palloc(sizeof(Stored) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = qms_spi_datum(i, 2, &isnull);

		progress->after_id = qms_spi_int64(i, 0);
		if (isnull)
			continue;
		stored[found].id = progress->after_id;
		stored[found].organization_id = qms_spi_int64(i, 1);
		stored[found++].contact = DatumGetJsonbP(value);
		/* So many may be changed in this transaction; the rest is looked at again. */
		if (found == (uint64) max_rows)
		{
			n = i + 1 == n ? n : PG_UINT64_MAX;
			break;
		}
	}
	for (i = 0; i < found; i++)
	{
		CHECK_FOR_INTERRUPTS();
		reseal_contact(progress, &stored[i]);
	}
	return n;
}

static void
reseal_customer(QmsReseal *progress, QmsCustomer *customer)
{
	char	   *stored = qms_row_text(customer, C_name);
	bool		current = stored == NULL || (qms_seal_is_text(stored) && qms_seal_is_current(stored));
	char	   *name;
	Jsonb	   *contact;

	if (current && qms_contact_keys_are_current(customer->values[C_find]) &&
		(qms_row_isnull(customer, C_contact) || qms_contact_is_current(DatumGetJsonbP(customer->values[C_contact]))))
		return;
	name = qms_customer_name(customer, false);
	contact = qms_customer_contact(customer, false);
	if ((name == NULL) != (stored == NULL) || (contact == NULL) != qms_row_isnull(customer, C_contact))
	{
		progress->failed++;
		return;
	}
	qms_customer_seal(customer, name, contact);
	qms_row_update(customer);
	progress->resealed++;
}

static uint64
reseal_customers(QmsReseal *progress, int max_rows)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsCustomer **customers;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, progress->after_id);
	qms_param_int64(&params, max_rows);
	n = qms_spi_run(qms_table_plan(&qms_customer_table, &plan,
								   "SELECT %s FROM qms.customer t WHERE t.customer_id > $1 ORDER BY t.customer_id LIMIT $2 FOR NO KEY UPDATE"),
					&params);
	customers = palloc(sizeof(QmsCustomer *) * Max(n, 1));
	for (i = 0; i < n; i++)
		customers[i] = qms_row_fetch(&qms_customer_table, i, 0);
	for (i = 0; i < n; i++)
	{
		progress->after_id = qms_row_int64(customers[i], C_customer_id);
		reseal_customer(progress, customers[i]);
	}
	return n == (uint64) max_rows ? PG_UINT64_MAX : n;
}

/* A table has been walked through: the next one, or the next pass, or it is done. */
static void
end_stage(QmsReseal *progress)
{
	progress->after_id = 0;
	if (++progress->stage < (int) lengthof(stages) || progress->settled)
		return;
	progress->stage = 0;
	progress->pass = 2;
	progress->failed = 0;
	progress->settled = is_settled(progress);
	progress->waits = !progress->settled;
}

static void
write_event(QmsCall *call, const QmsReseal *progress)
{
	const char *keys = current_keys();
	QmsEvent	event = {0};
	QmsJson		json;

	/* If the keys were changed meanwhile, it begins anew: there is nothing to tell yet. */
	if (progress->resealed + progress->failed == 0 || keys == NULL || strcmp(progress->keys, keys) != 0)
		return;
	event.kind = "personal_data.resealed";
	qms_json_begin(&json);
	qms_json_text(&json, "keys", progress->keys);
	qms_json_int64(&json, "resealed", progress->resealed);
	qms_json_int64(&json, "failed", progress->failed);
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* Seal some rows anew; true if there are more to be looked at. */
bool
qms_reseal_some(QmsCall *call, QmsReseal *progress, int max_rows)
{
	uint64		n;

	if (progress->waits)
		return true;
	if (progress->stage == CUSTOMERS)
		n = reseal_customers(progress, max_rows);
	else
		n = reseal_contacts(progress, max_rows);
	if (n < (uint64) max_rows * LOOK_ROWS)
		end_stage(progress);
	write_progress(progress);
	if (progress->stage == (int) lengthof(stages))
		write_event(call, progress);
	return progress->stage < (int) lengthof(stages);
}

/* As qms.reseal_progress. */
QMS_FUNCTION(reseal, QMS_ACT_INSTALL, 0)
{
	int32		max_rows = qms_arg_int32(call, 0, 1000);
	QmsReseal	progress;
	Datum		values[5];
	bool		nulls[5] = {0};
	bool		more;

	if (max_rows < 1 || max_rows > 100000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and 100000, not %d", max_rows),
				 errhint("Give max_rows => a number in that range, or leave it out for 1000.")));
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	more = qms_reseal_read(&progress);
	/* Asked for by hand: what did not open may open now. */
	if (!more && progress.failed > 0)
	{
		progress.stage = 0;
		progress.after_id = progress.resealed = progress.failed = 0;
		progress.pass = 1;
		more = true;
	}
	if (more)
		more = qms_reseal_some(call, &progress, max_rows);
	nulls[0] = progress.keys == NULL;
	values[0] = nulls[0] ? (Datum) 0 : CStringGetTextDatum(progress.keys);
	nulls[1] = !more;
	values[1] = nulls[1] ? (Datum) 0 : CStringGetTextDatum(stages[progress.stage].table);
	values[2] = Int64GetDatum(progress.resealed);
	values[3] = Int64GetDatum(progress.failed);
	values[4] = BoolGetDatum(!more);
	return qms_answer_tuple(call, values, nulls);
}

/* A new key in the table; what is sealed from now on uses it, the scheduler does the rest. */
QMS_FUNCTION(rotate_seal_key, QMS_ACT_INSTALL, 0)
{
	char	   *word = qms_arg_isnull(call, 0) ? "seal" : qms_arg_text(call, 0, "purpose");
	QmsSealPurpose purpose = strcmp(word, "seal") == 0 ? QMS_SEAL_DATA : QMS_SEAL_INDEX;
	QmsEvent	event = {0};
	QmsJson		json;
	int			kid;

	if (purpose == QMS_SEAL_INDEX && strcmp(word, "seal_index") != 0)
		qms_arg_choice_error("purpose", word, "seal and seal_index");
	if (qms_seal_key_is_in_file())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("keys are in the file of qms.seal_key_file"),
				 errdetail("A key in the database would not be used."),
				 errhint("Add a line with a higher kid to the file; keep the old lines until everything is sealed anew.")));
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	qms_lock(QMS_LOCK_SETUP, 0, true);
	kid = qms_seal_key_make(purpose, call->now);
	event.kind = "seal_key.rotated";
	qms_json_begin(&json);
	qms_json_text(&json, "purpose", word);
	qms_json_int64(&json, "kid", kid);
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	PG_RETURN_INT32(kid);
}
