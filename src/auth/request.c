/*
 * request.c
 *		Idempotency: the same request_id, from the same principal to the same
 *		function, has one effect and one answer.
 *
 * The answer is kept as the text of its columns.  A token is not: it is made
 * again from the visit, so no copy of a token is stored.  Whoever was told none
 * is told none again.  Nor are keys and pairing codes: the seed stands for them;
 * nor access tokens and their keys, which are made or read again.
 * Personal data is kept sealed.
 */
#include "auth/auth.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

char	   *(*qms_request_make_again) (QmsCall *call, const char *column, const Datum *values, const bool *nulls) = NULL;

/* Distinct for any two principals, stable over time. */
static char *
principal_key(const QmsPrincipal *who)
{
	if (who->kind == QMS_SUPERUSER)
		return psprintf("superuser:%s", who->role);
	if (who->id == 0)
		return psprintf("%s:%s:%lld", who->kind_name, who->role, (long long) who->organization_id);
	return psprintf("%s:%lld", who->kind_name, (long long) who->id);
}

static int64
hash_text(const char *text, int64 seed)
{
	return (int64) DatumGetUInt64(hash_any_extended((const unsigned char *) text, strlen(text), seed));
}

/* A hash of all arguments but the request_id; nulls count by their place. */
static int64
hash_arguments(QmsCall *call)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Oid		   *types;
	int			ntypes;
	int64		hash = 0;
	int			modes = qms_text_modes_begin();
	int			i;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &ntypes);
	for (i = 0; i < PG_NARGS() - 1; i++)
	{
		Oid			output;
		bool		varlena;

		hash = hash_text(psprintf("%d", i), hash);
		if (PG_ARGISNULL(i))
			continue;
		getTypeOutputInfo(types[i], &output, &varlena);
		hash = hash_text(OidOutputFunctionCall(output, PG_GETARG_DATUM(i)), hash);
	}
	qms_text_modes_end(modes);
	return hash;
}

/* Is this column of an answer not to be kept in clear? */
static bool
is_personal(QmsCall *call, const char *column)
{
	static const char *const more[] = {"name", "external_subject", "metadata"};
	size_t		i;

	if (strcmp(column, "contact") == 0)
		return true;
	for (i = 0; (call->function->flags & QMS_PERSONAL) != 0 && i < lengthof(more); i++)
	{
		if (strcmp(column, more[i]) == 0)
			return true;
	}
	return false;
}

/* Where a column of this request's answer is sealed. */
static QmsSealPlace
place_of(QmsCall *call, const char *column)
{
	QmsSealPlace place = {call->answer_organization, "request", column, 0};
	uint64		id;

	memcpy(&id, call->request_id.data, sizeof(id));
	place.id = (int64) pg_ntoh64(id);
	return place;
}

static char *
keep_text(QmsCall *call, const char *column, char *value)
{
	QmsSealPlace place = place_of(call, column);

	return is_personal(call, column) && qms_seal_is_on() ? qms_seal_text(&place, value) : value;
}

static char *
kept_text(QmsCall *call, const char *column, char *value)
{
	QmsSealPlace place = place_of(call, column);

	return is_personal(call, column) && qms_seal_is_text(value) ? qms_seal_open_text(&place, value, true) : value;
}

/* Columns of a stored answer back into a tuple. */
static HeapTuple
tuple_of_answer(QmsCall *call, TupleDesc desc, const Datum *texts, const bool *nulls)
{
	char	  **strings = palloc0(sizeof(char *) * desc->natts);
	int			modes = qms_text_modes_begin();
	HeapTuple	row;
	int			i;

	for (i = 0; i < desc->natts; i++)
		strings[i] = nulls[i] ? NULL :
			kept_text(call, NameStr(TupleDescAttr(desc, i)->attname), TextDatumGetCString(texts[i]));
	row = BuildTupleFromCStrings(TupleDescGetAttInMetadata(desc), strings);
	qms_text_modes_end(modes);
	return row;
}

/* Make the token of the answer again. */
static void
restore_token(QmsCall *call, Datum *values, bool *nulls)
{
	int			token = qms_answer_column(call, "token");
	int			visit = qms_answer_column(call, "visit_id");
	QmsTicketToken *made;
	int64		nonce;

	if (token < 0 || visit < 0 || nulls[visit])
		return;
	if (!qms_token_nonce_of_visit(DatumGetInt64(values[visit]), &nonce))
		return;
	made = palloc(sizeof(QmsTicketToken));
	qms_token_make(made, call->answer_organization, DatumGetInt64(values[visit]), nonce);
	values[token] = PointerGetDatum(made);
	nulls[token] = false;
}

/* Is this the name of a column that holds what is shown once? */
static bool
is_secret(const char *name)
{
	return strcmp(name, "key") == 0 || strcmp(name, "pairing_code") == 0;
}

/* ... of a column that whoever made it makes again? */
static bool
is_made_again(const char *name)
{
	return strcmp(name, "access_token") == 0 || strcmp(name, "secret") == 0;
}

/* Make keys and codes again from their seeds, and the rest. */
static void
restore_secrets(QmsCall *call, TupleDesc desc, Datum *values, bool *nulls)
{
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		char	   *secret;

		if (nulls[i] || TupleDescAttr(desc, i)->atttypid != TEXTOID || !(is_secret(name) || is_made_again(name)))
			continue;
		secret = is_secret(name) ? qms_secret_again(TextDatumGetCString(values[i])) :
			qms_request_make_again(call, name, values, nulls);
		nulls[i] = secret == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(secret);
	}
}

/* Answer what is stored: one row, or the rows of a set one behind the other. */
static Datum
answer_again(QmsCall *call)
{
	bool		isnull;
	Datum		stored = qms_spi_datum(0, 1, &isnull);
	TupleDesc	desc;
	Datum	   *texts;
	bool	   *missing;
	int			token;
	int			n;
	int			i;

	call->answer_organization = qms_spi_int64(0, 2);
	if (isnull)
		return qms_answer_none(call);
	desc = qms_answer_desc(call);
	token = qms_answer_column(call, "token");
	deconstruct_array(DatumGetArrayTypeP(stored), TEXTOID, -1, false, TYPALIGN_INT, &texts, &missing, &n);
	for (i = 0; i + desc->natts <= n; i += desc->natts)
	{
		Datum	   *values = palloc(sizeof(Datum) * desc->natts);
		bool	   *nulls = palloc(sizeof(bool) * desc->natts);
		bool		told = token >= 0 && !missing[i + token];

		if (told)
			missing[i + token] = true;
		heap_deform_tuple(tuple_of_answer(call, desc, texts + i, missing + i), desc, values, nulls);
		if (told)
			restore_token(call, values, nulls);
		restore_secrets(call, desc, values, nulls);
		if ((call->function->flags & QMS_SETOF) == 0)
			return qms_answer_tuple(call, values, nulls);
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}

/*
 * If the call names a request_id that has been answered, answer the same.
 *
 * Lock: exclusive on the request, to the end of the transaction.  Two sessions
 * with the same request_id run one after the other, and the second finds the
 * first one's answer, or nothing if that rolled back.  Different requests never
 * meet but by a collision of hashes, which only makes them wait.
 */
bool
qms_request_replay(QmsCall *call, Datum *result)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT arguments_hash, answer, organization_id FROM qms_internal.request "
								   "WHERE request_id = $1 AND principal = $2 AND function = $3",
								   UUIDOID, TEXTOID, TEXTOID);
	FunctionCallInfo fcinfo = call->fcinfo;
	QmsParams	params = {0};
	char	   *principal;

	if ((call->function->flags & QMS_MUTATES) == 0 || PG_ARGISNULL(PG_NARGS() - 1))
		return false;
	call->has_request = true;
	call->request_id = *PG_GETARG_UUID_P(PG_NARGS() - 1);
	principal = principal_key(call->who);
	qms_lock(QMS_LOCK_REQUEST,
			 hash_text(principal, hash_text(call->function->name,
											hash_any_extended(call->request_id.data, UUID_LEN, 0))),
			 true);
	qms_param_pointer(&params, &call->request_id);
	qms_param_text(&params, principal);
	qms_param_text(&params, call->function->name);
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	if (qms_spi_int64(0, 0) != hash_arguments(call))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_REQUEST_REUSED),
				 errmsg("request_id was already used with other arguments"),
				 errdetail("qms.%s was called before with this request_id and other arguments.",
						   call->function->name),
				 errhint("Make a new request_id for each new request; repeat one only with the same arguments.")));
	*result = answer_again(call);
	return true;
}

/* One row of the answer, as texts behind those that are there. */
static void
add_row(QmsCall *call, ArrayBuildState **array, TupleDesc desc, HeapTuple row)
{
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		bool		isnull;
		Datum		value = heap_getattr(row, i + 1, desc, &isnull);
		Oid			output;
		bool		varlena;

		if (!isnull && (strcmp(NameStr(attribute->attname), "token") == 0 || is_made_again(NameStr(attribute->attname))))
			value = CStringGetTextDatum("");	/* only that there was one */
		else if (!isnull && is_secret(NameStr(attribute->attname)))
		{
			isnull = call->secret_seed == NULL;
			value = isnull ? (Datum) 0 : CStringGetTextDatum(call->secret_seed);
		}
		else if (!isnull)
		{
			getTypeOutputInfo(attribute->atttypid, &output, &varlena);
			value = CStringGetTextDatum(keep_text(call, NameStr(attribute->attname),
												  OidOutputFunctionCall(output, value)));
		}
		*array = accumArrayResult(*array, isnull ? (Datum) 0 : value, isnull, TEXTOID, CurrentMemoryContext);
	}
}

/* All columns of all rows of the answer; there is at least one row. */
static Datum
columns_of_answer(QmsCall *call)
{
	TupleDesc	desc = qms_answer_desc(call);
	ArrayBuildState *array = NULL;
	int			modes = qms_text_modes_begin();

	if (call->function->flags & QMS_SETOF)
	{
		Tuplestorestate *store = ((ReturnSetInfo *) call->fcinfo->resultinfo)->setResult;
		TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
		bool		mine;

		tuplestore_rescan(store);
		while (tuplestore_gettupleslot(store, true, false, slot))
			add_row(call, &array, desc, ExecFetchSlotHeapTuple(slot, false, &mine));
		ExecDropSingleTupleTableSlot(slot);
		/* Whoever reads it next begins at the beginning. */
		tuplestore_rescan(store);
	}
	else
		add_row(call, &array, desc, call->answer);
	qms_text_modes_end(modes);
	return makeArrayResult(array, CurrentMemoryContext);
}

/* Keep the answer of a call that named a request_id. */
void
qms_request_store(QmsCall *call)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.request "
								   "(request_id, organization_id, principal, function, arguments_hash, answer, created_at) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7)",
								   UUIDOID, INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTARRAYOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	if (!call->has_request)
		return;
	qms_param_pointer(&params, &call->request_id);
	qms_param_int64(&params, call->answer_organization);
	qms_param_text(&params, principal_key(call->who));
	qms_param_text(&params, call->function->name);
	qms_param_int64(&params, hash_arguments(call));
	if (call->answer == NULL)
		qms_param_null(&params);
	else
		qms_param_datum(&params, columns_of_answer(call));
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
}
