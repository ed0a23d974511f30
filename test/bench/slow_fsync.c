/*
 * slow_fsync.c
 *		Preloaded into the server of the benchmark: fsync and fdatasync last at
 *		least 2 ms, as on a disk without a write cache of its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#define LEAST_NSEC 2000000L

static int
slowly(const char *name, int fd)
{
	int			(*real) (int) = (int (*) (int)) dlsym(RTLD_NEXT, name);
	struct timespec until;
	int			rc;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LEAST_NSEC;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	rc = real(fd);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		;
	return rc;
}

int
fsync(int fd)
{
	return slowly("fsync", fd);
}

int
fdatasync(int fd)
{
	return slowly("fdatasync", fd);
}
