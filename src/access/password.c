/*
 * password.c
 *		Passwords of staff: what they must be like, and who sets them.
 *
 * Setting a password ends every login of its owner.  The functions here take no
 * request_id: a hash of their arguments would be a fast hash of a password.
 */
#include "access/access.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"

#define DEFAULT_MIN_LENGTH 12
#define MIN_DISTINCT 5
#define MIN_WITHOUT_LETTERS 20

static int	password_min_length = DEFAULT_MIN_LENGTH;

void
qms_password_define_settings(void)
{
	DefineCustomIntVariable("qms.password_min_length",
							"How many characters a password must have.", NULL,
							&password_min_length, DEFAULT_MIN_LENGTH, 8, 64,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

/* ---- rules ---- */

void
qms_password_refuse(const char *rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_WEAK_PASSWORD),
			 errmsg("the password is not allowed"),
			 errdetail("%s", rule),
			 errhint("Several words that have nothing to do with one another make a good one.")));
}

static bool
is_letter(char c)
{
	return IS_HIGHBIT_SET(c) || isalpha((unsigned char) c);
}

/*
 * What the passwords that are tried first are made of; digits and signs around
 * a word do not make it another one.
 */
static bool
is_among_the_worst(const char *folded)
{
	static const char *const worst[] = {
		"password", "passwort", "passw", "pass", "kennwort", "geheim", "secret", "qwerty", "qwertyuiop", "qwertz",
		"qwertzuiop", "azerty", "azertyuiop", "asdf", "asdfgh", "asdfghjkl", "yxcvbnm", "zxcvbnm", "qwe", "qweasd",
		"qweasdzxc", "abc", "abcd", "abcdef", "abcdefgh", "abcdefghijkl", "welcome", "willkommen", "bienvenue", "hallo",
		"hello", "letmein", "iloveyou", "admin", "administrator", "adminadmin", "root", "test", "testtest", "login",
		"default", "changeme", "master", "superman", "batman", "dragon", "monkey", "football", "baseball", "sunshine",
		"princess", "starwars", "trustno", "whatever", "summer", "sommer", "winter", "spring", "autumn", "fruehling",
		"herbst", "qms", "passwordpassword", "passwortpasswort", "qwertyqwerty", "motdepasse", "contrasena", "senha",
		"wachtwoord", "haslo"
	};
	const char *first = folded;
	const char *last = folded + strlen(folded);
	size_t		i;

	while (first < last && !is_letter(*first))
		first++;
	while (last > first && !is_letter(last[-1]))
		last--;
	for (i = 0; i < lengthof(worst); i++)
	{
		if (strlen(worst[i]) == (size_t) (last - first) && strncmp(worst[i], first, last - first) == 0)
			return true;
	}
	return false;
}

/* Dates and telephone numbers are too few to be long enough. */
static bool
has_letters(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (is_letter(*text))
			return true;
	}
	return false;
}

static int
count_distinct(const char *text)
{
	bool		seen[256] = {false};
	int			n = 0;

	for (; *text != '\0'; text++)
	{
		if (!seen[(unsigned char) *text])
			n++;
		seen[(unsigned char) *text] = true;
	}
	return n;
}

/* One that may be used by this person; else an error, which names the rule and not the password. */
void
qms_password_check_rules(const char *password, const char *username)
{
	char	   *folded = str_tolower(password, strlen(password), DEFAULT_COLLATION_OID);
	char	   *name = str_tolower(username, strlen(username), DEFAULT_COLLATION_OID);

	if (pg_mbstrlen(password) < password_min_length)
		qms_password_refuse(psprintf("It must have at least %d characters.", password_min_length));
	if (qms_bcrypt_is_too_long(password))
		qms_password_refuse("It must have at most 72 bytes: bcrypt does not look at more.");
	if (strcmp(folded, name) == 0 || (strlen(name) >= 3 && strstr(folded, name) != NULL))
		qms_password_refuse("It must not contain the user name.");
	if (count_distinct(password) < MIN_DISTINCT)
		qms_password_refuse(psprintf("It must have at least %d different characters.", MIN_DISTINCT));
	if (!has_letters(password) && pg_mbstrlen(password) < MIN_WITHOUT_LETTERS)
		qms_password_refuse(psprintf("Without letters it must have at least %d characters.", MIN_WITHOUT_LETTERS));
	if (is_among_the_worst(folded))
		qms_password_refuse("It is one of those that are tried first.");
}

/* ---- storing ---- */

/*
 * Keep the hash of a password, and end what the old one opened; answers how many
 * logins that were.
 *
 * Lock: the row of the password.  A login that is under way with the old one
 * has it shared, so either its session is there to be ended, or it finds the
 * new hash and fails.
 */
static int
store(QmsCall *call, const QmsPerson *person, const char *password)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.staff_password (staff_id, organization_id, hash, cost, changed_at) "
								   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (staff_id) DO UPDATE "
								   "SET hash = excluded.hash, cost = excluded.cost, changed_at = excluded.changed_at",
								   INT8OID, INT8OID, TEXTOID, INT2OID, TIMESTAMPTZOID);
	static QmsPlan forget = QMS_PLAN("DELETE FROM qms_internal.password_reset WHERE staff_id = $1", INT8OID);
	QmsParams	params = {0};
	QmsParams	staff = {0};
	int			cost;
	char	   *hash = qms_bcrypt(password, &cost);

	qms_param_int64(&params, person->staff_id);
	qms_param_int64(&params, person->organization_id);
	qms_param_text(&params, hash);
	qms_param_datum(&params, Int16GetDatum((int16) cost));
	qms_param_time(&params, call->now);
	qms_spi_run_now(&plan, &params);
	qms_param_int64(&staff, person->staff_id);
	qms_spi_run_now(&forget, &staff);
	return qms_session_revoke_staff(person->staff_id, call->now, "password");
}

/* Give somebody another password.  by: admin, self or reset. */
void
qms_password_change(QmsCall *call, const QmsPerson *person, const char *password, const char *by)
{
	int			sessions = store(call, person, password);
	QmsJson		json;

	qms_attempt_forget(person->organization_id, person->username);
	qms_json_begin(&json);
	qms_json_int64(&json, "staff_id", person->staff_id);
	qms_json_text(&json, "by", by);
	qms_json_int64(&json, "sessions", sessions);
	qms_person_event(call, "password_changed", person->organization_id,
					 strcmp(by, "admin") == 0 ? NULL : person, &json);
}

QMS_FUNCTION(set_password, QMS_ACT_SETUP, 0)
{
	int64		staff_id = qms_arg_id(call, 0, "staff_id");
	char	   *password = qms_arg_text(call, 1, "password");
	QmsPerson	person;

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	qms_person_gate(call, staff_id, &person);
	qms_password_check_rules(password, person.username);
	qms_password_change(call, &person, password, "admin");
	return qms_answer_none(call);
}
