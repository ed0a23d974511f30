/* API keys, devices, and what PostgREST calls before each request. */

CREATE TYPE qms.issued_api_key AS (
	api_key_id bigint,
	organization_id bigint,
	application_id bigint,
	name text,
	prefix text,
	key text,
	queue_ids bigint[],
	functions text[],
	expires_at timestamptz,
	previous_expires_at timestamptz,
	created_at timestamptz
);
COMMENT ON TYPE qms.issued_api_key IS 'An API key, shown this once.';
COMMENT ON COLUMN qms.issued_api_key.api_key_id IS 'Id; stays when the key is rotated.';
COMMENT ON COLUMN qms.issued_api_key.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.issued_api_key.application_id IS 'Application that it is a key of.';
COMMENT ON COLUMN qms.issued_api_key.name IS 'Name that people read.';
COMMENT ON COLUMN qms.issued_api_key.prefix IS 'Eight characters of the key by which it is told from others; no secret.';
COMMENT ON COLUMN qms.issued_api_key.key IS 'The key itself: qms_, the prefix, _ and 43 characters. Only its hash is stored. Null: this repeats a request_id after the key of the server it was made with has gone.';
COMMENT ON COLUMN qms.issued_api_key.queue_ids IS 'Queues that it is for; null: those of the application.';
COMMENT ON COLUMN qms.issued_api_key.functions IS 'Functions that it may call; null: all that applications may.';
COMMENT ON COLUMN qms.issued_api_key.expires_at IS 'When it expires; null: never.';
COMMENT ON COLUMN qms.issued_api_key.previous_expires_at IS 'Until when the key before a rotation is let in; null: it is not.';
COMMENT ON COLUMN qms.issued_api_key.created_at IS 'When the first key of this id was made.';

CREATE FUNCTION qms.create_api_key(application_id bigint, name text, queue_ids bigint[] DEFAULT NULL, functions text[] DEFAULT NULL,
	expires_in interval DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.issued_api_key LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_api_key';
COMMENT ON FUNCTION qms.create_api_key IS 'Makes a key for an application and shows it once: only its SHA-256 is stored. queue_ids: the queues it is for, of a branch too; null: the waiting rooms of the application. functions: names of functions of qms it may call; null: all that applications may. expires_in: months and years count as in the calendar. Repeating the request_id answers the same key for 48 hours: it is made again from a random seed that is kept with that answer only. Callers: superusers, administrators of the whole organization, administrators of the application for its own queues. Errors: QM101, 22023, 23505 another key of the application has this name.';

CREATE FUNCTION qms.rotate_api_key(api_key_id bigint, overlap interval DEFAULT '1 day', expires_in interval DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.issued_api_key LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_rotate_api_key';
COMMENT ON FUNCTION qms.rotate_api_key IS 'Makes a new key with the same id, application and scopes and shows it once. The old one is let in for as long as overlap says (0 to 90 days; 0 or null: no longer), and so is none before it. expires_in sets a new expiry of the whole; null leaves it. Callers: as for create_api_key. Errors: QM101 also of a revoked key, 22023.';

CREATE FUNCTION qms.revoke_api_key(api_key_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.api_key LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_revoke_api_key';
COMMENT ON FUNCTION qms.revoke_api_key IS 'Ends a key, and with it every token that was given for it, at once and for ever; its hash is deleted. Revoking again changes nothing. Callers: as for create_api_key. Errors: QM101.';

CREATE TYPE qms.api_key_identity AS (
	api_key_id bigint,
	organization_id bigint,
	application_id bigint,
	application_name text,
	name text,
	queue_ids bigint[],
	functions text[],
	expires_at timestamptz
);
COMMENT ON TYPE qms.api_key_identity IS 'Whose API key it is.';
COMMENT ON COLUMN qms.api_key_identity.api_key_id IS 'Id of the key.';
COMMENT ON COLUMN qms.api_key_identity.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.api_key_identity.application_id IS 'Application.';
COMMENT ON COLUMN qms.api_key_identity.application_name IS 'Its name.';
COMMENT ON COLUMN qms.api_key_identity.name IS 'Name of the key.';
COMMENT ON COLUMN qms.api_key_identity.queue_ids IS 'Queues that it is for; null: those of the application.';
COMMENT ON COLUMN qms.api_key_identity.functions IS 'Functions that it may call; null: all that applications may.';
COMMENT ON COLUMN qms.api_key_identity.expires_at IS 'When this key expires, also by a rotation; null: never.';

CREATE FUNCTION qms.authenticate_api_key(key text)
RETURNS qms.api_key_identity LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_authenticate_api_key';
COMMENT ON FUNCTION qms.authenticate_api_key IS 'Whose key is this? For programs that check keys themselves; it makes the caller nobody else. Callers: everybody who may sign in. Errors: QM520, one error for a key that is unknown, malformed, expired or revoked, in the same time.';

CREATE TYPE qms.issued_token AS (
	access_token text,
	token_type text,
	expires_in int,
	expires_at timestamptz,
	role text,
	subject text,
	organization_id bigint
);
COMMENT ON TYPE qms.issued_token IS 'A short token (JWT) for a key.';
COMMENT ON COLUMN qms.issued_token.access_token IS 'The token, for the header Authorization: Bearer.';
COMMENT ON COLUMN qms.issued_token.token_type IS 'Bearer.';
COMMENT ON COLUMN qms.issued_token.expires_in IS 'Seconds that it is valid.';
COMMENT ON COLUMN qms.issued_token.expires_at IS 'Until when it is valid.';
COMMENT ON COLUMN qms.issued_token.role IS 'Database role that requests with it run as.';
COMMENT ON COLUMN qms.issued_token.subject IS 'Whom it is for: application:<id> or device:<id>.';
COMMENT ON COLUMN qms.issued_token.organization_id IS 'Organization.';

CREATE FUNCTION qms.exchange_api_key(key text)
RETURNS qms.issued_token LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_exchange_api_key';
COMMENT ON FUNCTION qms.exchange_api_key IS 'A token for an API key, valid as long as the setting api_token_life of the organization says (5 min), and not longer than the key. Callers: everybody who may sign in, visitors without a name too. Errors: QM520 as authenticate_api_key.';

CREATE TYPE qms.issued_device AS (
	device_id bigint,
	organization_id bigint,
	branch_id bigint,
	kind text,
	name text,
	pairing_code text,
	pairing_expires_at timestamptz,
	created_at timestamptz
);
COMMENT ON TYPE qms.issued_device IS 'A device that is to be paired, with its code, shown this once.';
COMMENT ON COLUMN qms.issued_device.device_id IS 'Id.';
COMMENT ON COLUMN qms.issued_device.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.issued_device.branch_id IS 'Branch that it stands in.';
COMMENT ON COLUMN qms.issued_device.kind IS 'display, kiosk or speaker.';
COMMENT ON COLUMN qms.issued_device.name IS 'Name that people read.';
COMMENT ON COLUMN qms.issued_device.pairing_code IS 'What is typed at the device, such as K7PW-9QXM.';
COMMENT ON COLUMN qms.issued_device.pairing_expires_at IS 'Until when the code is good: ten minutes.';
COMMENT ON COLUMN qms.issued_device.created_at IS 'When the device was made.';

CREATE FUNCTION qms.create_device(branch_id bigint, kind text, name text, request_id uuid DEFAULT NULL)
RETURNS qms.issued_device LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_device';
COMMENT ON FUNCTION qms.create_device IS 'Makes a device of a branch, a display, kiosk or speaker, and a code to pair it with. The code is good for ten minutes and five tries; renew_pairing_code makes another. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023, 23505 another device of the branch has this name.';

CREATE FUNCTION qms.renew_pairing_code(device_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.issued_device LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_renew_pairing_code';
COMMENT ON FUNCTION qms.renew_pairing_code IS 'Another code for a device: the first was not used in time, or another machine is to take its place. The key in use is good until the device is paired anew. Callers: as for create_device. Errors: QM101 also of a revoked device.';

CREATE FUNCTION qms.revoke_device(device_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.device LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_revoke_device';
COMMENT ON FUNCTION qms.revoke_device IS 'Ends a device: its key, its code and every token given for it are good for nothing from now on. Revoking again changes nothing. Callers: as for create_device. Errors: QM101.';

CREATE TYPE qms.paired_device AS (
	device_id bigint,
	organization_id bigint,
	branch_id bigint,
	kind text,
	name text,
	key text,
	error text
);
COMMENT ON TYPE qms.paired_device IS 'A device that has just been paired, with its key, shown this once; or why not.';
COMMENT ON COLUMN qms.paired_device.device_id IS 'Id; null: it was not paired.';
COMMENT ON COLUMN qms.paired_device.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.paired_device.branch_id IS 'Branch that it stands in.';
COMMENT ON COLUMN qms.paired_device.kind IS 'display, kiosk or speaker.';
COMMENT ON COLUMN qms.paired_device.name IS 'Name that people read.';
COMMENT ON COLUMN qms.paired_device.key IS 'The key of the device: qmd_, its prefix, _ and 43 characters. Only its hash is stored.';
COMMENT ON COLUMN qms.paired_device.error IS 'invalid_code: unknown, used, expired or tried too often; null: it is paired.';

CREATE FUNCTION qms.pair_device(code text, request_id uuid DEFAULT NULL)
RETURNS qms.paired_device LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_pair_device';
COMMENT ON FUNCTION qms.pair_device IS 'Called by the device itself with the code that somebody typed: the code is used up, and the key is shown once. A key that the device had before is good no longer. A wrong code is no error but a row with error (and the status 401 through PostgREST), so that the try counts. Dashes, spaces and small letters do not matter. Callers: everybody who may sign in, visitors without a name too. Errors: QM220 too many tries from this address or for this code.';

CREATE FUNCTION qms.exchange_device_key(key text)
RETURNS qms.issued_token LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_exchange_device_key';
COMMENT ON FUNCTION qms.exchange_device_key IS 'A token for the key of a device, with the role qms_kiosk or qms_display, valid as long as the setting device_token_life of the organization says (1 h). Callers: everybody who may sign in, visitors without a name too. Errors: QM520, one error for a key that is unknown, malformed or revoked.';

CREATE FUNCTION qms.pre_request() RETURNS void
LANGUAGE c VOLATILE SECURITY INVOKER
AS 'MODULE_PATHNAME', 'qms_pre_request';
COMMENT ON FUNCTION qms.pre_request IS 'For PostgREST (db-pre-request = "qms.pre_request"): a request with an API key in its header x-api-key goes on as its application, in the role qms_app, for this transaction. Does nothing without that header, and in sessions whose session user is no member of qms_authenticator. Not SECURITY DEFINER, since the role cannot be set there; it runs no statement of its own. Callers: every group that PostgREST acts as. Errors: QM520 (status 401), QM221 beside a token (status 400), 42501 when the login may not become qms_app.';

CREATE FUNCTION qms_internal.api_key_claims(key text) RETURNS jsonb
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_api_key_claims';
COMMENT ON FUNCTION qms_internal.api_key_claims IS 'The claims of a token for this API key; called by pre_request, granted to nobody.';

CREATE FUNCTION qms.my_address() RETURNS inet
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_my_address';
COMMENT ON FUNCTION qms.my_address IS 'Where this request comes from, as rate limits see it: the address of the connection; in sessions of members of qms_authenticator what the gateway says, or the header x-forwarded-for if the connection comes from one of qms.trusted_proxies. Null: nobody knows, and no limit by address holds. Call it through the proxy after setting it up. Callers: everybody.';

CREATE FUNCTION qms.organization_setting_keys(OUT key text, OUT kind text, OUT unit text, OUT default_value text, OUT description text, OUT applies_to text)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_organization_setting_keys';
COMMENT ON FUNCTION qms.organization_setting_keys IS 'The settings of an organization that qms reads: key, kind of value, unit, default, what it does; applies_to is always "organization". A limit is a number and a span of time such as "20/15 min": so many at once, refilled evenly over that time; "off" is no limit. Other keys are your own, unless they begin with limit_, api_ or device_. Callers: everybody.';
