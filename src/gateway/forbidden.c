/*
 * forbidden.c
 *		--try-forbidden WHAT: once the program serves it tries what the sandbox
 *		forbids, and says what came of it.  For the tests of the sandbox; whoever can
 *		give the option can do the same without the program.
 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

/* Each answers whether it succeeded; errno says why not. */

static bool
try_execve(void)
{
	char	   *argv[] = {(char *) "/bin/true", NULL};

	execv(argv[0], argv);
	return false;
}

static bool
try_execveat(void)
{
	char	   *argv[] = {(char *) "/bin/true", NULL};

	syscall(SYS_execveat, AT_FDCWD, argv[0], argv, environ, 0);
	return false;
}

static bool
try_fork(void)
{
	pid_t		pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool
try_raw_fork(void)
{
	long		pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool
try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
try_process_vm(void)
{
	char		byte;
	struct iovec to = {&byte, 1};

	return process_vm_readv(getppid(), &to, 1, &to, 1, 0) >= 0;
}

static bool
try_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

/* With bits above those that the kernel looks at. */
static bool
try_unix_socket_high(void)
{
	return syscall(SYS_socket, 0x100000000L | AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool
try_socketpair(void)
{
	int			pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

static bool
try_write_file(void)
{
	return open("/tmp/qms_gateway.forbidden", O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool
try_open_rdwr(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) >= 0;
}

static bool
try_openat2(void)
{
	unsigned long how[3] = {O_RDWR, 0, 0};

	return syscall(437, AT_FDCWD, "/dev/null", how, sizeof(how)) >= 0;
}

static bool
try_unlink(void)
{
	return unlink("/tmp/qms_gateway.forbidden") == 0;
}

static bool
try_rename(void)
{
	return rename("/tmp/qms_gateway.forbidden", "/tmp/qms_gateway.forbidden2") == 0;
}

static bool
try_chmod(void)
{
	return chmod("/tmp", 01777) == 0;
}

static bool
try_kill(void)
{
	return kill(getppid(), 0) == 0;
}

static bool
try_io_uring(void)
{
	char		params[256] = {0};

	return syscall(425, 4, params) >= 0;
}

static bool
try_wx_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
try_prlimit(void)
{
	struct rlimit limit;

	return prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == 0;
}

/* What must still work: names, TCP, threads, reading. */

static bool
try_getaddrinfo(void)
{
	struct addrinfo *found = NULL;
	struct addrinfo hints = {0};
	int			rc;

	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo("localhost", "1", &hints, &found);
	if (rc == 0)
		freeaddrinfo(found);
	return rc == 0;
}

static bool
try_tcp(void)
{
	struct sockaddr_in to = {0};
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool		good;

	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(1);
	good = fd >= 0 && (connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0 || errno == ECONNREFUSED);
	if (fd >= 0)
		close(fd);
	return good;
}

static void *
thread(void *arg)
{
	return arg;
}

static bool
try_thread(void)
{
	pthread_t	id;

	return pthread_create(&id, NULL, thread, NULL) == 0 && pthread_join(id, NULL) == 0;
}

static bool
try_read_file(void)
{
	int			fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Forbidden in the supervised form. */
static bool
try_read_outside(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0;
}

static const struct
{
	const char *name;
	bool		(*run) (void);
}			tries[] = {
	{"execve", try_execve}, {"execveat", try_execveat}, {"fork", try_fork}, {"raw-fork", try_raw_fork},
	{"ptrace", try_ptrace}, {"process-vm", try_process_vm}, {"unix-socket", try_unix_socket},
	{"unix-socket-high", try_unix_socket_high}, {"socketpair", try_socketpair}, {"write-file", try_write_file},
	{"open-rdwr", try_open_rdwr}, {"openat2", try_openat2}, {"unlink", try_unlink}, {"rename", try_rename},
	{"chmod", try_chmod}, {"kill", try_kill}, {"io-uring", try_io_uring}, {"wx-memory", try_wx_memory},
	{"prlimit", try_prlimit}, {"getaddrinfo", try_getaddrinfo}, {"tcp", try_tcp}, {"thread", try_thread},
	{"read-file", try_read_file}, {"read-outside", try_read_outside},
};

/* One of them, by its name. */
void
qms_try_forbidden(const char *what)
{
	size_t		i;

	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (strcmp(what, tries[i].name) == 0)
		{
			errno = 0;
			if (tries[i].run())
				qms_logf(QMS_LOG_WARNING, NULL, "try-forbidden %s: done", what);
			else
				qms_logf(QMS_LOG_WARNING, NULL, "try-forbidden %s: %s", what, strerror(errno));
			return;
		}
	qms_logf(QMS_LOG_WARNING, NULL, "try-forbidden %s: there is no such thing", what);
}
