/*
 * publish.c
 *		Events of a database become publications of channels.
 *
 * Which channels an event belongs to is written here and in events_since; the
 * rights to read them are not decided here.
 */
#include "hub.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Columns of gateway_events, as database.c selects them. */
enum
{
	E_position, E_organization_id, E_branch_id, E_zone_id, E_queue_id, E_application_id,
	E_visit_id, E_is_system, E_recheck, E_public_text, E_full_text, E_system_text, E_visit_text,
	E_other_queue_id, E_resnapshot, E_at_us
};

#define KEY_SIZE 48

/* What different people may see of an event. */
typedef enum Form
{
	FULL, PUBLIC, SYSTEM, VISIT, FORMS
} Form;

typedef struct Event
{
	int64_t		position;
	int64_t		organization_id;
	int64_t		branch_id;		/* 0: none */
	const char *zone_id;		/* null: of every zone */
	const char *queue_id;
	const char *text[FORMS];	/* null: nothing */
	QmsFrame   *frame[FORMS];	/* made when the first channel wants it */
} Event;

/* Text of the database as a frame without line breaks, which separate messages. */
QmsFrame *
qms_publish_text(const char *text)
{
	size_t		size = strlen(text);
	QmsFrame   *frame = qms_frame_new(size);
	size_t		i;

	memcpy(frame->data, text, size);
	if (memchr(text, '\n', size) != NULL || memchr(text, '\r', size) != NULL)
		for (i = 0; i < size; i++)
			if (frame->data[i] == '\n' || frame->data[i] == '\r')
				frame->data[i] = ' ';
	return frame;
}

/* Does a display of one zone show it? */
static bool
is_of_zone(const QmsChannel *channel, const Event *event)
{
	const char *zone = strchr(strchr(channel->canonical, ':') + 1, ':');

	return zone == NULL || event->zone_id == NULL || strcmp(zone + 1, event->zone_id) == 0;
}

/* The event into the channels of a key such as display:7, and its displays of zones. */
static void
publish(QmsDatabase *db, Event *event, Form form, const char *kind, const char *id)
{
	QmsChannel *channel = NULL;
	char		key[KEY_SIZE];

	if (id == NULL || event->text[form] == NULL)
		return;
	snprintf(key, sizeof(key), "%s:%s", kind, id);
	while ((channel = qms_channel_next(db, channel, key)) != NULL)
	{
		if (channel->kind == QMS_DISPLAY && !is_of_zone(channel, event))
			continue;
		if (event->frame[form] == NULL)
			event->frame[form] = qms_publish_text(event->text[form]);
		channel->organization_id = event->organization_id;
		if (channel->kind == QMS_QUEUE && event->branch_id != 0 && id == event->queue_id)
			channel->branch_id = event->branch_id;
		qms_ring_append(channel, event->position, event->frame[form]);
		qms_hub.counters.publications++;
		if (channel->nsubs == 0)
			continue;
		if (channel->news_at == 0)
			channel->news_at = db->wake_at;
		qms_fanout_channel(channel);
	}
}

/*
 * What displays and queues show has changed, and no publication tells: they
 * get a snapshot that is not older than the event.  Those of which it is not
 * known yet where they belong get one as well.
 */
static void
renew(QmsDatabase *db, const Event *event)
{
	QmsChannel *channel = NULL;
	int			bucket = 0;

	while ((channel = qms_channels_next(db, &bucket, channel)) != NULL)
	{
		if (!qms_channel_is_state(channel) || channel->canonical == NULL ||
			(channel->organization_id != 0 && channel->organization_id != event->organization_id) ||
			(channel->branch_id != 0 && event->branch_id != 0 && channel->branch_id != event->branch_id))
			continue;
		channel->renew = event->position;
		if (channel->nsubs > 0)
			qms_fanout_channel(channel);
	}
}

/* Is a boolean column true? */
static bool
is_true(PGresult *result, int row, int column)
{
	const char *value = qms_result_text(result, row, column);

	return value != NULL && value[0] == 't';
}

/* Seconds from the moment of an event to now. */
static double
age_of(int64_t at_us)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000 - at_us) / 1e6;
}

/* One event into all its channels. */
static void
publish_row(QmsDatabase *db, PGresult *result, int row)
{
	const char *organization = qms_result_text(result, row, E_organization_id);
	const char *branch = qms_result_text(result, row, E_branch_id);
	Event		event;
	int			form;

	memset(&event, 0, sizeof(event));
	event.position = qms_result_int64(result, row, E_position);
	event.organization_id = qms_result_int64(result, row, E_organization_id);
	event.branch_id = qms_result_int64(result, row, E_branch_id);
	event.zone_id = qms_result_text(result, row, E_zone_id);
	event.queue_id = qms_result_text(result, row, E_queue_id);
	event.text[FULL] = qms_result_text(result, row, E_full_text);
	event.text[PUBLIC] = qms_result_text(result, row, E_public_text);
	event.text[SYSTEM] = qms_result_text(result, row, E_system_text);
	event.text[VISIT] = qms_result_text(result, row, E_visit_text);
	publish(db, &event, FULL, "staff", branch);
	publish(db, &event, FULL, "admin", organization);
	publish(db, &event, FULL, "application", qms_result_text(result, row, E_application_id));
	publish(db, &event, PUBLIC, "display", branch);
	if (is_true(result, row, E_is_system))
		publish(db, &event, SYSTEM, "system", organization);
	publish(db, &event, PUBLIC, "queue", event.queue_id);
	publish(db, &event, PUBLIC, "queue", qms_result_text(result, row, E_other_queue_id));
	publish(db, &event, VISIT, "visit", qms_result_text(result, row, E_visit_id));
	for (form = 0; form < FORMS; form++)
		qms_frame_unref(event.frame[form]);
	if (is_true(result, row, E_resnapshot))
		renew(db, &event);
	if (is_true(result, row, E_recheck))
		qms_recheck_organization(db, event.organization_id);
}

/* What one look at the stream brought, in order. */
void
qms_publish_rows(QmsDatabase *db, PGresult *result)
{
	int			rows = PQntuples(result);
	double		age = age_of(qms_result_int64(result, rows - 1, E_at_us));
	int			row;

	for (row = 0; row < rows; row++)
		publish_row(db, result, row);
	db->position = qms_result_int64(result, rows - 1, E_position);
	db->unfinished += rows;
	qms_hub.counters.events += rows;
	qms_hub.counters.wakes++;
	/* Looks without a doorbell tell nothing, nor do clocks that differ. */
	if (db->wake_at != 0 && age >= 0)
		qms_histogram_add(&qms_hub.counters.arrival, age);
}
