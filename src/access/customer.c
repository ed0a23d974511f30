/*
 * customer.c
 *		Customers: people who are known beyond one visit.  Their names and
 *		contacts are stored sealed, and found by keyed hashes.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define MAX_NAME	200

#define COLUMN_NAME(c) #c,
static const char *const customer_columns[] = {QMS_CUSTOMER_COLUMNS(COLUMN_NAME)};

QmsTable	qms_customer_table = {
	.schema = QMS_SCHEMA, .name = "customer", .ncols = C_COLUMNS, .columns = customer_columns, .nkey = 1
};

/* ---- what is sealed ---- */

static QmsSealPlace
place_of(const QmsCustomer *customer, int column)
{
	QmsSealPlace place = {qms_row_int64(customer, C_organization_id), "customer", customer_columns[column],
	qms_row_int64(customer, C_customer_id)};

	return place;
}

/* The name in clear; NULL: none, or (without raise, after a warning) it does not open. */
char *
qms_customer_name(const QmsCustomer *customer, bool raise)
{
	QmsSealPlace place = place_of(customer, C_name);
	char	   *name = qms_row_text(customer, C_name);

	return name != NULL && qms_seal_is_text(name) ? qms_seal_open_text(&place, name, raise) : name;
}

Jsonb *
qms_customer_contact(const QmsCustomer *customer, bool raise)
{
	QmsSealPlace place = place_of(customer, C_contact);

	return qms_row_isnull(customer, C_contact) ? NULL :
		qms_contact_open(&place, DatumGetJsonbP(customer->values[C_contact]), raise);
}

/* Name and contact, each or NULL, and what the row is found by. */
void
qms_customer_seal(QmsCustomer *customer, const char *name, const Jsonb *contact)
{
	QmsSealPlace of_name = place_of(customer, C_name);
	QmsSealPlace of_contact = place_of(customer, C_contact);

	qms_row_set_text(customer, C_name, name != NULL && qms_seal_is_on() ? qms_seal_text(&of_name, name) : name);
	qms_row_set_pointer(customer, C_contact, qms_contact_seal(&of_contact, contact));
	qms_row_set_datum(customer, C_find, qms_contact_keys(qms_row_int64(customer, C_organization_id), contact, name));
}

static Jsonb *
empty_object(void)
{
	QmsJson		json;

	qms_json_begin(&json);
	return qms_json_end(&json);
}

/* Nothing of the person is left but that there was one. */
void
qms_customer_wipe(QmsCustomer *customer, TimestampTz now)
{
	qms_row_set_null(customer, C_name);
	qms_row_set_null(customer, C_contact);
	qms_row_set_pointer(customer, C_find, construct_empty_array(TEXTOID));
	qms_row_set_null(customer, C_language);
	qms_row_set_null(customer, C_external_subject);
	qms_row_set_pointer(customer, C_metadata, empty_object());
	qms_row_set_time(customer, C_updated_at, now);
	if (qms_row_isnull(customer, C_deleted_at))
		qms_row_set_time(customer, C_deleted_at, now);
	qms_otp_forget_customer(qms_row_int64(customer, C_organization_id), qms_row_int64(customer, C_customer_id));
	qms_inval_sessions();
}

/* ---- arguments ---- */

/* A name as it is given: trimmed, of one line; NULL for an empty one. */
static char *
clean_name(char *name)
{
	const char *p;
	int			length;

	while (isspace((unsigned char) *name))
		name++;
	length = strlen(name);
	while (length > 0 && isspace((unsigned char) name[length - 1]))
		name[--length] = '\0';
	for (p = name; *p != '\0' && (unsigned char) *p >= ' ' && *p != 0x7f; p++)
		 /* the name itself is not for messages */ ;
	if (*p != '\0' || pg_mbstrlen(name) > MAX_NAME || qms_seal_is_text(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name must have at most %d characters and be of one line", MAX_NAME),
				 errhint("Give the name of a person.")));
	return length > 0 ? name : NULL;
}

/* "" removes. */
static void
set_text(QmsCustomer *customer, int column, char *value)
{
	if (value != NULL)
		qms_row_set_text(customer, column, *value ? value : NULL);
}

static void
check_subject(const QmsCustomer *customer)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.customer WHERE organization_id = $1 AND external_subject = $2 "
								   "AND customer_id <> $3 AND deleted_at IS NULL", INT8OID, TEXTOID, INT8OID);
	QmsParams	params = {0};

	if (qms_row_isnull(customer, C_external_subject))
		return;
	qms_param_int64(&params, qms_row_int64(customer, C_organization_id));
	qms_param_text(&params, qms_row_text(customer, C_external_subject));
	qms_param_int64(&params, qms_row_int64(customer, C_customer_id));
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("external_subject is already in use"),
				 errdetail("Another customer of the organization has it."),
				 errhint("Find that one with qms.find_customers(external_subject => ...).")));
}

/* name, contact, language, external_subject and metadata are arguments 1 to 5; answers which were given. */
static void
apply_arguments(QmsCall *call, QmsCustomer *customer, QmsJson *json)
{
	static const char *const names[] = {NULL, "name", "contact", "language", "external_subject", "metadata"};
	char	   *name = qms_arg_text_or_null(call, 1);
	Jsonb	   *contact = qms_arg_jsonb(call, 2, "contact");
	Jsonb	   *metadata = qms_arg_jsonb(call, 5, "metadata");
	size_t		i;

	if (name != NULL || contact != NULL)
		qms_customer_seal(customer,
						  name ? clean_name(name) : qms_customer_name(customer, true),
						  contact == NULL ? qms_customer_contact(customer, true) : JB_ROOT_COUNT(contact) > 0 ? contact : NULL);
	set_text(customer, C_language, qms_arg_text_or_null(call, 3));
	set_text(customer, C_external_subject, qms_arg_text_or_null(call, 4));
	if (metadata != NULL)
		qms_row_set_pointer(customer, C_metadata, metadata);
	check_subject(customer);
	/* The event says what was given, not what it is. */
	qms_json_begin_array(json, "fields");
	for (i = 1; i < lengthof(names); i++)
	{
		if (!qms_arg_isnull(call, i))
			qms_json_element_text(json, names[i]);
	}
	qms_json_end_array(json);
}

/* ---- rows ---- */

static QmsCustomer *
fetch(QmsPlan *plan, const char *format, int64 customer_id)
{
	QmsParams	params = {0};

	qms_param_int64(&params, customer_id);
	if (qms_spi_run(qms_table_plan(&qms_customer_table, plan, format), &params) == 0)
		qms_not_found("customer", customer_id);
	return qms_row_fetch(&qms_customer_table, 0, 0);
}

static void
gate(QmsCall *call, int64 customer_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT organization_id FROM qms.customer WHERE customer_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, customer_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("customer", customer_id);
	qms_gate_organization(call, qms_spi_int64(0, 0), "customer", customer_id);
}

/*
 * A customer for a change; his row is locked to the end of the transaction.
 * Whoever may not is refused before he waits for anything.
 */
QmsCustomer *
qms_customer_lock(QmsCall *call, int64 customer_id)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID);

	gate(call, customer_id);
	return fetch(&plan, "SELECT %s FROM qms.customer t WHERE t.customer_id = $1 AND t.deleted_at IS NULL FOR NO KEY UPDATE",
				 customer_id);
}

/* ... deleted ones too: deleting only hides. */
QmsCustomer *
qms_customer_lock_any(QmsCall *call, int64 customer_id)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID);

	gate(call, customer_id);
	return fetch(&plan, "SELECT %s FROM qms.customer t WHERE t.customer_id = $1 FOR NO KEY UPDATE", customer_id);
}

/* What happened to a customer, without anything personal; "data" is begun. */
void
qms_customer_event(QmsCall *call, const char *verb, const QmsCustomer *customer, QmsJson *data)
{
	QmsEvent	event = {0};

	event.kind = psprintf("customer.%s", verb);
	event.organization_id = qms_row_int64(customer, C_organization_id);
	qms_json_int64(data, "customer_id", qms_row_int64(customer, C_customer_id));
	event.data = qms_json_end(data);
	qms_event_write(call, &event);
}

/* As qms.customer_details. */
Datum
qms_customer_answer(QmsCall *call, const QmsCustomer *customer, bool raise)
{
	static const int columns[] = {C_customer_id, C_organization_id, C_name, C_contact, C_language,
	C_external_subject, C_metadata, C_created_at, C_updated_at};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)];
	char	   *name = qms_customer_name(customer, raise);
	Jsonb	   *contact = qms_customer_contact(customer, raise);
	size_t		i;

	for (i = 0; i < lengthof(columns); i++)
	{
		nulls[i] = qms_row_isnull(customer, columns[i]);
		values[i] = customer->values[columns[i]];
	}
	nulls[2] = name == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(name);
	nulls[3] = contact == NULL;
	values[3] = PointerGetDatum(contact);
	if ((call->function->flags & QMS_SETOF) == 0)
		return qms_answer_tuple(call, values, nulls);
	qms_answer_row(call, values, nulls);
	return qms_answer_none(call);
}

/* ---- functions ---- */

/* An organization that is there, and the caller's. */
void
qms_customer_organization(QmsCall *call, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT 1 FROM qms.organization WHERE organization_id = $1 AND deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};

	qms_gate_organization(call, organization_id, "organization", organization_id);
	qms_param_int64(&params, organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("organization", organization_id);
}

/* Somebody of whom nothing is known yet; not written. */
QmsCustomer *
qms_customer_new(int64 organization_id, TimestampTz now)
{
	QmsCustomer *customer = qms_row_new(&qms_customer_table);

	qms_row_set_id(customer, C_customer_id, qms_sequence_next("customer_customer_id_seq"));
	qms_row_set_id(customer, C_organization_id, organization_id);
	qms_row_set_pointer(customer, C_find, construct_empty_array(TEXTOID));
	qms_row_set_pointer(customer, C_metadata, empty_object());
	qms_row_set_time(customer, C_created_at, now);
	qms_row_set_time(customer, C_updated_at, now);
	return customer;
}

QMS_FUNCTION(create_customer, QMS_ACT_PERSONAL, QMS_MUTATES | QMS_PERSONAL)
{
	int64		organization_id = qms_arg_id(call, 0, "organization_id");
	QmsCustomer *customer;
	QmsJson		json;

	qms_customer_organization(call, organization_id);
	customer = qms_customer_new(organization_id, call->now);
	qms_json_begin(&json);
	apply_arguments(call, customer, &json);
	qms_row_insert(customer);
	qms_customer_event(call, "created", customer, &json);
	return qms_customer_answer(call, customer, true);
}

QMS_FUNCTION(update_customer, QMS_ACT_PERSONAL, QMS_MUTATES | QMS_PERSONAL)
{
	QmsCustomer *customer = qms_customer_lock(call, qms_arg_id(call, 0, "customer_id"));
	QmsJson		json;

	qms_json_begin(&json);
	apply_arguments(call, customer, &json);
	qms_row_set_time(customer, C_updated_at, call->now);
	qms_row_update(customer);
	qms_customer_event(call, "updated", customer, &json);
	return qms_customer_answer(call, customer, true);
}

QMS_FUNCTION(delete_customer, QMS_ACT_PERSONAL, QMS_MUTATES | QMS_PERSONAL)
{
	QmsCustomer *customer = qms_customer_lock(call, qms_arg_id(call, 0, "customer_id"));
	QmsJson		json;

	qms_row_set_time(customer, C_updated_at, call->now);
	qms_row_set_time(customer, C_deleted_at, call->now);
	qms_row_update(customer);
	/* A token of his is worth nothing from now on. */
	qms_inval_sessions();
	qms_json_begin(&json);
	qms_customer_event(call, "deleted", customer, &json);
	return qms_customer_answer(call, customer, false);
}

QMS_FUNCTION(get_customer, QMS_ACT_PERSONAL, QMS_PERSONAL)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID);
	int64		customer_id = qms_arg_id(call, 0, "customer_id");

	gate(call, customer_id);
	return qms_customer_answer(call, fetch(&plan, "SELECT %s FROM qms.customer t WHERE t.customer_id = $1 AND t.deleted_at IS NULL",
										   customer_id), true);
}
