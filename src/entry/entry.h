/*
 * entry.h
 *		How people come in who have been let in: the keys of an organization, the
 *		access tokens that are signed with them, and what can be done with one.
 */
#ifndef QMS_ENTRY_H
#define QMS_ENTRY_H

#include "release/release.h"

extern void qms_entry_init(void);

/* ---- keys.c: the keys of organizations; valid until the next call of one of these ---- */
typedef struct QmsAccessKeys
{
	int64		organization_id;	/* hash key */
	char	   *slug;			/* of the organization; NULL: it is not there */
	int			n;
	QmsSigningKey *keys;		/* the newest first */
} QmsAccessKeys;

extern const QmsAccessKeys *qms_access_keys_of(int64 organization_id);
extern char *qms_access_kid(int64 organization_id, const QmsSigningKey *key);
extern bool qms_access_kid_parse(const char *kid, int64 *organization_id, int *number);
extern const QmsSigningKey *qms_access_key_named(int64 organization_id, int number, TimestampTz now);
extern const QmsSigningKey *qms_access_key_signing(const QmsAccessKeys *keys, TimestampTz now);
extern int	qms_access_key_make(QmsCall *call, int64 organization_id, QmsKeyAlgorithm algorithm,
								TimestampTz active_from, const char *verb, TimestampTz older_expire_at);
extern const QmsSigningKey *qms_access_key_current(QmsCall *call, int64 organization_id);
extern char *qms_access_key_secret(const QmsSigningKey *key);	/* as it is shown; NULL: it has none to show */

/* ---- access_token.c: one for each ticket that has been claimed ---- */
#define QMS_ACCESS_NONCE_SIZE 16

typedef struct QmsAccessToken
{
	int64		ticket_id;
	int64		organization_id;
	int64		queue_id;
	uint8		nonce[QMS_ACCESS_NONCE_SIZE];
	TimestampTz issued_at;		/* to the second, as tokens count */
	TimestampTz expires_at;
	TimestampTz used_at;		/* QMS_NO_TIME: not yet */
	TimestampTz revoked_at;		/* QMS_NO_TIME: it was not */
	char	   *subject;		/* of the ticket; what the token says, once it has been read */
} QmsAccessToken;

extern bool qms_access_token_read(int64 ticket_id, QmsAccessToken *token);
extern void qms_access_token_store(const QmsAccessToken *token);
extern void qms_access_token_revoke(int64 ticket_id, TimestampTz now);
extern char *qms_access_token_subject(const QmsTicket *ticket);
extern char *qms_access_token_sign(const QmsSigningKey *key, const QmsAccessKeys *keys, const QmsAccessToken *token);

/* Why a token is not one of ours, as verify_access answers it. */
#define QMS_ENTRY_MALFORMED		"malformed"
#define QMS_ENTRY_UNKNOWN_KEY	"unknown_key"
#define QMS_ENTRY_BAD_SIGNATURE "bad_signature"

extern const char *qms_access_token_open(QmsCall *call, const char *text, QmsAccessToken *token);
extern char *qms_access_token_argument(QmsCall *call, int n);	/* NULL: none, or too long to be one */

/* ---- claim.c ---- */
extern char *qms_claim_again(QmsCall *call, int64 ticket_id, TimestampTz expires_at);

#endif							/* QMS_ENTRY_H */
