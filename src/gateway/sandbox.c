/*
 * sandbox.c
 *		What the program may not do once it serves.  It talks to the whole network,
 *		and in the supervised form it runs as the server's operating system user: if
 *		somebody takes it over, he must not become that user.
 *
 * Two answers.  What nothing in this program or its libraries ever does (starting
 * a program, looking into another process) kills the process: it has been taken
 * over, and the supervisor starts another.  What a library may try in good faith
 * (nscd's Unix socket in getaddrinfo, a file for writing, a system call newer than
 * the filter) answers EPERM or ENOSYS, and the library goes on without it.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* The sanitizers fork, trace and write reports, so their builds have no filter. */
#if defined(__SANITIZE_ADDRESS__)
#define NO_FILTER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define NO_FILTER
#endif
#endif

#ifndef NO_FILTER
const bool	qms_sandbox_built = true;

/* Never asked for by anybody in good faith. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev)
};

/*
 * System calls that came after this list of refusals was thought through: numbers
 * from 424 are the same on all machines.  ENOSYS makes libraries fall back to the
 * older call, whose arguments can be inspected (clone3, openat2, io_uring).
 */
#define FIRST_NEW_CALL 424
#define LAST_NEW_CALL 511

static const int harmless_new[] = {
	436 /* close_range */ , 439 /* faccessat2 */ , 441 /* epoll_pwait2 */ , 449 /* futex_waitv */ ,
	454 /* futex_wake */ , 455 /* futex_wait */ , 456 /* futex_requeue */
};

/* Changing files, other processes, or what the process is. */
static const int refused[] = {
	SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(creat), SCMP_SYS(truncate), SCMP_SYS(ftruncate),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
	SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(chmod),
	SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchown), SCMP_SYS(lchown),
	SCMP_SYS(fchownat), SCMP_SYS(utime), SCMP_SYS(utimes), SCMP_SYS(utimensat), SCMP_SYS(setxattr),
	SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr), SCMP_SYS(lremovexattr),
	SCMP_SYS(fremovexattr), SCMP_SYS(fallocate), SCMP_SYS(open_by_handle_at), SCMP_SYS(memfd_create),
	SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(kcmp),
	SCMP_SYS(setpriority), SCMP_SYS(sched_setaffinity),
	SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(shmctl), SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semctl),
	SCMP_SYS(msgget), SCMP_SYS(msgsnd), SCMP_SYS(msgrcv), SCMP_SYS(mq_open),
	SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
	SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(capset), SCMP_SYS(chroot), SCMP_SYS(pivot_root),
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key),
	SCMP_SYS(request_key), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load),
	SCMP_SYS(quotactl), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(reboot), SCMP_SYS(acct),
	SCMP_SYS(personality), SCMP_SYS(socketpair)
};

/* The kernel looks at the lower half of an int's register only, so the filter must, too. */
#define INT_BITS UINT64_C(0xffffffff)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One answer for all calls of a list; a call that this machine does not have is none. */
static int
add_list(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n)
{
	size_t		i;
	int			rc = 0;

	for (i = 0; i < n && rc == 0; i++)
	{
		rc = seccomp_rule_add(filter, action, calls[i], 0);
		if (rc == -EDOM || rc == -EOPNOTSUPP)
			rc = 0;
	}
	return rc;
}

/* Calls without a name here: not there. */
static int
add_new_calls(scmp_filter_ctx filter)
{
	int			call,
				rc = 0;
	size_t		i;

	for (call = FIRST_NEW_CALL; call <= LAST_NEW_CALL && rc == 0; call++)
	{
		for (i = 0; i < COUNT(harmless_new); i++)
			if (harmless_new[i] == call)
				break;
		if (i == COUNT(harmless_new))
			rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0);
	}
	return rc;
}

/* No file is opened for writing, whichever flag asks for it. */
static int
add_open(scmp_filter_ctx filter, int call, unsigned int flags_at)
{
	static const struct
	{
		int			mask,
					value;
	}			writing[] = {
		{O_ACCMODE, O_WRONLY}, {O_ACCMODE, O_RDWR}, {O_ACCMODE, O_ACCMODE}, {O_CREAT, O_CREAT}, {O_TRUNC, O_TRUNC}
	};
	size_t		i;
	int			rc = 0;

	for (i = 0; i < COUNT(writing) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1,
							  SCMP_CMP(flags_at, SCMP_CMP_MASKED_EQ, writing[i].mask, writing[i].value));
	return rc;
}

/* What depends on arguments. */
static int
add_conditions(scmp_filter_ctx filter)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	const scmp_datum_t pid = (scmp_datum_t) getpid();
	int			rc;

	rc = add_open(filter, SCMP_SYS(open), 1);
	if (rc == 0)
		rc = add_open(filter, SCMP_SYS(openat), 2);
	/* Without such sockets there is nothing to connect with. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, INT_BITS, AF_UNIX));
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
	/* Threads, no processes. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	/* Signals to nobody else: abort() sends one to us. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_NE, pid, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, pid, 0));
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	/* No typing into the terminal of whoever started us. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, INT_BITS, TIOCSTI));
	/* No memory that is written and then run. */
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(mmap), 1,
							  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_WRITE | PROT_EXEC));
	if (rc == 0)
		rc = seccomp_rule_add(filter, no, SCMP_SYS(mprotect), 1,
							  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	return rc;
}

/* From now on.  False: the kernel or the library does not do it. */
bool
qms_sandbox_enter(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int			rc;

	if (filter == NULL)
		return false;
	/* All threads; calls of another architecture kill (the library's default). */
	rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
	if (rc == 0)
		rc = add_list(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	if (rc == 0)
		rc = add_new_calls(filter);
	if (rc == 0)
		rc = add_list(filter, SCMP_ACT_ERRNO(EPERM), refused, COUNT(refused));
	if (rc == 0)
		rc = add_conditions(filter);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc != 0)
		qms_log(QMS_LOG_WARNING, "could not restrict the program's system calls", strerror(-rc), NULL);
	return rc == 0;
}

#else

const bool	qms_sandbox_built = false;

/* A build with a sanitizer: nothing is restricted. */
bool
qms_sandbox_enter(void)
{
	return true;
}

#endif

/* Before anything is opened: only standard input, output and error are ours. */
void
qms_sandbox_begin(bool supervised, pid_t parent)
{
	int			fd;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3, ~0U, 0) != 0)
#endif
		for (fd = 3; fd < 65536; fd++)
			close(fd);
	if (!supervised)
		return;
	/* Gone with the worker that started us, also if it was gone before this call. */
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
}
