/*
 * ordered.c
 *		What types whose order is that of an integer have in common.
 */
#include "qms.h"

#include "utils/sortsupport.h"

#include "types/types.h"

int
qms_types_compare(uint64 a, uint64 b)
{
	return (a > b) - (a < b);
}

#if SIZEOF_DATUM >= 8

/* Abbreviating always pays: the integer is the whole truth. */
static bool
never_abort(int memtupcount pg_attribute_unused(), SortSupport ssup pg_attribute_unused())
{
	return false;
}

#endif

/* Sorts compare integers. */
void
qms_types_sortsupport(SortSupport ssup, int (*compare) (Datum x, Datum y, SortSupport ssup),
					  Datum (*abbreviate) (Datum value, SortSupport ssup) pg_attribute_unused())
{
	ssup->comparator = compare;
#if SIZEOF_DATUM >= 8
	if (ssup->abbreviate)
	{
		ssup->comparator = ssup_datum_unsigned_cmp;
		ssup->abbrev_full_comparator = compare;
		ssup->abbrev_converter = abbreviate;
		ssup->abbrev_abort = never_abort;
	}
#endif
}
