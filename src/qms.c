/*
 * qms.c
 *		Magic block and the table of contents of start-up.
 */
#include "qms.h"

#include "access/access.h"
#include "entry/entry.h"
#include "metrics/metrics.h"
#include "queue/queue.h"
#include "release/release.h"
#include "worker/gateway.h"

#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

bool		qms_is_preloaded = false;

void		_PG_init(void);

void
_PG_init(void)
{
	qms_is_preloaded = process_shared_preload_libraries_in_progress;
	qms_clock_define_settings();
	qms_address_define_settings();
	qms_limit_init();
	qms_seen_init();
	qms_key_file_define_setting();
	qms_sign_in_init();
	qms_slot_init();
	qms_heartbeat_init();
	qms_seal_define_settings();
	qms_refusal_init();
	qms_session_hint_init();
	qms_release_init();
	qms_entry_init();
	qms_counters_init();
	qms_timing_init();
	qms_worker_init();
	qms_gateway_init();
	qms_health_init();
	qms_alert_define_settings();
	MarkGUCPrefixReserved("qms");
}
