/*
 * seal_key.c
 *		Keys of personal data: from qms_internal.signing_key, or from a file that
 *		no dump carries.
 *
 * A key is named in every value made with it: "t3" is kid 3 of the table, "f3"
 * of the file, so that the two never clash and values can move from one to the
 * other.  New values use the file if qms.seal_key_file names one; old ones are
 * opened with whatever key they name.
 *
 * The file has one key a line: purpose (seal or seal_index), kid, and 64
 * hexadecimal digits.  It is looked at again when it has changed.
 */
#include "auth/auth.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#define MAX_KEYS 256			/* of table and file together */
#define MAX_FILE_SIZE 65536
#define FILE_LOOK USECS_PER_SEC /* how old what we know of the file may be */

static const char *const purposes[QMS_SEAL_PURPOSES] = {
	[QMS_SEAL_DATA] = "seal", [QMS_SEAL_INDEX] = "seal_index"
};

static char *seal_key_file = NULL;
static bool seal_enabled = true;

static QmsSealKey keys[MAX_KEYS];
static int	nkeys = 0;
static uint64 keys_generation = 0;	/* of the configuration they were read in */

/* The file as it was when it was read last. */
static char file_path[MAXPGPATH] = "";
static struct stat file_stat;
static TimestampTz file_looked_at = 0;

void
qms_seal_define_settings(void)
{
	DefineCustomStringVariable("qms.seal_key_file",
							   "File with the keys that seal personal data.",
							   "Empty: they are in the database, and in its dumps. The file belongs to the server's user or root, and nobody else can read it.",
							   &seal_key_file, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomBoolVariable("qms.seal_personal_data",
							 "Seals names and contacts when they are written.",
							 "Off leaves new ones in clear; what is sealed can be read either way.",
							 &seal_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
}

bool
qms_seal_is_on(void)
{
	return seal_enabled;
}

/* Are new values sealed with keys of the file? */
bool
qms_seal_key_is_in_file(void)
{
	return seal_key_file != NULL && *seal_key_file != '\0';
}

static pg_attribute_noreturn() void
bad_file(const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NO_SEAL_KEY),
			 errmsg("the file of qms.seal_key_file cannot be used"),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

static void
add_key(char source, QmsSealPurpose purpose, int kid, const uint8 *secret, TimestampTz active_from,
		TimestampTz expires_at)
{
	QmsSealKey *key = &keys[nkeys];

	if (nkeys == MAX_KEYS)
		return;
	key->source = source;
	key->purpose = purpose;
	key->kid = kid;
	key->active_from = active_from;
	key->expires_at = expires_at;
	memcpy(key->secret, secret, QMS_SEAL_KEY_SIZE);
	nkeys++;
}

static void
read_table(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
								   "SELECT purpose, kid, secret, active_from, expires_at FROM qms_internal.signing_key "
								   "WHERE purpose IN ('seal', 'seal_index') ORDER BY active_from DESC, kid DESC LIMIT 128");
	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	uint64		n = qms_spi_look(&plan, NULL);
	uint64		i;

	for (i = 0; i < n; i++)
	{
		bool		isnull;
		bytea	   *secret = DatumGetByteaPP(qms_spi_datum(i, 2, &isnull));

		if (VARSIZE_ANY_EXHDR(secret) == QMS_SEAL_KEY_SIZE)
			add_key('t', strcmp(qms_spi_text(i, 0), purposes[QMS_SEAL_DATA]) == 0 ? QMS_SEAL_DATA : QMS_SEAL_INDEX,
					qms_spi_int32(i, 1), (uint8 *) VARDATA_ANY(secret), qms_spi_time(i, 3), qms_spi_time(i, 4));
	}
}

/* One line: "seal 1 0123..."; empty ones and those that begin with # say nothing. */
static void
read_line(char *line, int number)
{
	char		purpose[16];
	char		hex[2 * QMS_SEAL_KEY_SIZE + 2];
	uint8		secret[QMS_SEAL_KEY_SIZE];
	int			kid;
	int			end = 0;
	int			p;
	int			i;

	line += strspn(line, " \t\r");
	if (*line == '\0' || *line == '#')
		return;
	if (sscanf(line, "%15s %5d %65s %n", purpose, &kid, hex, &end) != 3 || line[end] != '\0' ||
		kid < 1 || kid > 65535 || strlen(hex) != 2 * QMS_SEAL_KEY_SIZE ||
		strspn(hex, "0123456789abcdefABCDEF") != 2 * QMS_SEAL_KEY_SIZE)
		bad_file(psprintf("Line %d is not \"purpose kid key\", with 64 hexadecimal digits for a key.", number),
				 "Write lines such as \"seal 1 \" and what \"openssl rand -hex 32\" prints.");
	for (p = 0; p < QMS_SEAL_PURPOSES; p++)
	{
		if (strcmp(purpose, purposes[p]) == 0)
			break;
	}
	if (p == QMS_SEAL_PURPOSES)
		bad_file(psprintf("Line %d has an unknown purpose.", number), "Purposes are seal and seal_index.");
	for (i = 0; i < QMS_SEAL_KEY_SIZE; i++)
	{
		unsigned int byte;

		sscanf(hex + 2 * i, "%2x", &byte);
		secret[i] = byte;
	}
	for (i = 0; i < nkeys; i++)
	{
		if (keys[i].source == 'f' && (int) keys[i].purpose == p && keys[i].kid == kid)
			bad_file(psprintf("Line %d has a kid that another line has.", number), "Give each key of a purpose a kid of its own.");
	}
	/* The highest kid of the file is the newest. */
	add_key('f', p, kid, secret, kid, QMS_NO_TIME);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(hex, sizeof(hex));
}

/* Nobody but the server's user and root may have a hand in the file. */
static void
check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		bad_file("It is not a regular file.", "Name a file.");
	if (st->st_uid != geteuid() && st->st_uid != 0)
		bad_file("It belongs neither to the server's user nor to root.", "Change its owner.");
	if ((st->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0 ||
		(st->st_uid != 0 && (st->st_mode & S_IRGRP) != 0))
		bad_file("Others can read or change it.", "chmod 0600, or 0640 when it belongs to root.");
	if (st->st_size > MAX_FILE_SIZE)
		bad_file("It is too large.", "It has one key a line.");
}

static void
read_file(void)
{
	char		buffer[MAX_FILE_SIZE + 1];
	struct stat st;
	char	   *line;
	char	   *next;
	int			number = 1;
	int			fd = open(seal_key_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t		size;

	if (fd < 0 || fstat(fd, &st) != 0)
	{
		int			error = errno;

		if (fd >= 0)
			close(fd);
		bad_file(psprintf("It cannot be read: %s.", strerror(error)), "Check the path, and that the server's user can read it.");
	}
	size = S_ISREG(st.st_mode) ? read(fd, buffer, MAX_FILE_SIZE) : 0;
	close(fd);
	check_file(&st);
	buffer[Max(size, 0)] = '\0';
	for (line = buffer; line != NULL; line = next, number++)
	{
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		read_line(line, number);
	}
	explicit_bzero(buffer, sizeof(buffer));
	strlcpy(file_path, seal_key_file, sizeof(file_path));
	file_stat = st;
}

/* Is the file the one that was read?  It is not asked at every use. */
static bool
file_is_known(void)
{
	TimestampTz now;
	struct stat st;

	if (!qms_seal_key_is_in_file())
		return *file_path == '\0';
	if (strcmp(file_path, seal_key_file) != 0)
		return false;
	now = GetCurrentTimestamp();
	if (now >= file_looked_at && now - file_looked_at < FILE_LOOK)
		return true;
	file_looked_at = now;
	return stat(seal_key_file, &st) == 0 && st.st_mtim.tv_sec == file_stat.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == file_stat.st_mtim.tv_nsec && st.st_ino == file_stat.st_ino &&
		st.st_size == file_stat.st_size && st.st_mode == file_stat.st_mode && st.st_uid == file_stat.st_uid;
}

static void
refresh(void)
{
	if (keys_generation == qms_inval_generation() && file_is_known())
		return;
	/* Nothing half read may stay behind when this fails. */
	keys_generation = 0;
	*file_path = '\0';
	nkeys = 0;
	read_table();
	if (qms_seal_key_is_in_file())
		read_file();
	keys_generation = qms_inval_generation();
}

/* The key that new values are made with; NULL if there is none. */
const QmsSealKey *
qms_seal_key_current(QmsSealPurpose purpose)
{
	TimestampTz now = qms_clock_now();
	char		source = qms_seal_key_is_in_file() ? 'f' : 't';
	const QmsSealKey *best = NULL;
	int			i;

	refresh();
	for (i = 0; i < nkeys; i++)
	{
		if (keys[i].purpose == purpose && keys[i].source == source && keys[i].active_from <= now &&
			(keys[i].expires_at == QMS_NO_TIME || keys[i].expires_at > now) &&
			(best == NULL || keys[i].active_from > best->active_from))
			best = &keys[i];
	}
	return best;
}

/* The key that a value names; NULL if it is not there. */
const QmsSealKey *
qms_seal_key_named(QmsSealPurpose purpose, char source, int kid)
{
	int			i;

	refresh();
	for (i = 0; i < nkeys; i++)
	{
		if (keys[i].purpose == purpose && keys[i].source == source && keys[i].kid == kid)
			return &keys[i];
	}
	return NULL;
}

/* The keys of a purpose one by one, from n = 0; NULL behind the last. */
const QmsSealKey *
qms_seal_key_number(QmsSealPurpose purpose, int n)
{
	int			i;

	if (n == 0)
		refresh();
	for (i = 0; i < nkeys; i++)
	{
		if (keys[i].purpose == purpose && n-- == 0)
			return &keys[i];
	}
	return NULL;
}

/* Put a new key into the table, in use from that moment, or ever since.  Answers its kid. */
int
qms_seal_key_make(QmsSealPurpose purpose, TimestampTz active_from)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.signing_key (purpose, kid, algorithm, secret, active_from) "
								   "SELECT $1, coalesce(pg_catalog.max(kid), 0) + 1, $2, $3, coalesce($4, '-infinity') "
								   "FROM qms_internal.signing_key WHERE purpose = $1 RETURNING kid",
								   TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bytea	   *secret = palloc(VARHDRSZ + QMS_SEAL_KEY_SIZE);
	int			kid;

	SET_VARSIZE(secret, VARHDRSZ + QMS_SEAL_KEY_SIZE);
	qms_random(VARDATA(secret), QMS_SEAL_KEY_SIZE);
	qms_param_text(&params, purposes[purpose]);
	qms_param_text(&params, purpose == QMS_SEAL_DATA ? "AES-256-GCM" : "HMAC-SHA256");
	qms_param_pointer(&params, secret);
	qms_param_time(&params, active_from);
	qms_spi_run(&plan, &params);
	kid = qms_spi_int32(0, 0);
	explicit_bzero(VARDATA(secret), QMS_SEAL_KEY_SIZE);
	keys_generation = 0;
	return kid;
}

/*
 * Make the first keys, when the first organization is set up, unless a file is
 * to hold them.  They have been active ever since: a clock that steps back must
 * not leave us without.
 *
 * Lock: set-up, exclusive, so that two sessions do not both make key 1.
 */
void
qms_seal_ensure_keys(void)
{
	int			p;

	if (qms_seal_key_is_in_file())
		return;
	qms_lock(QMS_LOCK_SETUP, 0, true);
	keys_generation = 0;
	for (p = 0; p < QMS_SEAL_PURPOSES; p++)
	{
		if (qms_seal_key_current(p) == NULL)
			(void) qms_seal_key_make(p, QMS_NO_TIME);
	}
}
