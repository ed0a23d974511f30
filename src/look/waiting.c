/*
 * waiting.c
 *		Who waits for a counter, or in a queue.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* qms.waiting_ticket, in its order. */
enum
{
	W_place, W_ticket_id, W_visit_id, W_number, W_queue_id, W_queue_name, W_service_id,
	W_customer_class, W_state, W_hold_kind, W_hold_reason, W_resume_at, W_priority, W_language,
	W_joined_at, W_effective_arrival, W_waited, W_may_call, W_wanted_counter_id, W_wanted_staff_id,
	W_customer_id, W_subject, W_contact, W_metadata, W_notes, W_COLUMNS
};

static const struct
{
	int			answer;
	int			ticket;
	bool		blind;			/* also under a blind profile */
}			same[] = {
	{W_ticket_id, T_ticket_id, false}, {W_visit_id, T_visit_id, false}, {W_number, T_number, true},
	{W_queue_id, T_queue_id, true}, {W_service_id, T_service_id, false}, {W_state, T_state, true},
	{W_hold_kind, T_hold_kind, false}, {W_hold_reason, T_hold_reason, false},
	{W_resume_at, T_resume_at, false}, {W_priority, T_priority, false},
	{W_language, T_language, false}, {W_joined_at, T_joined_at, false},
	{W_effective_arrival, T_effective_arrival, false},
	{W_wanted_counter_id, T_wanted_counter_id, false},
	{W_wanted_staff_id, T_wanted_staff_id, false}, {W_customer_id, T_customer_id, false},
	{W_subject, T_subject, false}, {W_metadata, T_metadata, false}, {W_notes, T_notes, false}
};

typedef struct Place
{
	QmsTicket  *ticket;
	bool		may_call;
} Place;

typedef struct Line
{
	Place	   *places;
	int			n;
	int			max;
} Line;

typedef struct Look
{
	QmsCall    *call;
	QmsSession *session;		/* NULL: of a queue, or the counter is closed */
	bool		blind;
	int32		max_rows;
} Look;

/*
 * $1 queue, $2 most rows, $3 class, $4 counter, $5 staff, $6 skills, $7 now.
 * Whether the counter may call the ticket is decided as in pick.c.
 */
#define WHOLE_ROW \
	"SELECT %s, (t.wanted_counter_id IS NULL OR t.wanted_counter_id = $4 OR t.wanted_until <= $7 OR NOT EXISTS (" \
	"SELECT FROM qms.staff_session w WHERE w.counter_id = t.wanted_counter_id AND w.closed_at IS NULL)) " \
	"AND (t.wanted_staff_id IS NULL OR t.wanted_staff_id = $5 OR t.wanted_until <= $7 OR NOT EXISTS (" \
	"SELECT FROM qms.staff_session w WHERE w.staff_id = t.wanted_staff_id AND w.closed_at IS NULL)) " \
	"AND (t.requires_skill IS NULL OR t.requires_skill <@ $6) FROM qms.ticket t WHERE t.queue_id = $1 "
#define IN_ORDER "ORDER BY t.sort_key, t.ticket_id LIMIT $2"
#define ARGUMENTS INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TIMESTAMPTZOID

/*
 * The first ones of a source, waiting or on hold.  Each statement walks an
 * index in its order, so a line of a million people costs no more.
 */
static uint64
run_source(const Look *look, const QmsSource *source, bool on_hold)
{
	static QmsPlan any = QMS_PLAN(NULL, ARGUMENTS);
	static QmsPlan class = QMS_PLAN(NULL, ARGUMENTS);
	static QmsPlan held = QMS_PLAN(NULL, ARGUMENTS);
	QmsParams	params = {0};
	QmsPlan    *plan;

	if (on_hold)
		plan = qms_table_plan(&qms_ticket_table, &held, WHOLE_ROW
							  "AND t.state = 'on_hold' AND ($3 IS NULL OR t.customer_class_id = $3) " IN_ORDER);
	else if (source->customer_class_id != 0)
		plan = qms_table_plan(&qms_ticket_table, &class, WHOLE_ROW
							  "AND t.state = 'waiting' AND t.by_class AND t.customer_class_id = $3 " IN_ORDER);
	else
		plan = qms_table_plan(&qms_ticket_table, &any, WHOLE_ROW "AND t.state = 'waiting' " IN_ORDER);
	qms_param_int64(&params, source->queue_id);
	qms_param_int64(&params, look->max_rows);
	qms_param_id(&params, source->customer_class_id);
	qms_param_id(&params, look->session ? qms_row_int64(look->session, S_counter_id) : 0);
	qms_param_id(&params, look->session ? qms_row_int64(look->session, S_staff_id) : 0);
	qms_param_pointer(&params, look->session ? qms_row_pointer(look->session, S_skills) : NULL);
	qms_param_time(&params, look->call->now);
	return qms_spi_run(plan, &params);
}

static void
read_source(const Look *look, Line *line, const QmsSource *source, bool on_hold)
{
	uint64		n;
	uint64		i;

	/* A source may have been deleted after the profile was made. */
	if (qms_config_queue(source->queue_id) == NULL)
		return;
	n = run_source(look, source, on_hold);
	if (n == 0)
		return;
	line->max += n;
	line->places = line->places == NULL ? palloc(sizeof(Place) * line->max) :
		repalloc(line->places, sizeof(Place) * line->max);
	for (i = 0; i < n; i++)
	{
		line->places[line->n].ticket = qms_row_fetch(&qms_ticket_table, i, 0);
		line->places[line->n].may_call = qms_spi_bool(i, T_COLUMNS);
		line->n++;
	}
}

static int
compare_places(const void *a, const void *b)
{
	const QmsTicket *x = ((const Place *) a)->ticket;
	const QmsTicket *y = ((const Place *) b)->ticket;
	int64		of_x = qms_row_int64(x, T_sort_key);
	int64		of_y = qms_row_int64(y, T_sort_key);

	if (of_x == of_y)
	{
		of_x = qms_row_int64(x, T_ticket_id);
		of_y = qms_row_int64(y, T_ticket_id);
	}
	return of_x < of_y ? -1 : of_x > of_y;
}

/* Everybody of some sources in one line, the next first. */
static void
read_line(const Look *look, Line *line, const QmsProfile *profile, bool on_hold)
{
	int			i;
	int			n = 0;

	for (i = 0; i < profile->nsources; i++)
		read_source(look, line, &profile->sources[i], on_hold);
	if (line->n == 0)
		return;
	qsort(line->places, line->n, sizeof(Place), compare_places);
	/* A class may be named beside its whole queue. */
	for (i = 0; i < line->n; i++)
	{
		if (n == 0 || compare_places(&line->places[n - 1], &line->places[i]) != 0)
			line->places[n++] = line->places[i];
	}
	line->n = Min(n, look->max_rows);
}

static void
answer_place(const Look *look, const Place *place, int32 number)
{
	const QmsTicket *ticket = place->ticket;
	Datum		values[W_COLUMNS] = {0};
	bool		nulls[W_COLUMNS];
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	QmsClass   *class = qms_config_class_by_id(qms_row_int64(ticket, T_customer_class_id));
	size_t		i;

	memset(nulls, true, sizeof(nulls));
	for (i = 0; i < lengthof(same); i++)
	{
		if (look->blind && !same[i].blind)
			continue;
		nulls[same[i].answer] = qms_row_isnull(ticket, same[i].ticket);
		values[same[i].answer] = ticket->values[same[i].ticket];
	}
	nulls[W_place] = number == 0;
	values[W_place] = Int32GetDatum(number);
	qms_look_set_text(values, nulls, W_queue_name, queue ? queue->name : NULL);
	nulls[W_waited] = false;
	values[W_waited] = IntervalPGetDatum(
										 qms_interval_make(Max(look->call->now - qms_row_time(ticket, T_entered_at), 0)));
	if (!look->blind)
	{
		qms_look_set_text(values, nulls, W_customer_class, class ? class->name : NULL);
		nulls[W_may_call] = look->session == NULL;
		values[W_may_call] = BoolGetDatum(place->may_call);
		qms_ticket_show_contact(look->call, ticket, false, &values[W_contact], &nulls[W_contact]);
	}
	qms_answer_row(look->call, values, nulls);
}

static void
answer_lines(const Look *look, const QmsProfile *profile)
{
	Line		waiting = {0};
	Line		on_hold = {0};
	int			i;

	read_line(look, &waiting, profile, false);
	read_line(look, &on_hold, profile, true);
	for (i = 0; i < waiting.n; i++)
		answer_place(look, &waiting.places[i], i + 1);
	for (i = 0; i < on_hold.n; i++)
		answer_place(look, &on_hold.places[i], 0);
}

static void
look_at_counter(Look *look, int64 counter_id)
{
	QmsCounter *counter = qms_counter_needed(look->call, counter_id);
	QmsProfile *profile;

	look->session = qms_session_read(counter_id);
	look->blind = qms_look_is_blind(look->call);
	profile = qms_session_profile(look->session, counter);
	look->blind = look->blind || profile->blind;
	answer_lines(look, profile);
}

static void
look_at_queue(Look *look, int64 queue_id)
{
	QmsSource	source = {queue_id, 0, 1.0};
	QmsProfile	profile = {.nsources = 1, .sources = &source};
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(look->call, queue);
	look->blind = qms_look_is_blind(look->call);
	answer_lines(look, &profile);
}

QMS_FUNCTION(waiting_list, QMS_ACT_LOOK, QMS_SETOF)
{
	int64		counter_id = qms_arg_id_or_0(call, 0, "counter_id");
	int64		queue_id = qms_arg_id_or_0(call, 1, "queue_id");
	Look		look = {.call = call, .max_rows = qms_look_max_rows(call, 2)};

	if ((counter_id == 0) == (queue_id == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("waiting_list needs either counter_id or queue_id"),
				 errhint("Give exactly one of the two.")));
	if (counter_id != 0)
		look_at_counter(&look, counter_id);
	else
		look_at_queue(&look, queue_id);
	return qms_answer_none(call);
}
