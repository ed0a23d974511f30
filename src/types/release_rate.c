/*
 * release_rate.c
 *		qms.release_rate: 30/min, 5/s, 1000/h, 1.5/min.
 *
 * Sixteen bytes: millionths of people per unit, and the unit.  Everything that
 * orders, compares, hashes or multiplies goes through qms_types_rate_speed, an
 * exact integer, so these can never disagree; the unit is display only.
 */
#include "qms.h"

#include "common/int.h"
#include "datatype/timestamp.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"
#include "utils/timestamp.h"

#include "types/types.h"

#define TYPE_NAME "qms.release_rate"

StaticAssertDecl(sizeof(QmsReleaseRate) == 16, "CREATE TYPE qms.release_rate says 16 bytes");

PG_FUNCTION_INFO_V1(qms_release_rate_in);
PG_FUNCTION_INFO_V1(qms_release_rate_out);
PG_FUNCTION_INFO_V1(qms_release_rate_recv);
PG_FUNCTION_INFO_V1(qms_release_rate_send);
PG_FUNCTION_INFO_V1(qms_release_rate_released);
PG_FUNCTION_INFO_V1(qms_release_rate_per_second);

/* Text input. */
Datum
qms_release_rate_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	QmsReleaseRate *value = palloc(sizeof(*value));
	QmsRule		rule = qms_types_rate_parse(str, value);

	if (rule != QMS_RULE_KEPT)
		ereport(ERROR,
				(errcode(qms_types_rule_sqlstate(rule)),
				 errmsg("invalid value for type %s: \"%s\"", TYPE_NAME, str),
				 errdetail("%s", qms_types_rule_detail(rule)),
				 errhint("%s", qms_types_rule_hint(rule))));
	PG_RETURN_POINTER(value);
}

/* Text output. */
Datum
qms_release_rate_out(PG_FUNCTION_ARGS)
{
	char	   *str = palloc(QMS_RATE_TEXT_SIZE);

	qms_types_rate_print(PG_GETARG_RELEASE_RATE(0), str);
	PG_RETURN_CSTRING(str);
}

/* Binary input: millionths per unit, unit. */
Datum
qms_release_rate_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	QmsReleaseRate *value = palloc0(sizeof(*value));
	QmsRule		rule;

	value->millionths = pq_getmsgint64(buf);
	value->unit = (uint8) pq_getmsgbyte(buf);
	rule = qms_types_rate_check(value);
	if (rule != QMS_RULE_KEPT)
		qms_types_bad_binary(TYPE_NAME, rule);
	PG_RETURN_POINTER(value);
}

/* Binary output, see qms_release_rate_recv. */
Datum
qms_release_rate_send(PG_FUNCTION_ARGS)
{
	QmsReleaseRate *value = PG_GETARG_RELEASE_RATE(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint64(&buf, value->millionths);
	pq_sendbyte(&buf, value->unit);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

QMS_ORDERED_TYPE(qms_release_rate, qms_types_rate_speed)

/* An interval as microseconds, a day being 24 hours. */
static int64
interval_to_usec(const Interval *interval)
{
	int64		usec;

	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("elapsed time must not contain months or years"),
				 errdetail("A month has no fixed length."),
				 errhint("Give it in days or hours, or subtract two timestamps.")));
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &usec) ||
		pg_add_s64_overflow(usec, interval->time, &usec))
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("elapsed time is out of range"),
				 errdetail("In microseconds it must fit into 64 bits, which is about 292000 years."),
				 errhint("Give a shorter interval.")));
	if (usec < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("elapsed time must not be negative"),
				 errdetail("A rate releases people from its start onwards."),
				 errhint("Subtract the earlier timestamp from the later one.")));
	return usec;
}

/* released(rate, elapsed): how many people by then, rounded down. */
Datum
qms_release_rate_released(PG_FUNCTION_ARGS)
{
	int64		elapsed = interval_to_usec(PG_GETARG_INTERVAL_P(1));

	PG_RETURN_INT64(qms_types_rate_released(PG_GETARG_RELEASE_RATE(0), elapsed));
}

/* per_second(rate): for people and charts, not for arithmetic. */
Datum
qms_release_rate_per_second(PG_FUNCTION_ARGS)
{
	int64		speed = qms_types_rate_speed(PG_GETARG_RELEASE_RATE(0));

	PG_RETURN_FLOAT8((double) speed / ((double) QMS_RATE_SCALE * SECS_PER_DAY));
}
