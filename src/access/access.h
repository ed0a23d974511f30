/*
 * access.h
 *		How people and programs come in, what is kept of people, and who looks
 *		after it: logins, one-time codes, keys, the audit trail, customers.
 *		Functions that are called with SQL; beside setup and look, above events.
 */
#ifndef QMS_ACCESS_H
#define QMS_ACCESS_H

#include "queue/queue.h"

/* Why somebody did not get in, as the functions answer it. */
#define QMS_INVALID_CREDENTIALS	"invalid_credentials"
#define QMS_INVALID_TOKEN		"invalid_token"
#define QMS_INVALID_CODE		"invalid_code"
#define QMS_TOO_MANY_ATTEMPTS	"too_many_attempts"
#define QMS_ACCOUNT_DISABLED	"account_disabled"
#define QMS_TOKEN_REUSED		"token_reused"

/* sign_in.c: what logins, passwords and codes share */
typedef enum QmsSignInKind
{
	QMS_BY_PASSWORD,
	QMS_BY_CODE
} QmsSignInKind;

extern void qms_sign_in_init(void);
extern int	qms_access_token_life(void);	/* seconds */
extern int	qms_refresh_token_life(void);
extern int64 qms_sign_in_organization(QmsCall *call, const char *slug);
extern bool qms_sign_in_limited(QmsSignInKind kind, int64 organization_id, const bytea *who, int32 *retry_after);
extern void qms_sign_in_status(const char *error, int32 retry_after);
extern Datum qms_sign_in_answer(QmsCall *call, Datum value, const char *error, int32 retry_after);
extern const char *qms_sign_in_address(void);
extern int32 qms_seconds_until(TimestampTz until, TimestampTz now);
extern char *qms_opaque_new(void);
extern bytea *qms_opaque_hash(const char *token);
extern bytea *qms_keyed_hash(const QmsSigningKey *key, const char *what, int64 organization_id,
							 const char *text, const char *more);
extern bool qms_hash_equal(const bytea *a, const bytea *b);

/* bcrypt.c */
extern void qms_bcrypt_define_settings(void);
extern char *qms_bcrypt(const char *password, int *cost);
extern bool qms_bcrypt_check(const char *hash, const char *password);
extern bool qms_bcrypt_is_weak(const char *hash);
extern bool qms_bcrypt_is_too_long(const char *password);
extern int64 qms_bcrypt_work(void);

/* password.c */
typedef struct QmsPerson
{
	int64		staff_id;
	int64		organization_id;
	char	   *username;
	char	   *role;
	char	   *hash;			/* NULL: no password yet */
	bool		disabled;
} QmsPerson;

extern void qms_password_define_settings(void);
extern pg_attribute_noreturn() void qms_password_refuse(const char *rule);
extern void qms_password_check_rules(const char *password, const char *username);
extern void qms_password_change(QmsCall *call, const QmsPerson *person, const char *password, const char *by);

/* person.c */
extern bool qms_person_find(int64 staff_id, QmsPerson *person);
extern bool qms_person_by_name(int64 organization_id, const char *username, QmsPerson *person);
extern void qms_person_gate(QmsCall *call, int64 staff_id, QmsPerson *person);
extern void qms_person_event(QmsCall *call, const char *verb, int64 organization_id, const QmsPerson *actor, QmsJson *json);

/* attempt.c: failed logins in a row */
typedef struct QmsAttempt
{
	int64		organization_id;	/* 0: none of that name */
	bytea	   *username_hash;
	int32		failures;
	TimestampTz locked_until;
} QmsAttempt;

extern bool qms_attempt_begin(QmsCall *call, int64 organization_id, const char *username,
							  QmsAttempt *attempt, int32 *retry_after);
extern void qms_attempt_failed(QmsCall *call, QmsAttempt *attempt, const QmsPerson *person, const char *reason);
extern void qms_attempt_forget(int64 organization_id, const char *username);

/* login.c */
typedef struct QmsLogin
{
	char	   *access_token;
	char	   *refresh_token;
	TimestampTz expires_at;
	int64		staff_id;
	int64		organization_id;
	char	   *role;
	const char *error;			/* NULL: none */
	int32		retry_after;	/* seconds; 0: not said */
} QmsLogin;

extern const char *qms_password_try(QmsCall *call, int64 organization_id, const char *username,
									const char *password, QmsPerson *person, int32 *retry_after);
extern void qms_login_tokens(QmsCall *call, const QmsPerson *person, int64 login_session_id, QmsLogin *login);
extern Datum qms_login_answer(QmsCall *call, const QmsLogin *login);

/* delivery.c */
extern int64 qms_secret_deliver(QmsCall *call, int64 organization_id, const char *kind, const char *recipient,
								const char *secret, TimestampTz expires_at);
extern Datum qms_requested_answer(QmsCall *call, TimestampTz expires_at, const char *error, int32 retry_after);

/* otp.c */
extern void qms_otp_forget_customer(int64 organization_id, int64 customer_id);

/* ---- keys and devices ---- */

/* ---- access.c: what its functions share ---- */
extern Datum qms_access_answer(QmsCall *call, const char *secret_column, const char *secret);
extern bytea *qms_access_bytes(const uint8 *hash);
extern bool qms_access_same(Datum stored, const uint8 *hash);
extern void qms_access_event(QmsCall *call, const char *kind, const QmsObject *object, const char *key, const Jsonb *values);
extern pg_attribute_noreturn() void qms_access_refuse(const char *what);

/* ---- api_key.c, device.c: whose key is it?  Errors: QM520 ---- */
typedef struct QmsApiKey
{
	int64		api_key_id;
	int64		organization_id;
	int64		application_id;
	TimestampTz expires_at;		/* QMS_NO_TIME: never */
} QmsApiKey;

typedef struct QmsDevice
{
	int64		device_id;
	int64		organization_id;
	int64		branch_id;
	char	   *kind;
} QmsDevice;

extern void qms_api_key_authenticate(const char *text, TimestampTz now, QmsApiKey *key);
extern void qms_device_authenticate(const char *text, TimestampTz now, QmsDevice *device);

/* ---- token.c: access tokens ---- */
typedef struct QmsToken
{
	const char *role;			/* database group */
	char	   *subject;		/* "application:5" */
	int64		organization_id;
	int64		session_id;		/* of a login, or 0 */
	int64		api_key_id;		/* or 0 */
	TimestampTz issued_at;
	TimestampTz expires_at;
} QmsToken;

extern Jsonb *qms_token_claims(const QmsToken *token);
extern char *qms_token_sign(const QmsToken *token);
extern char *qms_token_of_login(QmsCall *call, QmsToken *token);

/* exchange.c: for keys */
extern void qms_token_of_api_key(const QmsApiKey *key, TimestampTz now, QmsToken *token);

/* ---- seen.c: when a key or device was seen last ---- */
typedef enum QmsSeenKind
{
	QMS_SEEN_API_KEY = 1,
	QMS_SEEN_DEVICE
} QmsSeenKind;

extern void qms_seen_init(void);
extern void qms_seen_note(QmsSeenKind kind, int64 id, int64 organization_id, TimestampTz now);
extern TimestampTz qms_seen_due(void);
extern void qms_seen_write(void);

/* ---- customer.c ---- */
#define QMS_CUSTOMER_COLUMNS(X) \
	X(customer_id) X(organization_id) X(name) X(contact) X(find) X(language) X(external_subject) \
	X(metadata) X(created_at) X(updated_at) X(deleted_at)
#define QMS_COLUMN_C(c) C_##c,
enum
{
	QMS_CUSTOMER_COLUMNS(QMS_COLUMN_C)
	C_COLUMNS
};

typedef QmsRow QmsCustomer;

extern QmsTable qms_customer_table;
extern QmsCustomer *qms_customer_new(int64 organization_id, TimestampTz now);
extern QmsCustomer *qms_customer_lock(QmsCall *call, int64 customer_id);
extern QmsCustomer *qms_customer_lock_any(QmsCall *call, int64 customer_id);
extern char *qms_customer_name(const QmsCustomer *customer, bool raise);
extern Jsonb *qms_customer_contact(const QmsCustomer *customer, bool raise);
extern void qms_customer_seal(QmsCustomer *customer, const char *name, const Jsonb *contact);
extern void qms_customer_wipe(QmsCustomer *customer, TimestampTz now);
extern Datum qms_customer_answer(QmsCall *call, const QmsCustomer *customer, bool raise);
extern void qms_customer_organization(QmsCall *call, int64 organization_id);
extern void qms_customer_event(QmsCall *call, const char *verb, const QmsCustomer *customer, QmsJson *data);

/* ---- wipe.c: personal data that goes ---- */
typedef struct QmsWiped
{
	int64		tickets;
	int64		visits;
	int64		answers;
} QmsWiped;

extern void qms_wipe_tickets(QmsCall *call, const int64 *ids, int n, bool answers, QmsWiped *wiped);
extern uint64 qms_wipe_customer_answers(int64 customer_id);

/* ---- retention.c ---- */
extern TimestampTz qms_retention_cutoff(const Jsonb *settings, TimestampTz now);
extern bool qms_retention_is_due(int64 queue_id, TimestampTz cutoff);
extern bool qms_retention_queue(QmsCall *call, int64 queue_id);
extern bool qms_retention_customers(QmsCall *call, int64 organization_id);

/* ---- audit.c ---- */
extern TimestampTz qms_audit_refusals(QmsCall *call);

/* ---- reseal.c: after a change of keys ---- */
typedef struct QmsReseal
{
	const char *keys;			/* of now: that of the data, and that of the index */
	char	   *horizon;		/* transactions before it may have used older ones */
	TimestampTz seen_at;		/* by the real clock */
	int			pass;			/* 1, or 2 if somebody was at work when the first began */
	bool		settled;		/* nobody was, when this one began */
	bool		waits;			/* the second one cannot begin yet */
	int			stage;			/* which table is gone through */
	int64		after_id;		/* up to which row */
	int64		resealed;
	int64		failed;
} QmsReseal;

extern bool qms_reseal_read(QmsReseal *progress);
extern bool qms_reseal_some(QmsCall *call, QmsReseal *progress, int max_rows);

#endif							/* QMS_ACCESS_H */
