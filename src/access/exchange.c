/*
 * exchange.c
 *		Short tokens (JWT) for keys: what PostgREST and the gateway know their
 *		callers by, so that the key itself need not travel with each request.
 */
#include "access/access.h"

#include "utils/builtins.h"

/* For an API key: not longer than the key itself. */
void
qms_token_of_api_key(const QmsApiKey *key, TimestampTz now, QmsToken *token)
{
	const QmsOrganization *organization = qms_config_organization(key->organization_id);

	token->role = "qms_app";
	token->subject = psprintf("application:%lld", (long long) key->application_id);
	token->organization_id = key->organization_id;
	token->api_key_id = key->api_key_id;
	token->issued_at = now;
	token->expires_at = now + organization->api_token_life;
	if (key->expires_at != QMS_NO_TIME)
		token->expires_at = Min(token->expires_at, key->expires_at);
}

/* qms.issued_token */
static Datum
answer(QmsCall *call, const QmsToken *token)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(qms_token_sign(token));
	values[1] = CStringGetTextDatum("Bearer");
	values[2] = Int32GetDatum((int32) (qms_unix_seconds(token->expires_at) - qms_unix_seconds(token->issued_at)));
	values[3] = TimestampTzGetDatum(token->expires_at);
	values[4] = CStringGetTextDatum(token->role);
	values[5] = CStringGetTextDatum(token->subject);
	values[6] = Int64GetDatum(token->organization_id);
	call->answer_organization = token->organization_id;
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(exchange_api_key, QMS_ACT_SIGN_IN, 0)
{
	QmsApiKey	key = {0};
	QmsToken	token = {0};

	qms_api_key_authenticate(qms_arg_text(call, 0, "key"), call->now, &key);
	qms_seen_note(QMS_SEEN_API_KEY, key.api_key_id, key.organization_id, call->now);
	qms_token_of_api_key(&key, call->now, &token);
	return answer(call, &token);
}

QMS_FUNCTION(exchange_device_key, QMS_ACT_SIGN_IN, 0)
{
	QmsDevice	device = {0};
	QmsToken	token = {0};

	qms_device_authenticate(qms_arg_text(call, 0, "key"), call->now, &device);
	token.role = strcmp(device.kind, "kiosk") == 0 ? "qms_kiosk" : "qms_display";
	token.subject = psprintf("device:%lld", (long long) device.device_id);
	token.organization_id = device.organization_id;
	token.issued_at = call->now;
	token.expires_at = call->now + qms_config_organization(device.organization_id)->device_token_life;
	return answer(call, &token);
}
