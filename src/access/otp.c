/*
 * otp.c
 *		One-time passcodes: a customer proves that a phone or an e-mail address is
 *		his, and gets an access token.
 *
 * Six digits, five minutes, five attempts, one live code for a contact.  Codes
 * and contacts are kept as keyed hashes.  Each further code that is asked for
 * without one being used waits twice as long, so that neither the owner of a
 * phone is flooded nor a guesser gets five new attempts at a time.
 */
#include "access/access.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#define CODE_LIFE (5 * USECS_PER_MINUTE)
#define MAX_ATTEMPTS 5
#define CODE_RANGE 1000000
#define FIRST_PAUSE USECS_PER_MINUTE
#define LONGEST_PAUSE USECS_PER_HOUR
#define FORGOTTEN_AFTER USECS_PER_DAY
#define MAX_CONTACT 254
#define MIN_DIGITS 7
#define MAX_DIGITS 15

/* A contact in its plainest form, so that it is found again however it is typed. */
typedef struct Contact
{
	char	   *text;			/* +4915112345678, ada@city.example */
	const char *medium;			/* phone or email */
	int64		organization_id;
	bytea	   *hash;
} Contact;

/* The row of a contact. */
typedef struct Code
{
	bool		exists;
	bytea	   *hash;			/* NULL: used, or guessed at too often */
	int32		requests;
	int32		attempts;
	TimestampTz created_at;
	TimestampTz expires_at;
} Code;

/* ---- contacts ---- */

/* Digits, with a + in front if it is of another country; NULL if it is no phone number. */
static char *
plain_phone(const char *text)
{
	char	   *plain = palloc(strlen(text) + 1);
	int			n = 0;
	const char *c;

	for (c = text; *c != '\0'; c++)
	{
		if ((*c >= '0' && *c <= '9') || (*c == '+' && n == 0))
			plain[n++] = *c;
		else if (strchr(" -./()", *c) == NULL)
			return NULL;
	}
	plain[n] = '\0';
	if (plain[0] == '0' && plain[1] == '0')
	{
		plain[1] = '+';
		plain++;
		n--;
	}
	n -= *plain == '+';
	return n >= MIN_DIGITS && n <= MAX_DIGITS ? plain : NULL;
}

/* In small letters; NULL if it is no e-mail address. */
static char *
plain_email(const char *text)
{
	const char *at = strchr(text, '@');
	const char *c;

	if (at == NULL || at == text || strchr(at + 1, '@') != NULL || strchr(at + 1, '.') == NULL ||
		at[1] == '.' || text[strlen(text) - 1] == '.')
		return NULL;
	for (c = text; *c != '\0'; c++)
	{
		if ((unsigned char) *c <= ' ' || *c == 0x7f || strchr("()<>,;:\\\"[]", *c) != NULL)
			return NULL;
	}
	return str_tolower(text, strlen(text), DEFAULT_COLLATION_OID);
}

static void
read_contact(QmsCall *call, int64 organization_id, Contact *contact)
{
	char	   *text = qms_arg_text(call, 0, "contact");
	Size		length;

	while (isspace((unsigned char) *text))
		text++;
	for (length = strlen(text); length > 0 && isspace((unsigned char) text[length - 1]); length--)
		text[length - 1] = '\0';
	contact->medium = strchr(text, '@') ? "email" : "phone";
	contact->text = length > MAX_CONTACT || length == 0 ? NULL : strchr(text, '@') ? plain_email(text) : plain_phone(text);
	if (contact->text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("contact is neither a phone number nor an e-mail address"),
				 errdetail("A phone number has %d to %d digits, and may begin with +.", MIN_DIGITS, MAX_DIGITS),
				 errhint("Write it as +4915112345678 or ada@city.example.")));
	contact->organization_id = organization_id;
	contact->hash = qms_keyed_hash(qms_signing_key_current("login"), "contact", organization_id, contact->text, "");
}

/* The organization; unlike a user name, it is no secret which exist. */
static int64
organization_argument(QmsCall *call, int n)
{
	char	   *slug = qms_arg_text_or_null(call, n);
	int64		organization_id = qms_sign_in_organization(call, slug);

	if (organization_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("organization \"%s\" does not exist", slug ? slug : ""),
				 errdetail("It was never there, or has been deleted."),
				 errhint("Check organization_slug.")));
	return organization_id;
}

/* ---- codes ---- */

/* Nobody else is at work on the codes of this contact, and the limits allow it; else when to come again. */
static bool
may_try(const Contact *contact, int32 *retry_after)
{
	int64		lock;

	if (qms_sign_in_limited(QMS_BY_CODE, contact->organization_id, contact->hash, retry_after))
		return false;
	memcpy(&lock, VARDATA(contact->hash), sizeof(lock));
	*retry_after = 1;
	return qms_lock_if_free(QMS_LOCK_LOGIN, lock, true);
}

static void
read_code(QmsCall *call, const Contact *contact, Code *code)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT code_hash, requests, attempts, created_at, expires_at FROM qms_internal.one_time_code "
								   "WHERE contact_hash = $1 AND organization_id = $2", BYTEAOID, INT8OID);
	QmsParams	params = {0};
	bool		isnull;
	Datum		hash;

	memset(code, 0, sizeof(*code));
	qms_param_pointer(&params, contact->hash);
	qms_param_int64(&params, contact->organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		return;
	code->exists = true;
	hash = qms_spi_datum(0, 0, &isnull);
	code->hash = isnull ? NULL : DatumGetByteaPCopy(hash);
	code->requests = qms_spi_int32(0, 1);
	code->attempts = qms_spi_int32(0, 2);
	code->created_at = qms_spi_time(0, 3);
	code->expires_at = qms_spi_time(0, 4);
	if (code->created_at <= call->now - FORGOTTEN_AFTER)
		code->requests = 0;
}

static void
write_code(const Contact *contact, const Code *code)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.one_time_code (contact_hash, organization_id, code_hash, requests, attempts, created_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (contact_hash, organization_id) DO UPDATE SET "
								   "code_hash = excluded.code_hash, requests = excluded.requests, attempts = excluded.attempts, "
								   "created_at = excluded.created_at, expires_at = excluded.expires_at",
								   BYTEAOID, INT8OID, BYTEAOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_pointer(&params, contact->hash);
	qms_param_int64(&params, contact->organization_id);
	qms_param_pointer(&params, code->hash);
	qms_param_int32(&params, code->requests);
	qms_param_int32(&params, code->attempts);
	qms_param_time(&params, code->created_at);
	qms_param_time(&params, code->expires_at);
	qms_spi_run_now(&plan, &params);
}

/* What is kept of a code: it is good for this contact and this request only. */
static bytea *
hash_of_code(const Contact *contact, const char *digits, TimestampTz created_at)
{
	return qms_keyed_hash(qms_signing_key_current("login"), "code", contact->organization_id, contact->text,
						  psprintf("%lld:%s", (long long) created_at, digits));
}

/* Six digits, each code as likely as any other. */
static char *
new_code(void)
{
	uint32		number;

	do
	{
		qms_random(&number, sizeof(number));
	} while (number >= PG_UINT32_MAX / CODE_RANGE * CODE_RANGE);
	return psprintf("%06u", number % CODE_RANGE);
}

/* How long after the last code the next one may be asked for. */
static int64
pause_after(int requests)
{
	int64		pause = FIRST_PAUSE;
	int			i;

	for (i = 1; i < requests && pause < LONGEST_PAUSE; i++)
		pause *= 2;
	return requests == 0 ? 0 : Min(pause, LONGEST_PAUSE);
}

QMS_FUNCTION(request_otp, QMS_ACT_SIGN_IN, 0)
{
	Contact		contact;
	Code		code;
	char	   *digits;
	int32		retry_after;
	QmsEvent	event = {.kind = "otp.requested"};
	QmsJson		json;

	event.organization_id = organization_argument(call, 1);
	read_contact(call, event.organization_id, &contact);
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (!may_try(&contact, &retry_after))
		return qms_requested_answer(call, QMS_NO_TIME, QMS_TOO_MANY_ATTEMPTS, retry_after);
	read_code(call, &contact, &code);
	retry_after = qms_seconds_until(code.created_at + pause_after(code.requests), call->now);
	if (code.exists && retry_after > 0)
		return qms_requested_answer(call, QMS_NO_TIME, QMS_TOO_MANY_ATTEMPTS, retry_after);
	digits = new_code();
	code.requests++;
	code.attempts = 0;
	code.created_at = call->now;
	code.expires_at = call->now + CODE_LIFE;
	code.hash = hash_of_code(&contact, digits, code.created_at);
	write_code(&contact, &code);
	qms_json_begin(&json);
	qms_json_text(&json, "medium", contact.medium);
	qms_json_int64(&json, "secret_delivery_id",
				   qms_secret_deliver(call, contact.organization_id, "otp", contact.text, digits, code.expires_at));
	qms_json_time(&json, "expires_at", code.expires_at);
	event.data = qms_json_end(&json);
	(void) qms_event_write(call, &event);
	return qms_requested_answer(call, code.expires_at, NULL, 0);
}

/* ---- the customer ---- */

/* The hashes of a contact by every key there is: it may have been proved before a rotation. */
static Datum
all_hashes(const Contact *contact)
{
	ArrayBuildState *hashes = NULL;
	const QmsSigningKey *key;
	int			i;

	for (i = 0; (key = qms_signing_key_at(i)) != NULL; i++)
	{
		if (strcmp(key->purpose, "login") == 0)
			hashes = accumArrayResult(hashes,
									  PointerGetDatum(qms_keyed_hash(key, "contact", contact->organization_id, contact->text, "")),
									  false, BYTEAOID, CurrentMemoryContext);
	}
	return makeArrayResult(hashes, CurrentMemoryContext);
}

static int64
find_customer(const Contact *contact)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT v.customer_id FROM qms_internal.verified_contact v "
								   "JOIN qms.customer c ON c.customer_id = v.customer_id AND c.deleted_at IS NULL "
								   "WHERE v.organization_id = $1 AND v.contact_hash = ANY ($2) ORDER BY v.verified_at DESC LIMIT 1",
								   INT8OID, BYTEAARRAYOID);
	QmsParams	params = {0};

	qms_param_int64(&params, contact->organization_id);
	qms_param_datum(&params, all_hashes(contact));
	return qms_spi_look(&plan, &params) > 0 ? qms_spi_int64(0, 0) : 0;
}

/* Somebody who is known from now on, by this contact. */
static int64
create_customer(QmsCall *call, const Contact *contact)
{
	QmsCustomer *customer = qms_customer_new(contact->organization_id, call->now);
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, contact->medium, contact->text);
	qms_customer_seal(customer, NULL, qms_json_end(&json));
	qms_row_insert(customer);
	qms_json_begin(&json);
	qms_json_begin_array(&json, "fields");
	qms_json_element_text(&json, "contact");
	qms_json_end_array(&json);
	qms_customer_event(call, "created", customer, &json);
	return qms_row_int64(customer, C_customer_id);
}

static void
remember_contact(QmsCall *call, const Contact *contact, int64 customer_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.verified_contact (organization_id, customer_id, contact_hash, verified_at) "
								   "VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, contact_hash) DO UPDATE SET "
								   "customer_id = excluded.customer_id, verified_at = excluded.verified_at",
								   INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, contact->organization_id);
	qms_param_int64(&params, customer_id);
	qms_param_pointer(&params, contact->hash);
	qms_param_time(&params, call->now);
	qms_spi_run_now(&plan, &params);
}

/* Forget the contacts of a customer: he becomes somebody else when he comes with them again. */
void
qms_otp_forget_customer(int64 organization_id, int64 customer_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.verified_contact WHERE organization_id = $1 AND customer_id = $2",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_param_int64(&params, customer_id);
	qms_spi_run_now(&plan, &params);
}

/* ---- verifying ---- */

/*
 * Is this the code?  A contact without a live one takes the same steps.  The row
 * is written again in either case: one more attempt, or used.
 */
static bool
try_code(QmsCall *call, const Contact *contact, const char *digits)
{
	Code		code;
	bytea	   *given;
	bool		live;
	bool		same;

	read_code(call, contact, &code);
	live = code.exists && code.hash != NULL && code.expires_at > call->now;
	given = hash_of_code(contact, digits, code.created_at);
	same = qms_hash_equal(given, live ? code.hash : given) && live;
	if (!live)
		return false;
	if (same)
		code.requests = 0;
	else
		code.attempts++;
	if (same || code.attempts >= MAX_ATTEMPTS)
		code.hash = NULL;
	write_code(contact, &code);
	return same;
}

static Datum
answer_customer(QmsCall *call, int64 organization_id, int64 customer_id, const char *error, int32 retry_after)
{
	Datum		values[6] = {0};
	bool		nulls[6];
	QmsToken	token = {.role = "qms_customer", .organization_id = organization_id};
	int			i;

	for (i = 0; i < 6; i++)
		nulls[i] = (error != NULL) == (i < 4);
	if (error != NULL)
	{
		qms_sign_in_status(error, retry_after);
		values[4] = CStringGetTextDatum(error);
		values[5] = Int32GetDatum(retry_after);
		nulls[5] = retry_after == 0;
		return qms_answer_tuple(call, values, nulls);
	}
	token.subject = psprintf("customer:%lld", (long long) customer_id);
	values[0] = CStringGetTextDatum(qms_token_of_login(call, &token));
	values[1] = TimestampTzGetDatum(token.expires_at);
	values[2] = Int64GetDatum(customer_id);
	values[3] = Int64GetDatum(organization_id);
	return qms_answer_tuple(call, values, nulls);
}

/* Spaces are how people read codes to one another. */
static char *
read_digits(QmsCall *call)
{
	char	   *digits = qms_arg_text(call, 1, "code");
	char	   *to = digits;
	char	   *from;

	for (from = digits; *from != '\0'; from++)
	{
		if (*from != ' ')
			*to++ = *from;
	}
	*to = '\0';
	return digits;
}

QMS_FUNCTION(verify_otp, QMS_ACT_SIGN_IN, 0)
{
	Contact		contact;
	char	   *digits = read_digits(call);
	int64		customer_id;
	bool		created;
	int32		retry_after;
	QmsEvent	event = {.kind = "otp.verified"};
	QmsJson		json;

	event.organization_id = organization_argument(call, 2);
	read_contact(call, event.organization_id, &contact);
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (!may_try(&contact, &retry_after))
		return answer_customer(call, 0, 0, QMS_TOO_MANY_ATTEMPTS, retry_after);
	if (!try_code(call, &contact, digits))
		return answer_customer(call, 0, 0, QMS_INVALID_CODE, 0);
	customer_id = find_customer(&contact);
	created = customer_id == 0;
	if (created)
		customer_id = create_customer(call, &contact);
	remember_contact(call, &contact, customer_id);
	qms_json_begin(&json);
	qms_json_text(&json, "medium", contact.medium);
	qms_json_int64(&json, "customer_id", customer_id);
	qms_json_bool(&json, "created", created);
	event.data = qms_json_end(&json);
	(void) qms_event_write(call, &event);
	return answer_customer(call, contact.organization_id, customer_id, NULL, 0);
}
