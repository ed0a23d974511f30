/*
 * limit.c
 *		take_limit: rate limits for applications, out of the same buckets that
 *		hold logins and joins (auth/limit.c).
 */
#include "room/room.h"

#define MAX_BUCKET 200

QMS_FUNCTION(take_limit, QMS_ACT_LOOK, 0)
{
	char	   *bucket = qms_arg_text(call, 0, "bucket");
	char	   *allowance = qms_arg_text(call, 1, "allowance");
	QmsLimit	limit;
	int64		retry_after = 0;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (strlen(bucket) > MAX_BUCKET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bucket has %d bytes", (int) strlen(bucket)),
				 errdetail("The name of a bucket has at most %d bytes.", MAX_BUCKET),
				 errhint("Give a shorter name, such as a hash of it.")));
	if (!qms_limit_parse(allowance, &limit))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid allowance \"%s\"", allowance),
				 errdetail("It says how many may be taken in which span of time."),
				 errhint("Give a number and a span of time such as \"100/h\" or \"20/15 min\", or \"off\" for no limit.")));
	values[0] = BoolGetDatum(qms_limit_take_of(call->who->organization_id, bucket, &limit, &retry_after));
	values[1] = IntervalPGetDatum(qms_interval_make(retry_after));
	return qms_answer_tuple(call, values, nulls);
}
