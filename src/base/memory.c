/*
 * memory.c
 *		Shared memory: each part of it is asked for and started in one place.
 *
 * Parts are registered while the library is preloaded, and nothing happens in a
 * library that is loaded otherwise: then there is no shared memory of ours, and
 * whoever wants to use a part finds its pointer null.
 */
#include "base/base.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define MAX_PARTS 32

static const QmsMemory *parts[MAX_PARTS];
static int	nparts = 0;
static shmem_request_hook_type prev_request_hook = NULL;
static shmem_startup_hook_type prev_startup_hook = NULL;

static void
request_memory(void)
{
	int			i;

	if (prev_request_hook)
		prev_request_hook();
	for (i = 0; i < nparts; i++)
	{
		RequestAddinShmemSpace(add_size(MAXALIGN(parts[i]->size()), parts[i]->more ? parts[i]->more() : 0));
		if (parts[i]->locks > 0)
			RequestNamedLWLockTranche(parts[i]->name, parts[i]->locks);
	}
}

static void
start_memory(void)
{
	int			i;

	if (prev_startup_hook)
		prev_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (i = 0; i < nparts; i++)
	{
		bool		found;
		void	   *memory = ShmemInitStruct(parts[i]->name, parts[i]->size(), &found);

		parts[i]->start(memory, found, parts[i]->locks > 0 ? GetNamedLWLockTranche(parts[i]->name) : NULL);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
qms_memory_register(const QmsMemory *part)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	Assert(nparts < MAX_PARTS);
	if (nparts == 0)
	{
		prev_request_hook = shmem_request_hook;
		shmem_request_hook = request_memory;
		prev_startup_hook = shmem_startup_hook;
		shmem_startup_hook = start_memory;
	}
	parts[nparts++] = part;
}
