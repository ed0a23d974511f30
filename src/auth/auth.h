/*
 * auth.h
 *		The gate: every SQL-callable function passes it first.  It finds out who
 *		calls, whether he may do this kind of thing at all, opens SPI, answers a
 *		repeated request_id, and hands over to the body.
 */
#ifndef QMS_AUTH_H
#define QMS_AUTH_H

#include "base/base.h"
#include "config/config.h"
#include "types/types.h"

#include "funcapi.h"
#include "utils/uuid.h"

typedef enum QmsPrincipalKind
{
	QMS_NOBODY = 0,
	QMS_SUPERUSER,				/* acts directly, in every organization */
	QMS_ADMIN,
	QMS_STAFF,
	QMS_APPLICATION,
	QMS_KIOSK,
	QMS_DISPLAY,
	QMS_CUSTOMER
} QmsPrincipalKind;

/* The columns of qms.permission; what a principal is for the question of what he may do. */
typedef enum QmsRole
{
	QMS_ROLE_SUPER_ADMIN,
	QMS_ROLE_ADMIN,
	QMS_ROLE_APP_ADMIN,
	QMS_ROLE_RECEPTION,
	QMS_ROLE_CALLER,
	QMS_ROLE_SERVICER,
	QMS_ROLE_DISPLAY,
	QMS_ROLE_KIOSK,
	QMS_ROLE_CUSTOMER,
	QMS_ROLE_APPLICATION,
	QMS_ROLES
} QmsRole;

/* How far a right goes, the farther the larger. */
typedef enum QmsReach
{
	QMS_REACH_NO,
	QMS_REACH_GRANT,			/* not without a grant of his own */
	QMS_REACH_OWN,				/* an application's own queues, tickets of one's own counter */
	QMS_REACH_LIMITED,			/* queues that he is limited to, or that his counter serves */
	QMS_REACH_PUBLIC,			/* what is public, of any organization for somebody without one */
	QMS_REACH_YES,				/* his organization, and there his branches and queues */
	QMS_REACH_ALL				/* every organization */
} QmsReach;

typedef struct QmsPrincipal
{
	QmsPrincipalKind kind;
	const char *kind_name;		/* as in event.actor_kind */
	int64		id;				/* staff, application, device or customer, else 0 */
	int64		organization_id;	/* 0: any (superuser), or none (anonymous) */
	const char *role;			/* staff role or database role, as in event.actor_role */
	QmsRole		column;			/* of qms.permission */
	const char *via;			/* how it was found: superuser, binding, claims, act_as */
	int64		session_id;		/* of a login, or 0 */
	int64		api_key_id;		/* or 0 */
	int			nbranches;		/* 0: all of the organization */
	int64	   *branch_ids;
	int			nqueues;		/* 0: all of those */
	int64	   *queue_ids;
	int			napplications;	/* of an app_admin; 0: all of the organization */
	int64	   *application_ids;
	uint8	   *reach;			/* by function, see rights.c */
	TimestampTz until;			/* claims expire; else DT_NOEND */
	const char *refusal;		/* of nobody: why, or NULL */
} QmsPrincipal;

/* What a function does, for the table of who may do what in gate.c. */
typedef enum QmsAction
{
	QMS_ACT_INSTALL,			/* organizations themselves */
	QMS_ACT_SETUP,				/* configuration */
	QMS_ACT_JOIN,				/* join a queue */
	QMS_ACT_TOKEN,				/* one's own ticket, by its token */
	QMS_ACT_RECEPTION,			/* other people's tickets at the desk */
	QMS_ACT_COUNTER,			/* work at a counter */
	QMS_ACT_LOOK,				/* what staff see */
	QMS_ACT_PERSONAL,			/* customers */
	QMS_ACT_AUDIT,				/* the event log, and what is to be forgotten */
	QMS_ACT_PUBLIC,				/* what everybody in the organization may see */
	QMS_ACT_SIGN_IN,			/* to show a secret, and be told who one is */
	QMS_ACT_ENTRY,				/* to let people in who have been released */
	QMS_ACT_MANY
} QmsAction;

#define QMS_MUTATES 1			/* last argument is request_id */
#define QMS_SETOF	2			/* materialized rows */
#define QMS_AS_HIMSELF 4		/* whoever the session acts as */
#define QMS_PERSONAL 8			/* of its answer not only the contact is personal */
#define QMS_STREAMS 16			/* rows one by one as they are asked for: the body answers a QmsRows */

struct QmsCall;
typedef Datum (*QmsBody) (struct QmsCall *call);

typedef struct QmsFunction
{
	const char *name;
	QmsAction	action;
	int			flags;
	QmsBody		body;
	int			right;			/* its row of qms.permission, */
	uint64		right_version;	/* as of this reading of the table */
} QmsFunction;

typedef struct QmsCall
{
	FunctionCallInfo fcinfo;
	const QmsFunction *function;
	const QmsPrincipal *who;
	QmsReach	reach;			/* of his right to this function */
	TimestampTz now;
	MemoryContext result_context;
	bool		has_request;
	pg_uuid_t	request_id;
	/* the row to be answered, for the request table */
	HeapTuple	answer;
	TupleDesc	answer_desc;
	int64		answer_organization;
	const struct QmsActor *actor;	/* from where, if not from this session; see events.h */
	const char *secret_seed;	/* of the key or pairing_code in the answer; see secret.c */
} QmsCall;

/*
 * Defines an SQL-callable function: qms_<name> is the gate's entry, and the
 * block that follows is the body, which cannot be reached in another way.
 */
#define QMS_FUNCTION(name_, action_, flags_) \
	static Datum name_##_body(QmsCall *call); \
	static QmsFunction name_##_function = {#name_, action_, flags_, name_##_body, 0, 0}; \
	PG_FUNCTION_INFO_V1(qms_##name_); \
	Datum qms_##name_(PG_FUNCTION_ARGS) { return qms_gate_call(fcinfo, &name_##_function); } \
	static Datum name_##_body(QmsCall *call)

/* principal.c */
extern const QmsPrincipal *qms_principal_current(void);
extern bool qms_principal_is_known(void);	/* then qms_principal_current needs no SPI */
extern const QmsPrincipal *qms_principal_himself(void);
extern void qms_principal_of_claims(QmsPrincipal *who, const Jsonb *claims, Oid active);
extern void qms_principal_act_as(QmsPrincipalKind kind, int64 id);
extern const char *qms_principal_kind_name(QmsPrincipalKind kind);
extern QmsPrincipalKind qms_principal_kind_by_name(const char *name);
extern MemoryContext qms_principal_context(void);	/* of what a principal points to */
extern void qms_principal_read_ids(int64 **ids, int *n, int column);
extern bool qms_principal_read_staff(QmsPrincipal *who, int64 staff_id, int64 organization_id, const QmsRole *narrowed);
extern bool qms_principal_read_application(QmsPrincipal *who, int64 application_id, int64 organization_id);

/* claims.c */
extern bool qms_session_speaks_for_others(void);
extern const char *qms_claims_text(void);	/* NULL: they do not count in this session */
extern void qms_claims_read(QmsPrincipal *who, const char *text, Oid active);
extern void qms_claims_apply(QmsPrincipal *who, const Jsonb *claims, Oid active);

/* rights.c */
extern void qms_rights_refresh(void);
extern uint64 qms_rights_version(void);
extern uint8 *qms_rights_of(MemoryContext context, QmsRole role, const Jsonb *permissions);
extern void qms_rights_keep_only(uint8 *reach, Datum functions);
extern QmsReach qms_rights_reach(const QmsPrincipal *who, QmsFunction *function);
extern void qms_rights_check_permissions(const QmsPrincipal *who, const Jsonb *permissions);
extern const char *qms_role_name(QmsRole role);
extern bool qms_role_by_name(const char *name, QmsRole *role);

/* What a call is about; ids of 0: it is in none. */
typedef struct QmsObject
{
	const char *what;
	int64		id;
	int64		organization_id;
	int64		branch_id;
	int64		application_id;
	int64		queue_id;
	int64		staff_id;		/* whose it is */
} QmsObject;

typedef enum QmsVerdict
{
	QMS_ALLOWED,
	QMS_UNKNOWN,				/* not there, or of another organization */
	QMS_DENIED
} QmsVerdict;

/* gate.c */
extern Datum qms_gate_call(FunctionCallInfo fcinfo, QmsFunction *function);
extern QmsVerdict qms_gate_verdict(const QmsCall *call, const QmsObject *object, const char **outside);
extern void qms_gate_object(QmsCall *call, const QmsObject *object);
extern void qms_gate_administers(QmsCall *call, const QmsObject *object);
extern bool qms_gate_sees_object(const QmsCall *call, const QmsObject *object);
extern void qms_gate_organization(QmsCall *call, int64 organization_id, const char *what, int64 id);
extern void qms_gate_branch(QmsCall *call, int64 organization_id, int64 branch_id, const char *what, int64 id);
struct QmsQueue;
extern void qms_gate_queue(QmsCall *call, const struct QmsQueue *queue);
extern bool qms_gate_is_anonymous(const QmsCall *call);
extern bool qms_gate_sees_branch(QmsCall *call, int64 organization_id, int64 branch_id);
extern void qms_gate_refresh(void); /* remembered things are as new as this call */
extern bool qms_gate_sees_hidden(const QmsCall *call);
extern bool qms_gate_is_staff(const QmsCall *call);	/* superuser, admin, staff or application */
extern pg_attribute_noreturn() void qms_not_found(const char *what, int64 id);

/* arguments.c: of the call, by number from 0; "needed" ones raise when null */
extern bool qms_arg_isnull(QmsCall *call, int n);
extern int64 qms_arg_id(QmsCall *call, int n, const char *name);	/* needed, > 0 */
extern int64 qms_arg_id_or_0(QmsCall *call, int n, const char *name);
extern char *qms_arg_text(QmsCall *call, int n, const char *name);	/* needed, not empty */
extern char *qms_arg_text_or_null(QmsCall *call, int n);
extern int32 qms_arg_int32(QmsCall *call, int n, int32 if_null);
extern bool qms_arg_bool(QmsCall *call, int n, bool if_null);
extern TimestampTz qms_arg_time(QmsCall *call, int n);	/* QMS_NO_TIME if null */
extern Jsonb *qms_arg_jsonb(QmsCall *call, int n, const char *name);	/* NULL if null; limited size */
extern char *qms_arg_clean_name(const char *value, const char *what);
extern pg_attribute_noreturn() void qms_arg_choice_error(const char *name, const char *value, const char *choices);

/* answer.c: results */
extern Datum qms_answer_tuple(QmsCall *call, const Datum *values, const bool *nulls);
extern void qms_answer_row(QmsCall *call, const Datum *values, const bool *nulls);	/* of a set */
extern Datum qms_answer_none(QmsCall *call);	/* end of a set; or a null */
extern TupleDesc qms_answer_desc(QmsCall *call);
extern int	qms_answer_column(QmsCall *call, const char *name);

/* request.c: idempotency */
extern bool qms_request_replay(QmsCall *call, Datum *result);
extern void qms_request_store(QmsCall *call);
/* What columns called access_token and secret hold, which is not kept; NULL: it is there no more.  See entry. */
extern char *(*qms_request_make_again) (QmsCall *call, const char *column, const Datum *values, const bool *nulls);

/* ---- keys: key_kind.c, key_file.c, signing_key.c ---- */

typedef enum QmsKeyAlgorithm
{
	QMS_KEY_HMAC,
	QMS_KEY_AES,
	QMS_KEY_HS256,
	QMS_KEY_RS256,
	QMS_KEY_ES256,
	QMS_KEY_ALGORITHMS
} QmsKeyAlgorithm;

#define QMS_SYMMETRIC_KEY_SIZE	32
#define QMS_P256_POINT_SIZE		64
#define QMS_MAX_KID				65535

typedef struct QmsKeyPurpose
{
	const char *name;
	int			algorithms;		/* bits */
	QmsKeyAlgorithm first;		/* of the key that is made by itself */
} QmsKeyPurpose;

struct evp_pkey_st;

typedef struct QmsSigningKey
{
	const char *purpose;
	int			kid;
	QmsKeyAlgorithm algorithm;
	TimestampTz active_from;
	TimestampTz expires_at;		/* QMS_NO_TIME: never */
	uint8	   *secret;			/* bytes, or a private key in DER */
	int			size;
	struct evp_pkey_st *pkey;	/* qms_signing_key_pkey() */
	MemoryContext context;		/* of all that it points to */
} QmsSigningKey;

extern const char *qms_key_algorithm_name(QmsKeyAlgorithm algorithm);
extern bool qms_key_algorithm_by_name(const char *name, QmsKeyAlgorithm *algorithm);
extern const QmsKeyPurpose *qms_key_purpose(const char *name);
extern char *qms_key_purpose_names(void);
extern bool qms_key_purpose_allows(const QmsKeyPurpose *purpose, QmsKeyAlgorithm algorithm);
extern bool qms_key_is_symmetric(QmsKeyAlgorithm algorithm);
extern bool qms_key_size_fits(QmsKeyAlgorithm algorithm, int size);
extern bool qms_key_pkey_fits(struct evp_pkey_st *pkey, QmsKeyAlgorithm algorithm);
extern bool qms_key_p256_point(struct evp_pkey_st *pkey, uint8 point[QMS_P256_POINT_SIZE]);
extern bytea *qms_key_new_secret(QmsKeyAlgorithm algorithm);

extern void qms_key_file_define_setting(void);
extern bool qms_key_file_is_set(void);
extern bool qms_key_file_has_changed(void);
extern QmsSigningKey *qms_key_file_read(int *n);
extern pg_attribute_noreturn() void qms_key_file_refuse(const char *why);

/* Valid until the next call of one of these. */
extern const QmsSigningKey *qms_signing_key_at(int n);
extern const QmsSigningKey *qms_signing_key_find(const char *purpose, int kid);
extern const QmsSigningKey *qms_signing_key_current(const char *purpose);
extern bool qms_signing_key_is_live(const QmsSigningKey *key, TimestampTz now);
extern bool qms_signing_key_signs(const QmsSigningKey *key);
extern void qms_signing_key_keep(MemoryContext context, QmsSigningKey *key, const QmsSigningKey *found);
extern struct evp_pkey_st *qms_signing_key_pkey(const QmsSigningKey *key);
extern const char *qms_signing_key_fault(const QmsSigningKey *key);
extern void qms_signing_key_check_table(void);
extern int	qms_signing_key_make(const char *purpose, QmsKeyAlgorithm algorithm, TimestampTz active_from);
extern void qms_signing_key_ensure(const char *purpose);

/* session.c: the end of logins */
extern int	qms_session_revoke_staff(int64 staff_id, TimestampTz now, const char *reason);
extern bool qms_session_revoke(int64 login_session_id, TimestampTz now, const char *reason);

/* jwt.c */
#define QMS_JWT_MAX_SIZE 8192

extern const char qms_jwt_expired[];	/* "why" of a token of ours that is too old */

/* What is wrong with a token. */
typedef enum QmsJwtFault
{
	QMS_JWT_MALFORMED,			/* it is none of ours */
	QMS_JWT_UNKNOWN_KEY,
	QMS_JWT_BAD_SIGNATURE
} QmsJwtFault;

/* The key that a kid names; NULL if there is none that counts now. */
typedef const QmsSigningKey *(*QmsJwtFind) (void *arg, const char *kid);

extern char *qms_jwt_sign(const char *purpose, Jsonb *claims);
extern char *qms_jwt_sign_with(const QmsSigningKey *key, const char *kid, const Jsonb *claims);
extern Jsonb *qms_jwt_verify(const char *purpose, const char *token, const char **why);
extern Jsonb *qms_jwt_read(const char *token, QmsJwtFind find, void *arg, QmsJwtFault *fault, const char **why);

/* jwk.c: public keys as JSON (RFC 7517) and PEM */
extern void qms_jwk_put(QmsJson *json, const QmsSigningKey *key, const char *kid);
extern char *qms_jwk_pem(const QmsSigningKey *key); /* NULL: its key is no public one */

/* strict.c */
extern Jsonb *qms_strict_json(const char *text, int length, const char **why);
extern char *qms_base64url_encode(const uint8 *bytes, int size);
extern uint8 *qms_base64url_decode(const char *text, int length, int *size);

/* token.c: ticket tokens */
extern int64 qms_token_new_nonce(void);
extern void qms_token_make(QmsTicketToken *token, int64 organization_id, int64 visit_id, int64 nonce);
extern bool qms_token_check(const QmsTicketToken *token, int64 nonce);
extern pg_attribute_noreturn() void qms_token_refuse(void);
extern void qms_token_ensure_key(void);
extern bool qms_token_nonce_of_visit(int64 visit_id, int64 *nonce);

/* refusal.c: calls that were refused, until they are in the event log */
typedef struct QmsRefusal
{
	Oid			database;
	int			sqlstate;
	int64		organization_id;
	int64		id;
	int64		api_key_id;
	char		kind_name[NAMEDATALEN];
	char		role[NAMEDATALEN];
	char		session_role[NAMEDATALEN];
	char		application_name[NAMEDATALEN];
	char		function[NAMEDATALEN];
	char		address[NAMEDATALEN];
	uint32		count;
	TimestampTz first_at;
	TimestampTz last_at;
} QmsRefusal;

extern void (*qms_refusal_hook) (TimestampTz due);	/* somebody has to come for it then */
extern void qms_refusal_init(void);
extern void qms_refusal_note(const char *function, const QmsPrincipal *who, int sqlstate);
extern bool qms_refusal_next(TimestampTz now, QmsRefusal *refusal, TimestampTz *due);
extern void qms_refusal_written(const QmsRefusal *refusal);

/* ---- Personal data: how it is stored ---- */
#define QMS_SEAL_KEY_SIZE 32

typedef enum QmsSealPurpose
{
	QMS_SEAL_DATA,				/* AES-256-GCM */
	QMS_SEAL_INDEX,				/* HMAC-SHA256: to find by what is sealed */
	QMS_SEAL_PURPOSES
} QmsSealPurpose;

typedef struct QmsSealKey
{
	char		source;			/* 't'able or 'f'ile */
	QmsSealPurpose purpose;
	int			kid;
	int64		active_from;
	TimestampTz expires_at;		/* seals no more from then on, but opens; QMS_NO_TIME: never */
	uint8		secret[QMS_SEAL_KEY_SIZE];
} QmsSealKey;

/* seal_key.c */
extern void qms_seal_define_settings(void);
extern bool qms_seal_is_on(void);
extern bool qms_seal_key_is_in_file(void);
extern const QmsSealKey *qms_seal_key_current(QmsSealPurpose purpose);
extern const QmsSealKey *qms_seal_key_named(QmsSealPurpose purpose, char source, int kid);
extern const QmsSealKey *qms_seal_key_number(QmsSealPurpose purpose, int n);
extern int	qms_seal_key_make(QmsSealPurpose purpose, TimestampTz active_from);
extern void qms_seal_ensure_keys(void);

/* seal.c: what a value belongs to; it can be opened there only. */
typedef struct QmsSealPlace
{
	int64		organization_id;
	const char *table;
	const char *column;
	int64		id;				/* of the row */
} QmsSealPlace;

extern char *qms_seal_text(const QmsSealPlace *place, const char *clear);
extern char *qms_seal_open_text(const QmsSealPlace *place, const char *sealed, bool raise);
extern bool qms_seal_is_text(const char *value);
extern bool qms_seal_is_current(const char *sealed);
extern bytea *qms_seal(int64 organization_id, const char *purpose, const char *text);
extern char *qms_unseal(int64 organization_id, const char *purpose, const bytea *sealed);

/* contact.c */
extern Jsonb *qms_contact_seal(const QmsSealPlace *place, const Jsonb *contact);
extern Jsonb *qms_contact_open(const QmsSealPlace *place, const Jsonb *stored, bool raise);
extern bool qms_contact_is_current(const Jsonb *stored);
extern bool qms_contact_keys_are_current(Datum keys);
extern Datum qms_contact_keys(int64 organization_id, const Jsonb *contact, const char *name);
extern Datum qms_contact_search(int64 organization_id, const char *text, bool names);

/* A piece of a name or address that is looked for. */
typedef struct QmsPiece
{
	char	   *plain;
	char	   *digits;			/* of a phone number, else NULL */
} QmsPiece;

extern void qms_piece_make(QmsPiece *piece, const char *text);
extern bool qms_piece_in_text(const QmsPiece *piece, const char *text);
extern bool qms_piece_in_contact(const QmsPiece *piece, const Jsonb *contact);
/* HMAC with a key of the server: kid 0 is the one that signs now, and is set; false if there is none. */
#define QMS_HMAC_SIZE 32
extern bool qms_token_hmac(int *kid, const void *message, size_t size, uint8 *digest);

/* secret.c: keys and codes that are shown once */
#define QMS_PREFIX_LENGTH	8
#define QMS_SECRET_TEXT		43
#define QMS_CODE_SIZE		9	/* of a pairing code without its dash */

typedef enum QmsSecretKind
{
	QMS_API_KEY,
	QMS_DEVICE_KEY,
	QMS_PAIRING_CODE,
	QMS_SECRET_KINDS
} QmsSecretKind;

typedef struct QmsSecret
{
	char	   *text;			/* to be shown */
	char		prefix[QMS_PREFIX_LENGTH + 1];	/* to find it by */
	uint8		hash[QMS_HMAC_SIZE];	/* to be kept; not of codes */
	char	   *seed;
} QmsSecret;

extern void qms_secret_make(QmsCall *call, QmsSecretKind kind, QmsSecret *secret);
extern char *qms_secret_again(const char *seed);
extern void qms_secret_hash(const char *text, uint8 *hash);
extern bool qms_secret_prefix(QmsSecretKind kind, const char *text, char *prefix);
extern bool qms_code_normalize(const char *text, char *code, char *prefix);
extern bool qms_code_hash(int *kid, const char *code, int64 device_id, uint8 *hash);

/* address.c: where the caller is */
extern void qms_address_define_settings(void);
extern bool qms_client_network(QmsNetwork *address);
extern const char *qms_client_address(void);	/* NULL: nobody knows */
extern char *qms_client_key(const QmsNetwork *address);
extern char *qms_request_header(const char *name);	/* in small letters */

/* limit.c: how often; kinds are in config.h */
extern void qms_limit_init(void);
extern bool qms_limit_take(QmsLimitKind kind, int64 organization_id, const char *key, int64 *retry_after_usec);
extern bool qms_limit_take_address(QmsLimitKind kind, int64 organization_id, int64 *retry_after_usec);
extern pg_attribute_noreturn() void qms_limit_refuse(QmsLimitKind kind, int64 retry_after_usec);
extern void qms_limit_join(QmsCall *call, int64 organization_id, const char *subject);
extern bool qms_limit_take_of(int64 organization_id, const char *bucket, const QmsLimit *limit, int64 *retry_after_usec);
extern void qms_limit_queue(QmsCall *call, const QmsQueue *queue, const char *subject);
extern void qms_limit_create(QmsCall *call, int64 organization_id, const char *subject);

/* http.c: errors that have a status in HTTP */
typedef struct QmsHttpError
{
	int			status;
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	int64		retry_after;	/* seconds; 0: not said */
} QmsHttpError;

extern pg_attribute_noreturn() void qms_http_error(const QmsHttpError *error);
extern void qms_http_status(int status);	/* of an answer that is no error */

#endif							/* QMS_AUTH_H */
