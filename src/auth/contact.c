/*
 * contact.c
 *		Contacts as they are stored, and how a sealed one is found.
 *
 * A contact is {kind: address}; stored, it is {"sealed": text, "find": [key, ...]}.
 * A key is an HMAC of one address in its plainest form (a phone number's digits,
 * an e-mail address in lower case), under a key of its own: who has the number
 * can find it, who has the table learns only which rows share one.
 */
#include "auth/auth.h"

#include <openssl/evp.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/base64.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/numeric.h"

#define MAX_FIND_KEYS	8		/* of one contact; the others are not found by */
#define FIND_KEY_BYTES	12
#define LEAST_PHONE		5		/* digits; shorter ones are no phone number */
#define LEAST_PIECE		3		/* of one */

/* Only the digits, if there are so many; NULL for what has anything else than a phone number has. */
static char *
digits_of(const char *text, int least)
{
	char	   *digits = palloc(strlen(text) + 1);
	int			n = 0;

	for (; *text != '\0'; text++)
	{
		if (*text >= '0' && *text <= '9')
			digits[n++] = *text;
		else if (strchr(" +-/.()", *text) == NULL)
			return NULL;
	}
	digits[n] = '\0';
	return n < least ? NULL : digits;
}

/* A phone number's digits.  0049... is +49...; what a single 0 stands for only the place knows. */
static char *
phone_of(const char *text)
{
	char	   *digits = digits_of(text, LEAST_PHONE);

	return digits != NULL && strncmp(digits, "00", 2) == 0 ? digits + 2 : digits;
}

/* Lower case, without spaces around it, and single ones inside. */
static char *
plain_of(const char *text)
{
	char	   *lower = str_tolower(text, strlen(text), DEFAULT_COLLATION_OID);
	char	   *to = lower;
	const char *from;

	for (from = lower; *from != '\0'; from++)
	{
		if (!isspace((unsigned char) *from))
			*to++ = *from;
		else if (to > lower && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > lower && to[-1] == ' ')
		to--;
	*to = '\0';
	return lower;
}

/* An address as it is looked for; what kind it is is part of it. */
static char *
address_of(const char *text)
{
	char	   *phone = phone_of(text);

	return phone ? psprintf("phone:%s", phone) :
		psprintf("%s:%s", strchr(text, '@') ? "mail" : "text", plain_of(text));
}

/* A context that is ready to compute HMAC-SHA256 with this key; the last one is kept, since making one costs more than using it. */
static EVP_MD_CTX *
hmac_context(const QmsSealKey *key)
{
	static EVP_MD_CTX *context = NULL;
	static QmsSealKey kept;
	EVP_PKEY   *pkey;
	bool		good;

	if (context != NULL && memcmp(kept.secret, key->secret, QMS_SEAL_KEY_SIZE) == 0)
		return context;
	EVP_MD_CTX_free(context);
	context = EVP_MD_CTX_new();
	pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key->secret, QMS_SEAL_KEY_SIZE);
	good = context != NULL && pkey != NULL && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1;
	EVP_PKEY_free(pkey);
	if (!good)
	{
		EVP_MD_CTX_free(context);
		context = NULL;
	}
	kept = *key;
	return context;
}

static void
compute_hmac(const QmsSealKey *key, const char *message, uint8 *digest, size_t size)
{
	static EVP_MD_CTX *work = NULL;
	EVP_MD_CTX *ready = hmac_context(key);

	if (work == NULL)
		work = EVP_MD_CTX_new();
	if (ready == NULL || work == NULL || EVP_MD_CTX_copy_ex(work, ready) != 1 ||
		EVP_DigestSign(work, digest, &size, (const uint8 *) message, strlen(message)) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a key to find by")));
}

static char *
find_key(const QmsSealKey *key, int64 organization_id, const char *what)
{
	char	   *message = psprintf("qms:find:%lld:%s", (long long) organization_id, what);
	uint8		digest[EVP_MAX_MD_SIZE];
	int			room = pg_b64_enc_len(FIND_KEY_BYTES);
	char	   *result = palloc(16 + room);
	int			head = sprintf(result, "%c%d.", key->source, key->kid);
	int			done;

	compute_hmac(key, message, digest, sizeof(digest));
	done = pg_b64_encode((char *) digest, FIND_KEY_BYTES, result + head, room);
	result[head + done] = '\0';
	return result;
}

static const QmsSealKey *
index_key_needed(void)
{
	const QmsSealKey *key = qms_seal_key_current(QMS_SEAL_INDEX);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NO_SEAL_KEY),
				 errmsg("there is no key to find personal data by"),
				 errdetail("Nothing personal is stored without one."),
				 errhint("Call qms.rotate_seal_key('seal_index'), or put one into the file of qms.seal_key_file.")));
	return key;
}

/* The text of a value that is an address; NULL for others. */
static char *
text_of_value(const JsonbValue *v)
{
	if (v->type == jbvString)
		return pnstrdup(v->val.string.val, v->val.string.len);
	if (v->type == jbvNumeric)
		return numeric_normalize(v->val.numeric);
	return NULL;
}

/* Calls a function with each address of a contact until it answers true. */
static bool
each_address(const Jsonb *contact, bool (*function) (const char *address, void *arg), void *arg)
{
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &contact->root));
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
	{
		char	   *text = token == WJB_VALUE || token == WJB_ELEM ? text_of_value(&v) : NULL;

		if (text != NULL && *text != '\0' && function(text, arg))
			return true;
	}
	return false;
}

typedef struct FindKeys
{
	const QmsSealKey *key;
	int64		organization_id;
	char	   *keys[MAX_FIND_KEYS];
	int			n;
} FindKeys;

static bool
add_find_key(const char *address, void *arg)
{
	FindKeys   *found = arg;

	if (found->n < MAX_FIND_KEYS)
		found->keys[found->n++] = find_key(found->key, found->organization_id, address_of(address));
	return found->n == MAX_FIND_KEYS;
}

static void
collect_keys(FindKeys *found, int64 organization_id, const Jsonb *contact)
{
	found->key = index_key_needed();
	found->organization_id = organization_id;
	found->n = 0;
	if (contact != NULL)
		(void) each_address(contact, add_find_key, found);
}

/* A contact as it is to be stored. */
Jsonb *
qms_contact_seal(const QmsSealPlace *place, const Jsonb *contact)
{
	FindKeys	found;
	QmsJson		json;
	int			i;

	if (contact == NULL)
		return NULL;
	if (qms_jsonb_has(contact, "sealed"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a contact must not have the key \"sealed\""),
				 errdetail("It marks contacts that are stored sealed."),
				 errhint("Give it as {\"phone\": \"+49 30 1234\"}.")));
	if (!qms_seal_is_on())
		return unconstify(Jsonb *, contact);
	collect_keys(&found, place->organization_id, contact);
	qms_json_begin(&json);
	qms_json_text(&json, "sealed",
				  qms_seal_text(place, JsonbToCString(NULL, unconstify(JsonbContainer *, &contact->root), VARSIZE(contact))));
	if (found.n > 0)
		qms_json_begin_array(&json, "find");
	for (i = 0; i < found.n; i++)
		qms_json_element_text(&json, found.keys[i]);
	if (found.n > 0)
		qms_json_end_array(&json);
	return qms_json_end(&json);
}

/* A stored contact in clear; one that was never sealed as it is. */
Jsonb *
qms_contact_open(const QmsSealPlace *place, const Jsonb *stored, bool raise)
{
	char	   *sealed;
	char	   *clear;

	if (stored == NULL)
		return NULL;
	sealed = qms_jsonb_text(stored, "sealed");
	if (sealed == NULL)
		return unconstify(Jsonb *, stored);
	clear = qms_seal_open_text(place, sealed, raise);
	return clear ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(clear))) : NULL;
}

/* Was a key to find by made with the index key of now? */
static bool
is_current(const char *find_key)
{
	const QmsSealKey *key = index_key_needed();
	char	   *head = psprintf("%c%d.", key->source, key->kid);

	return strncmp(find_key, head, strlen(head)) == 0;
}

/* Is it as a new one would be stored: sealed, and both with the keys of now? */
bool
qms_contact_is_current(const Jsonb *stored)
{
	char	   *sealed = qms_jsonb_text(stored, "sealed");
	Jsonb	   *find = qms_jsonb_object(stored, "find");
	JsonbValue *first;

	if (sealed == NULL || !qms_seal_is_current(sealed))
		return false;
	if (find == NULL)
		return true;
	first = getIthJsonbValueFromContainer(&find->root, 0);
	return first != NULL && first->type == jbvString &&
		is_current(pnstrdup(first->val.string.val, first->val.string.len));
}

/* ... and these text[] of a customer? */
bool
qms_contact_keys_are_current(Datum keys)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(keys), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	return n == 0 || is_current(TextDatumGetCString(elements[0]));
}

/* text[] of what a name (or NULL) and a contact (or NULL) can be found by. */
Datum
qms_contact_keys(int64 organization_id, const Jsonb *contact, const char *name)
{
	FindKeys	found;
	Datum		values[MAX_FIND_KEYS + 1];
	int			i;

	if (!qms_seal_is_on())
		return PointerGetDatum(construct_empty_array(TEXTOID));
	collect_keys(&found, organization_id, contact);
	for (i = 0; i < found.n; i++)
		values[i] = CStringGetTextDatum(found.keys[i]);
	if (name != NULL)
		values[i++] = CStringGetTextDatum(find_key(found.key, organization_id, psprintf("name:%s", plain_of(name))));
	return PointerGetDatum(construct_array(values, i, TEXTOID, -1, false, TYPALIGN_INT));
}

/* text[] of the keys that a text would be stored under: as an address and, if wanted, as a name. */
Datum
qms_contact_search(int64 organization_id, const char *text, bool names)
{
	ArrayBuildState *array = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	char	   *address = address_of(text);
	char	   *name = psprintf("name:%s", plain_of(text));
	const QmsSealKey *key;
	int			i;

	/* All keys there are: what is stored may be older than the newest. */
	for (i = 0; (key = qms_seal_key_number(QMS_SEAL_INDEX, i)) != NULL; i++)
	{
		array = accumArrayResult(array, CStringGetTextDatum(find_key(key, organization_id, address)), false,
								 TEXTOID, CurrentMemoryContext);
		if (names)
			array = accumArrayResult(array, CStringGetTextDatum(find_key(key, organization_id, name)), false,
									 TEXTOID, CurrentMemoryContext);
	}
	return makeArrayResult(array, CurrentMemoryContext);
}

/* What is looked for; allocated in the current memory context. */
void
qms_piece_make(QmsPiece *piece, const char *text)
{
	char	   *digits = digits_of(text, LEAST_PIECE);

	piece->plain = plain_of(text);
	/* 0170... is a piece of +49170... */
	piece->digits = digits ? digits + strspn(digits, "0") : NULL;
	if (piece->digits != NULL && strlen(piece->digits) < LEAST_PIECE)
		piece->digits = NULL;
}

/* Has a name or address this piece of text, in any case, or this piece of a phone number? */
bool
qms_piece_in_text(const QmsPiece *piece, const char *text)
{
	char	   *phone;

	if (*piece->plain == '\0')
		return false;
	if (strstr(plain_of(text), piece->plain) != NULL)
		return true;
	phone = piece->digits ? phone_of(text) : NULL;
	return phone != NULL && strstr(phone, piece->digits) != NULL;
}

static bool
has_piece(const char *address, void *arg)
{
	return qms_piece_in_text(arg, address);
}

/* ... and a contact in clear? */
bool
qms_piece_in_contact(const QmsPiece *piece, const Jsonb *contact)
{
	return each_address(contact, has_piece, unconstify(QmsPiece *, piece));
}
