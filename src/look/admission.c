/*
 * admission.c
 *		What the gateway asks about people: may this token connect, may it read
 *		that channel?  Many questions at once, each answered by a code of the
 *		client protocol; asked again, it is a new look.
 *
 * The gateway believes no token and knows no rights.  Whom a token names, and
 * what he may read, is found out as for PostgREST and events_since, without
 * becoming him: the session stays its own.  A token must name a role that the
 * session could SET ROLE to.
 *
 * Each question is a subtransaction, so nothing that one of them meets can take
 * the others along.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#define MAX_CLAIMED_CHANNELS 100

/* Codes of the protocol: errors, and from 3000 on what ends a connection. */
enum
{
	FINE = 0,
	INTERNAL_ERROR = 100,
	UNKNOWN_CHANNEL = 102,
	PERMISSION_DENIED = 103,
	BAD_REQUEST = 107,
	TOKEN_EXPIRED = 109,
	INVALID_TOKEN = 3500
};

/* In the order of qms_internal.gateway_check. */
enum
{
	R_n, R_code, R_message, R_temporary, R_expires_at, R_organization_id, R_subject, R_role, R_channels,
	R_canonical, R_COLUMNS
};

/* Whom a token names. */
typedef struct Person
{
	uint64		key;			/* hash key: of the token */
	char	   *token;			/* NULL: without one */
	int			code;			/* FINE, TOKEN_EXPIRED or INVALID_TOKEN */
	QmsPrincipal who;
	QmsReach	reach;			/* of his right to events_since */
	char	   *subject;
	Jsonb	   *claims;
} Person;

typedef struct Owner
{
	QmsChannel	channel;		/* hash key */
	QmsChannelOwner owner;
} Owner;

typedef struct Admission
{
	QmsCall    *call;
	MemoryContext context;		/* of the batch */
	HTAB	   *people;
	HTAB	   *owners;
	bool		has_failed;		/* somebody has been told of it */
} Admission;

typedef struct Answer
{
	int			code;
	const Person *person;		/* NULL: not known */
	char	   *canonical;
	Datum	   *channels;
	int			nchannels;
} Answer;

static QmsFunction events_since = {"events_since", QMS_ACT_PUBLIC, 0, NULL, 0, 0};
static QmsFunction visit_status = {"visit_status", QMS_ACT_TOKEN, 0, NULL, 0, 0};

static const char *
message_of(int code)
{
	switch (code)
	{
		case FINE:
			return NULL;
		case UNKNOWN_CHANNEL:
			return "unknown channel";
		case PERMISSION_DENIED:
			return "permission denied";
		case BAD_REQUEST:
			return "bad request";
		case TOKEN_EXPIRED:
			return "token expired";
		case INVALID_TOKEN:
			return "invalid token";
		default:
			return "internal server error";
	}
}

/* ---- people ---- */

/*
 * The role of a request: as its token says, customers without a word.
 * InvalidOid if the session could not become it, and for those above everybody.
 */
static Oid
role_of(const Jsonb *claims)
{
	char	   *name = claims ? qms_jsonb_text(claims, "role") : NULL;
	Oid			role;

	if (claims != NULL && name == NULL && qms_jsonb_has(claims, "role"))
		return InvalidOid;
	role = get_role_oid(name ? name : "qms_customer", true);
	if (!OidIsValid(role) || superuser_arg(role) || !is_member_of_role(GetSessionUserId(), role))
		return InvalidOid;
	return role;
}

static void
read_person(const Admission *admission, Person *person)
{
	const char *why = NULL;
	Oid			role;

	if (person->token != NULL)
		person->claims = qms_jwt_verify("jwt", person->token, &why);
	if (person->token != NULL && person->claims == NULL)
	{
		person->code = why == qms_jwt_expired ? TOKEN_EXPIRED : INVALID_TOKEN;
		return;
	}
	person->code = INVALID_TOKEN;
	role = role_of(person->claims);
	if (!OidIsValid(role))
		return;
	qms_principal_of_claims(&person->who, person->claims, role);
	/* Within the leeway of two clocks a token is still good, but what it gives has ended. */
	if (person->who.until <= admission->call->now)
		person->code = TOKEN_EXPIRED;
	else if (person->who.kind != QMS_NOBODY && person->who.reach != NULL)
	{
		person->code = FINE;
		person->reach = qms_rights_reach(&person->who, &events_since);
		person->subject = person->claims ? qms_jsonb_text(person->claims, "sub") : NULL;
	}
}

/* Whom a token (NULL: none) names; the same one is read once in a batch. */
static const Person *
find_person(Admission *admission, char *token)
{
	Person		read = {0};
	Person	   *entry;
	bool		found;
	MemoryContext old;

	read.key = token ? hash_bytes_extended((unsigned char *) token, strlen(token), 1) : 0;
	entry = hash_search(admission->people, &read.key, HASH_FIND, &found);
	if (found && (entry->token == NULL) == (token == NULL) && (token == NULL || strcmp(entry->token, token) == 0))
		return entry;
	old = MemoryContextSwitchTo(admission->context);
	read.token = token ? pstrdup(token) : NULL;
	read_person(admission, &read);
	entry = hash_search(admission->people, &read.key, HASH_ENTER, &found);
	*entry = read;
	MemoryContextSwitchTo(old);
	return entry;
}

/* ---- channels ---- */

static const QmsChannelOwner *
find_owner(Admission *admission, const QmsChannel *channel)
{
	Owner		read = {.channel = *channel};
	Owner	   *entry;
	bool		found;

	entry = hash_search(admission->owners, channel, HASH_FIND, &found);
	if (found)
		return &entry->owner;
	qms_channel_owner(channel, &read.owner);
	entry = hash_search(admission->owners, channel, HASH_ENTER, &found);
	entry->owner = read.owner;
	return &entry->owner;
}

/* Has he shown the token of that visit, and may he use it? */
static bool
has_visit_token(Admission *admission, const Person *person, const QmsChannel *channel, const char *text)
{
	QmsTicketToken token;
	int64		organization_id;
	int64		visit_id;
	int64		nonce;
	int			kid;
	const uint8 *secret;

	if (text == NULL || qms_types_token_decode(text, &token) != QMS_RULE_KEPT)
		return false;
	qms_types_token_unpack(&token, &organization_id, &visit_id, &kid, &secret);
	if (visit_id != channel->id || qms_rights_reach(&person->who, &visit_status) <= QMS_REACH_GRANT ||
		(person->who.organization_id != 0 && person->who.organization_id != organization_id))
		return false;
	return qms_token_nonce_of_visit(visit_id, &nonce) && qms_token_check(&token, nonce) &&
		!find_owner(admission, channel)->is_deleted;
}

/* The code for reading a channel; its name goes to *canonical when it may be read. */
static int
check_channel(Admission *admission, const Person *person, const char *name, const char *visit_token, char **canonical)
{
	QmsCall		call = {.who = &person->who, .reach = person->reach, .now = admission->call->now};
	QmsChannel	channel;
	QmsVerdict	verdict = QMS_DENIED;
	const char *outside;

	if (!qms_channel_find(name, &channel))
		return UNKNOWN_CHANNEL;
	if (channel.kind == QMS_CHANNEL_VISIT && has_visit_token(admission, person, &channel, visit_token))
		verdict = QMS_ALLOWED;
	else if (person->reach > QMS_REACH_GRANT && qms_channel_is_for(&call, &channel))
		verdict = qms_channel_verdict(&call, &channel, find_owner(admission, &channel), &outside);
	if (verdict == QMS_ALLOWED)
		*canonical = qms_channel_name(&channel);
	return verdict == QMS_ALLOWED ? FINE : verdict == QMS_UNKNOWN ? UNKNOWN_CHANNEL : PERMISSION_DENIED;
}

/* A refusal is counted and comes into the event log, as that of a call does. */
static void
note_refusal(const Person *person, const char *address)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("qms.client_address", address ? address : "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	qms_refusal_note(events_since.name, &person->who, ERRCODE_INSUFFICIENT_PRIVILEGE);
	AtEOXact_GUC(true, nestlevel);
}

/* ---- questions ---- */

/* Channels that the token names, those only that he may read. */
static void
take_claimed_channels(Admission *admission, Answer *answer)
{
	Jsonb	   *list = answer->person->claims ? qms_jsonb_object(answer->person->claims, "channels") : NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	if (list == NULL || !JB_ROOT_IS_ARRAY(list))
		return;
	answer->channels = palloc(sizeof(Datum) * MAX_CLAIMED_CHANNELS);
	it = JsonbIteratorInit(&list->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE && answer->nchannels < MAX_CLAIMED_CHANNELS)
	{
		char	   *canonical = NULL;

		if (token != WJB_ELEM || v.type != jbvString)
			continue;
		if (check_channel(admission, answer->person, pnstrdup(v.val.string.val, v.val.string.len), NULL, &canonical) == FINE)
			answer->channels[answer->nchannels++] = CStringGetTextDatum(canonical);
	}
}

static void
answer_question(Admission *admission, const Jsonb *question, Answer *answer)
{
	char	   *what = qms_jsonb_text(question, "do");
	char	   *channel = qms_jsonb_text(question, "channel");
	Jsonb	   *data = qms_jsonb_object(question, "data");
	bool		subscribes = what != NULL && strcmp(what, "subscribe") == 0;

	answer->code = BAD_REQUEST;
	if (what == NULL || (!subscribes && strcmp(what, "connect") != 0) || (subscribes && channel == NULL))
		return;
	answer->person = find_person(admission, qms_jsonb_text(question, "token"));
	answer->code = answer->person->code;
	if (!subscribes && answer->code == FINE)
		take_claimed_channels(admission, answer);
	if (!subscribes)
		return;
	/* Within a connection a token that is none any more takes rights away, no more. */
	if (answer->code == INVALID_TOKEN)
		answer->code = PERMISSION_DENIED;
	if (answer->code != FINE)
		return;
	answer->code = check_channel(admission, answer->person, channel, data ? qms_jsonb_text(data, "token") : NULL,
								 &answer->canonical);
	if (answer->code == PERMISSION_DENIED)
		note_refusal(answer->person, qms_jsonb_text(question, "address"));
}

/* Errors that are not about the question: the whole statement ends. */
static bool
ends_all(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_OPERATOR_INTERVENTION || class == ERRCODE_INSUFFICIENT_RESOURCES;
}

/* A question that met an error: the person may try again, and the log says what it was, once in a batch. */
static void
note_failure(Admission *admission, const ErrorData *error)
{
	if (!admission->has_failed)
		ereport(LOG,
				(errmsg("could not answer a question of the gateway: %s", error->message),
				 error->detail ? errdetail_log("%s", error->detail) : 0,
				 errhidestmt(true)));
	admission->has_failed = true;
}

/* A question, and where its answer goes. */
typedef struct Asked
{
	Admission  *admission;
	const Jsonb *question;
	Answer	   *answer;
} Asked;

static void
answer_asked(void *arg)
{
	Asked	   *asked = arg;

	answer_question(asked->admission, asked->question, asked->answer);
}

static void
answer_safely(Admission *admission, const Jsonb *question, Answer *answer)
{
	Asked		asked = {admission, question, answer};
	ErrorData  *error;

	memset(answer, 0, sizeof(*answer));
	error = qms_try(answer_asked, &asked);
	if (error == NULL)
		return;
	if (ends_all(error->sqlerrcode))
		ReThrowError(error);
	note_failure(admission, error);
	memset(answer, 0, sizeof(*answer));
	answer->code = INTERNAL_ERROR;
}

static void
answer_row(Admission *admission, int n, bool has_number, const Answer *answer)
{
	const Person *person = answer->person && answer->person->code == FINE ? answer->person : NULL;
	Datum		values[R_COLUMNS] = {0};
	bool		nulls[R_COLUMNS] = {false};

	nulls[R_n] = !has_number;
	values[R_n] = Int32GetDatum(n);
	values[R_code] = Int32GetDatum(answer->code);
	qms_look_set_text(values, nulls, R_message, message_of(answer->code));
	values[R_temporary] = BoolGetDatum(answer->code == INTERNAL_ERROR);
	nulls[R_expires_at] = person == NULL || person->who.until == DT_NOEND;
	if (!nulls[R_expires_at])
		values[R_expires_at] = Int64GetDatum(qms_unix_seconds(person->who.until));
	nulls[R_organization_id] = person == NULL || person->who.organization_id == 0;
	if (!nulls[R_organization_id])
		values[R_organization_id] = Int64GetDatum(person->who.organization_id);
	qms_look_set_text(values, nulls, R_subject, person ? person->subject : NULL);
	qms_look_set_text(values, nulls, R_role, person ? qms_role_name(person->who.column) : NULL);
	values[R_channels] = PointerGetDatum(construct_array(answer->channels, answer->nchannels, TEXTOID, -1, false, TYPALIGN_INT));
	qms_look_set_text(values, nulls, R_canonical, answer->canonical);
	qms_answer_row(admission->call, values, nulls);
}

/* The number of a question, which the answer has again. */
static bool
read_number(const Jsonb *question, int32 *n)
{
	JsonbValue	buffer;
	JsonbValue *v = JB_ROOT_IS_OBJECT(question) ?
		getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &question->root), "n", 1, &buffer) : NULL;
	bool		failed = false;

	*n = 0;
	if (v == NULL || v->type != jbvNumeric)
		return false;
	*n = numeric_int4_opt_error(v->val.numeric, &failed);
	return !failed;
}

static HTAB *
make_table(const Admission *admission, const char *name, Size keysize, Size entrysize)
{
	HASHCTL		ctl = {.keysize = keysize, .entrysize = entrysize, .hcxt = admission->context};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Each question of an array, in a context of its own. */
static void
answer_all(Admission *admission, Jsonb *questions)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext one = AllocSetContextCreate(old, "qms question", ALLOCSET_DEFAULT_SIZES);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	it = JsonbIteratorInit(&questions->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		Jsonb	   *question;
		Answer		answer;
		int32		n;
		bool		has_number;

		if (token != WJB_ELEM)
			continue;
		MemoryContextSwitchTo(one);
		question = JsonbValueToJsonb(&v);
		has_number = read_number(question, &n);
		answer_safely(admission, question, &answer);
		answer_row(admission, n, has_number, &answer);
		MemoryContextSwitchTo(old);
		MemoryContextReset(one);
	}
	MemoryContextDelete(one);
}

PG_FUNCTION_INFO_V1(qms_gateway_check);

Datum
qms_gateway_check(PG_FUNCTION_ARGS)
{
	static const QmsFunction function = {.name = "gateway_check", .flags = QMS_SETOF};
	QmsCall		call;
	Admission	admission = {.call = &call};

	qms_feed_begin(&call, fcinfo, &function);
	admission.context = CurrentMemoryContext;
	admission.people = make_table(&admission, "qms people", sizeof(uint64), sizeof(Person));
	admission.owners = make_table(&admission, "qms owners", sizeof(QmsChannel), sizeof(Owner));
	if (!PG_ARGISNULL(0))
	{
		Jsonb	   *questions = PG_GETARG_JSONB_P(0);

		if (!JB_ROOT_IS_ARRAY(questions) || JB_ROOT_IS_SCALAR(questions))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("requests must be an array"),
					 errhint("For instance [{\"n\": 1, \"do\": \"connect\", \"token\": null}].")));
		answer_all(&admission, questions);
	}
	return qms_feed_end(&call);
}
