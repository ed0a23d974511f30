/*
 * try.c
 *		Something that may fail without taking the transaction with it.
 */
#include "base/base.h"

#include "access/xact.h"
#include "utils/resowner.h"

/*
 * Run a function in a subtransaction.  NULL, or the error that it met, when what
 * it did is undone.  The result of the statement that SPI ran last is that of
 * before.
 */
ErrorData *
qms_try(void (*function) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	SPITupleTable *result = SPI_tuptable;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		function(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	SPI_tuptable = result;
	return error;
}
