/*
 * access.h
 *		Getting in: API keys, devices, and what PostgREST calls before each request.
 */
#ifndef QMS_ACCESS_H
#define QMS_ACCESS_H

#include "auth/auth.h"
#include "config/config.h"
#include "events/events.h"

/* ---- access.c: what its functions share ---- */
extern void qms_access_gate(QmsCall *call, int64 organization_id, int64 branch_id, const char *what, int64 id);
extern char *qms_access_name(QmsCall *call, int n);
extern Datum qms_access_answer(QmsCall *call, const char *secret_column, const char *secret);
extern bytea *qms_access_bytes(const uint8 *hash);
extern bool qms_access_same(Datum stored, const uint8 *hash);
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

/* ---- exchange.c: tokens for keys ---- */
typedef struct QmsToken
{
	const char *role;			/* database group */
	char	   *subject;		/* "application:5" */
	int64		organization_id;
	int64		api_key_id;		/* or 0 */
	TimestampTz issued_at;
	TimestampTz expires_at;
} QmsToken;

extern void qms_token_of_api_key(const QmsApiKey *key, TimestampTz now, QmsToken *token);
extern Jsonb *qms_token_claims(const QmsToken *token);

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

#endif							/* QMS_ACCESS_H */
