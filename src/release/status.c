/*
 * status.c
 *		What a waiting room does: release_status, and the answer of those who
 *		change it.
 */
#include "release/release.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* Columns of qms.release_state. */
enum
{
	R_queue_id, R_release_pool_id, R_state, R_rate, R_effective_rate, R_load_factor, R_no_show, R_inside, R_max_active,
	R_pool_inside, R_pool_max_active, R_released, R_claimed, R_missed, R_ended, R_waiting, R_next_release_at, R_stopped_at,
	R_opens_at, R_drawn_at, R_COLUMNS
};

static void
set_time(Datum *values, bool *nulls, int column, TimestampTz value)
{
	nulls[column] = value == QMS_NO_TIME || value == DT_NOEND;
	values[column] = TimestampTzGetDatum(value);
}

static void
set_limit(Datum *values, bool *nulls, int column, int32 value)
{
	nulls[column] = value == 0;
	values[column] = Int32GetDatum(value);
}

/* A speed as a rate in the unit that people have chosen; NULL: nothing moves. */
static QmsReleaseRate *
rate_of_speed(int64 speed, uint8 unit)
{
	static const int per_day[] = {86400, 1440, 24, 1};
	QmsReleaseRate *rate = palloc0(sizeof(QmsReleaseRate));

	rate->unit = unit;
	rate->millionths = speed / per_day[unit];
	return rate->millionths > 0 ? rate : NULL;
}

/* The rate that the queue is set to, its own or its pool's. */
static QmsReleaseRate *
rate_set(const QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN("SELECT rate FROM qms.release_pool WHERE release_pool_id = $1", INT8OID);
	QmsReleaseRate *rate = palloc(sizeof(QmsReleaseRate));
	QmsParams	params = {0};
	bool		isnull;

	if (queue->release_pool_id != 0)
	{
		qms_param_int64(&params, queue->release_pool_id);
		if (qms_spi_look(&plan, &params) == 0)
			return NULL;
		memcpy(rate, DatumGetPointer(qms_spi_datum(0, 0, &isnull)), sizeof(QmsReleaseRate));
		return rate;
	}
	if (queue->settings.rate == NULL || qms_types_rate_parse(queue->settings.rate, rate) != QMS_RULE_KEPT)
		return NULL;
	return rate;
}

/* What people see of it in one word. */
static const char *
state_of(const QmsQueue *queue, const QmsGateQueue *q, const QmsReleaseFigures *figures, TimestampTz now)
{
	if (figures->stopped_at != QMS_NO_TIME)
		return "stopped";
	if (queue->status == 'p')
		return "paused";
	if (q != NULL && q->starts_at > now)
		return "not_open_yet";
	if (queue->rate_speed == 0)
		return "by_hand";
	if ((queue->settings.max_active > 0 && figures->inside >= queue->settings.max_active) ||
		(queue->pool_max_active > 0 && figures->pool_inside >= queue->pool_max_active))
		return "full";
	return "releasing";
}

/* When the next person can be let in, if somebody waits; DT_NOEND: nobody knows. */
static TimestampTz
next_release(const QmsGate *gate, const QmsGateQueue *q, const char *state, TimestampTz now)
{
	TimestampTz due;

	if (gate == NULL || q == NULL)
		return DT_NOEND;
	if (strcmp(state, "not_open_yet") == 0)
		return q->starts_at;
	if (strcmp(state, "releasing") != 0)
		return DT_NOEND;
	due = qms_segment_due(&gate->segment, gate->released + 1);
	return due == PG_INT64_MAX ? DT_NOEND : Max(due, now);
}

static void
set_rates(const QmsQueue *queue, const QmsReleaseFigures *figures, Datum *values, bool *nulls)
{
	QmsReleaseRate *rate = rate_set(queue);
	QmsReleaseRate *effective = rate_of_speed(figures->gate_speed, rate != NULL ? rate->unit : QMS_PER_MINUTE);

	nulls[R_rate] = rate == NULL;
	values[R_rate] = PointerGetDatum(rate);
	nulls[R_effective_rate] = effective == NULL;
	values[R_effective_rate] = PointerGetDatum(effective);
	values[R_load_factor] = Float8GetDatum(figures->load_factor / 1000.0);
	values[R_no_show] = Float8GetDatum(figures->no_show / 1000.0);
}

/* A row of qms.release_state. */
Datum
qms_release_answer(QmsCall *call, QmsQueue *queue)
{
	QmsGate    *gate = qms_gate_read(qms_release_gate_of(queue), queue->organization_id);
	QmsGateQueue *q = gate == NULL ? NULL : qms_gate_queue_of(gate, queue->queue_id);
	QmsReleaseFigures figures;
	Datum		values[R_COLUMNS] = {0};
	bool		nulls[R_COLUMNS] = {0};
	QmsPlace	place;
	const char *state;

	(void) qms_release_figures(queue, &figures);
	qms_place_of(queue, PG_INT64_MAX, PG_INT64_MAX, call->now, &place);
	state = state_of(queue, q, &figures, call->now);
	values[R_queue_id] = Int64GetDatum(queue->queue_id);
	nulls[R_release_pool_id] = queue->release_pool_id == 0;
	values[R_release_pool_id] = Int64GetDatum(queue->release_pool_id);
	values[R_state] = CStringGetTextDatum(state);
	set_rates(queue, &figures, values, nulls);
	values[R_inside] = Int64GetDatum(figures.inside);
	set_limit(values, nulls, R_max_active, queue->settings.max_active);
	nulls[R_pool_inside] = queue->release_pool_id == 0;
	values[R_pool_inside] = Int64GetDatum(figures.pool_inside);
	set_limit(values, nulls, R_pool_max_active, queue->pool_max_active);
	values[R_released] = Int64GetDatum(figures.released);
	values[R_claimed] = Int64GetDatum(figures.claimed);
	values[R_missed] = Int64GetDatum(figures.missed);
	values[R_ended] = Int64GetDatum(figures.ended);
	values[R_waiting] = Int64GetDatum(place.people_ahead);
	set_time(values, nulls, R_next_release_at, next_release(gate, q, state, call->now));
	set_time(values, nulls, R_stopped_at, figures.stopped_at);
	set_time(values, nulls, R_opens_at, queue->settings.opens_at);
	set_time(values, nulls, R_drawn_at, qms_lottery_drawn(queue));
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(release_status, QMS_ACT_LOOK, 0)
{
	return qms_release_answer(call, qms_release_queue(call, qms_arg_id(call, 0, "queue_id")));
}
