/*
 * bcrypt.c
 *		Password hashes, by the bcrypt of pgcrypto's library.
 *
 * CREATE EXTENSION pgcrypto is not needed: its C functions are called directly.
 *
 * Every check of a password does the same work, 2 to the power of the cost,
 * whether there is a hash or none, and whatever the cost of the hash: so the
 * time of an answer does not tell whether there is such an account.
 */
#include "access/access.h"

#include <openssl/crypto.h>

#include "common/saslprep.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define BCRYPT_SIZE 60
#define BCRYPT_MAX_PASSWORD 72
#define DEFAULT_COST 12
#define MIN_COST 4
#define MAX_COST 16
/* Any salt does for work that is thrown away. */
#define NO_SALT "......................"

static int	password_cost = DEFAULT_COST;

/* Work done by this backend, for tests: a sum of 2 to the power of costs. */
static int64 work_done = 0;

void
qms_bcrypt_define_settings(void)
{
	DefineCustomIntVariable("qms.password_cost",
							"Cost of bcrypt for passwords: each step doubles the time of a login.",
							NULL,
							&password_cost, DEFAULT_COST, MIN_COST, MAX_COST,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

/* A function of pgcrypto's library. */
static PGFunction
pgcrypto_function(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	volatile PGFunction function = NULL;

	PG_TRY();
	{
		function = (PGFunction) load_external_function("$libdir/pgcrypto", name, true, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("passwords need the library of pgcrypto, which cannot be loaded"),
				 errdetail("%s", error->message),
				 errhint("Install PostgreSQL's contrib modules (on Debian they come with postgresql-15). CREATE EXTENSION pgcrypto is not needed.")));
	}
	PG_END_TRY();
	return function;
}

/* bcrypt of a password with a salt, or with the salt of a hash. */
static char *
run_bcrypt(const char *password, const char *salt, int cost)
{
	static PGFunction crypt = NULL;

	if (crypt == NULL)
		crypt = pgcrypto_function("pg_crypt");
	work_done += INT64_C(1) << cost;
	return TextDatumGetCString(DirectFunctionCall2(crypt, CStringGetTextDatum(password), CStringGetTextDatum(salt)));
}

/* Work for nothing. */
static void
burn(const char *password, int cost)
{
	(void) run_bcrypt(password, psprintf("$2a$%02d$%s", cost, NO_SALT), cost);
}

/*
 * A password as it is hashed: the same one typed on another keyboard may have
 * other code points for the same letters (RFC 4013, as SCRAM does it).
 */
static char *
prepare(const char *password)
{
	char	   *prepared;

	if (pg_saslprep(password, &prepared) != SASLPREP_SUCCESS)
		prepared = pstrdup(password);
	return prepared;
}

/* Is it longer than what bcrypt looks at? */
bool
qms_bcrypt_is_too_long(const char *password)
{
	return strlen(prepare(password)) > BCRYPT_MAX_PASSWORD;
}

/* The hash of a password, and its cost. */
char *
qms_bcrypt(const char *password, int *cost)
{
	PGFunction	gen_salt = pgcrypto_function("pg_gen_salt_rounds");
	Datum		salt = DirectFunctionCall2(gen_salt, CStringGetTextDatum("bf"), Int32GetDatum(password_cost));
	char	   *hash = run_bcrypt(prepare(password), TextDatumGetCString(salt), password_cost);

	if (strlen(hash) != BCRYPT_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("pgcrypto answered no bcrypt hash")));
	*cost = password_cost;
	return hash;
}

/* The cost of a bcrypt hash; 0 if it is none. */
static int
cost_of(const char *hash)
{
	int			cost;

	if (strlen(hash) != BCRYPT_SIZE || strncmp(hash, "$2", 2) != 0 || hash[3] != '$' || hash[6] != '$')
		return 0;
	cost = (hash[4] - '0') * 10 + hash[5] - '0';
	return cost >= MIN_COST && cost <= 31 ? cost : 0;
}

/* The work of every check: the highest cost of any hash there is, or of the next one. */
static int
common_cost(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS("SELECT pg_catalog.max(cost)::int FROM qms_internal.staff_password");

	(void) qms_spi_look(&plan, NULL);
	return Max(password_cost, qms_spi_int32(0, 0));
}

/* Is this hash of less cost than new ones are? */
bool
qms_bcrypt_is_weak(const char *hash)
{
	return cost_of(hash) < password_cost;
}

/*
 * Is this the password of that hash?  NULL is the hash of nobody: never, and it
 * takes as long.  A hash of cost c is followed by work of c, c + 1, ... up to
 * below the common cost, which makes 2 to the power of that in all.
 */
bool
qms_bcrypt_check(const char *hash, const char *password)
{
	char	   *prepared = prepare(password);
	int			common = common_cost();
	int			cost = hash ? cost_of(hash) : 0;
	bool		same = false;
	int			c;

	if (cost == 0)
	{
		burn(prepared, common);
		return false;
	}
	same = CRYPTO_memcmp(run_bcrypt(prepared, hash, cost), hash, BCRYPT_SIZE) == 0;
	for (c = cost; c < common; c++)
		burn(prepared, c);
	/* It looks at 72 bytes only; whoever appends more does not know the password. */
	return same && strlen(prepared) <= BCRYPT_MAX_PASSWORD;
}

/* Work done so far, for tests. */
int64
qms_bcrypt_work(void)
{
	return work_done;
}
