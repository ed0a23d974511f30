/*
 * sketch.c
 *		A distribution of durations: counts in bins of equal ratio, so that two of
 *		them can be added and a quantile of the sum is as exact as one of each.
 *
 * The form is that of DDSketch (Masson, Rim, Lee 2019) with fixed bins.  Bin i
 * from 1 on holds durations from gamma^(i-1) to gamma^i seconds; what stands for
 * it, 2 gamma^i / (gamma + 1), is at most (gamma - 1) / (gamma + 1) = 1 % from each
 * of them (and half a microsecond, by rounding).
 */
#include "stats/stats.h"

#include <math.h>

#define GAMMA (1.01 / 0.99)
#define LN_GAMMA 0.020000666706669435
#define VERSION 1

/* The bin of a duration. */
static int
bin_of(int64 usec)
{
	double		seconds = (double) usec / USECS_PER_SEC;
	int			bin;

	if (seconds < 1)
		return 0;
	bin = (int) floor(log(seconds) / LN_GAMMA) + 1;
	return Min(bin, QMS_SKETCH_BINS - 1);
}

/* What stands for a bin, in microseconds. */
static int64
value_of(int bin)
{
	return bin == 0 ? 0 : (int64) rint(2 * exp(bin * LN_GAMMA) / (GAMMA + 1) * USECS_PER_SEC);
}

void
qms_sketch_add(QmsSketch *sketch, int64 usec)
{
	sketch->bins[bin_of(usec)]++;
	sketch->count++;
}

void
qms_sketch_merge(QmsSketch *into, const QmsSketch *from)
{
	int			i;

	for (i = 0; i < QMS_SKETCH_BINS && from->count > 0; i++)
		into->bins[i] += from->bins[i];
	into->count += from->count;
}

/* The duration that a part q of all does not exceed; -1: there is none. */
int64
qms_sketch_quantile(const QmsSketch *sketch, double q)
{
	int64		rank;
	int64		passed = 0;
	int			i;

	if (sketch->count == 0)
		return -1;
	/* As percentile_disc counts. */
	rank = Max((int64) ceil(q * sketch->count) - 1, 0);
	for (i = 0; i < QMS_SKETCH_BINS - 1; i++)
	{
		passed += sketch->bins[i];
		if (passed > rank)
			break;
	}
	return value_of(i);
}

/* How many were not longer: those of the bins that stand for no more. */
int64
qms_sketch_count_up_to(const QmsSketch *sketch, int64 usec)
{
	int64		n = 0;
	int			i;

	for (i = 0; i < QMS_SKETCH_BINS && value_of(i) <= usec; i++)
		n += sketch->bins[i];
	return n;
}

/* ---- as it is stored: version, then for each bin that holds something the gap to it and its count ---- */

/* Seven bits a byte, the lowest first; the eighth says that more follow. */
static uint8 *
put_number(uint8 *at, uint64 number)
{
	while (number >= 0x80)
	{
		*at++ = (uint8) number | 0x80;
		number >>= 7;
	}
	*at++ = (uint8) number;
	return at;
}

/* False if the bytes end before the number does, or it has more than 63 bits. */
static bool
take_number(const uint8 **at, const uint8 *end, int64 *number)
{
	uint64		result = 0;
	int			shift = 0;

	for (;;)
	{
		if (*at >= end || shift > 56)
			return false;
		result |= (uint64) (**at & 0x7f) << shift;
		shift += 7;
		if ((*(*at)++ & 0x80) == 0)
			break;
	}
	*number = (int64) result;
	return true;
}

bytea *
qms_sketch_pack(const QmsSketch *sketch)
{
	bytea	   *result = palloc(VARHDRSZ + 1 + QMS_SKETCH_BINS * 12);
	uint8	   *at = (uint8 *) VARDATA(result);
	int			last = 0;
	int			i;

	*at++ = VERSION;
	for (i = 0; i < QMS_SKETCH_BINS && sketch->count > 0; i++)
	{
		if (sketch->bins[i] == 0)
			continue;
		at = put_number(at, i - last);
		at = put_number(at, sketch->bins[i]);
		last = i;
	}
	SET_VARSIZE(result, at - (uint8 *) result);
	return result;
}

/* False if the bytes are not what pack makes. */
bool
qms_sketch_read(const uint8 *bytes, Size size, QmsSketch *sketch)
{
	const uint8 *end = bytes + size;
	int64		bin = 0;
	bool		first = true;

	memset(sketch, 0, sizeof(*sketch));
	if (size < 1 || *bytes++ != VERSION)
		return false;
	while (bytes < end)
	{
		int64		gap;
		int64		n;

		if (!take_number(&bytes, end, &gap) || !take_number(&bytes, end, &n) || (gap == 0 && !first) ||
			gap >= QMS_SKETCH_BINS || bin + gap >= QMS_SKETCH_BINS || n == 0 || n > PG_INT64_MAX - sketch->count)
			return false;
		bin += gap;
		sketch->bins[bin] = n;
		sketch->count += n;
		first = false;
	}
	return true;
}

void
qms_sketch_unpack(const struct varlena *packed, QmsSketch *sketch)
{
	struct varlena *plain = pg_detoast_datum_packed(unconstify(struct varlena *, packed));

	if (!qms_sketch_read((const uint8 *) VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain), sketch))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored value of type qms.wait_sketch is damaged")));
	if (plain != packed)
		pfree(plain);
}
