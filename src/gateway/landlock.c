/*
 * landlock.c
 *		Which files can be read once the program serves, if the kernel has Landlock
 *		(5.13, and Debian since 12).  Only in the supervised form: there it runs as
 *		the operating system's user of the server, who may read the data folder and
 *		the keys; by hand a connection string may name files anywhere.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* All that the first version of Landlock can refuse. */
#define ALL_ACCESS ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* Libraries, names, time zones, randomness, and what the process is itself. */
static const char *const readable[] = {
	"/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share", "/usr/local/lib", "/usr/local/share", "/lib", "/lib64",
	"/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
	"/etc/protocols", "/etc/passwd", "/etc/localtime", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf", "/etc/ssl/certs",
	"/etc/pki/tls", "/etc/crypto-policies", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
	"/proc/self", "/sys/devices/system/cpu", "/dev/null", "/dev/urandom", "/dev/random"
};

/* One path more, with what is below it; one that is not there is none. */
static bool
allow(int rules, const char *path)
{
	struct landlock_path_beneath_attr beneath;
	struct stat st;
	bool		good = true;
	int			fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return true;
	if (fstat(fd, &st) == 0)
	{
		beneath.parent_fd = fd;
		beneath.allowed_access = S_ISDIR(st.st_mode) ? READING : LANDLOCK_ACCESS_FS_READ_FILE;
		good = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
	}
	close(fd);
	return good;
}

/* A certificate or key, and its folder, where a renewed one will be; but not if that is the data folder. */
static bool
allow_renewed(int rules, const char *path)
{
	char	   *copy = qms_copy(path);
	char	   *real = realpath(path, NULL);
	QmsText		version = {0};
	bool		good = allow(rules, path);

	qms_text_printf(&version, "%s/PG_VERSION", dirname(copy));
	if (good && access(version.data, F_OK) != 0)
		good = allow(rules, copy);
	if (good && real != NULL)
		good = allow(rules, real);
	qms_text_free(&version);
	free(real);
	free(copy);
	return good;
}

/* From now on nothing else is read, written or made.  False: the kernel knows it and refuses. */
bool
qms_landlock_enter(const QmsConfig *config)
{
	struct landlock_ruleset_attr attributes = {0};
	bool		good = true;
	size_t		i;
	int			rules;

	attributes.handled_access_fs = ALL_ACCESS;
	rules = (int) syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0);
	if (rules < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP;
	for (i = 0; i < sizeof(readable) / sizeof(readable[0]) && good; i++)
		good = allow(rules, readable[i]);
	if (good && config->pages[0] != '\0')
		good = allow(rules, config->pages);
	if (good && config->tls_cert[0] != '\0')
		good = allow_renewed(rules, config->tls_cert) && allow_renewed(rules, config->tls_key);
	if (good)
		good = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
	close(rules);
	return good;
}
