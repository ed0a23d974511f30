/*
 * pool.c
 *		How fast a release queue lets people in, and with whom it shares that.
 */
#include "config/config.h"
#include "types/types.h"

/*
 * From the present result: release_pool_id, and the pool's rate and max_active, in
 * this column and the next ones.  A queue without a pool has a rate of its own.
 */
void
qms_config_read_pool(QmsQueue *queue, int column)
{
	QmsReleaseRate rate;
	Datum		of_pool;
	bool		isnull;

	queue->release_pool_id = qms_spi_int64(0, column);
	queue->pool_max_active = qms_spi_int32(0, column + 2);
	of_pool = qms_spi_datum(0, column + 1, &isnull);
	if (!isnull)
		queue->rate_speed = qms_types_rate_speed((QmsReleaseRate *) DatumGetPointer(of_pool));
	else if (queue->settings.rate != NULL && qms_types_rate_parse(queue->settings.rate, &rate) == QMS_RULE_KEPT)
		queue->rate_speed = qms_types_rate_speed(&rate);
}
