/*
 * settings.c
 *		The settings of a queue: keys, defaults, units, checks.
 */
#include "config/config.h"

void
qms_settings_parse(const Jsonb *settings, bool is_release, QmsQueueSettings *out)
{
	memset(out, 0, sizeof(*out));
	out->max_number = 999;
	out->recall_limit = 3;
	out->defer_limit = 3;
	out->undo_window = USECS_PER_MINUTE;
	out->wanted_fallback = 15 * USECS_PER_MINUTE;
	out->priority_step = 5 * USECS_PER_MINUTE;
	out->is_public = true;
	out->opens_at = QMS_NO_TIME;
}
