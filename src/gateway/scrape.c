/*
 * scrape.c
 *		Who asks for /metrics waits here until the databases have answered, a few
 *		seconds at most; the loop goes on meanwhile.
 */
#include "net.h"

#include <string.h>

#define PATIENCE_MS 5000

static QmsConn *waiting = NULL;

/* It waits no more. */
void
qms_scrape_forget(QmsConn *conn)
{
	QmsConn   **at = &waiting;

	if (!conn->scraping)
		return;
	conn->scraping = false;
	while (*at != conn)
		at = &(*at)->next_scraping;
	*at = conn->next_scraping;
}

/* Its reply, whatever there is. */
int
qms_scrape_reply(QmsConn *conn)
{
	QmsText		text = {0};
	int			rc;

	qms_scrape_forget(conn);
	qms_metrics_write(&text);
	rc = qms_reply_text(conn, 200, "text/plain; version=0.0.4; charset=utf-8", "", text.data);
	qms_text_free(&text);
	return rc;
}

/* The databases have answered: replies are written when the sockets take them. */
static void
on_answers(void)
{
	QmsConn    *conn;

	for (conn = waiting; conn != NULL; conn = conn->next_scraping)
		if (!conn->dead)
			lws_callback_on_writable(conn->wsi);
}

/* They have not: what there is must do. */
static void
on_impatience(void *arg)
{
	QmsConn    *conn = arg;

	lws_callback_on_writable(conn->wsi);
}

/* A request for the figures. */
int
qms_scrape_begin(QmsConn *conn)
{
	bool		fresh = qms_hub_metrics_ask(on_answers);

	if (fresh || lws_hdr_total_length(conn->wsi, WSI_TOKEN_HEAD_URI) > 0)
		return qms_scrape_reply(conn);
	conn->stage = QMS_STAGE_REPLY;
	lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
	if (!qms_guard_start(conn))
		return -1;
	conn->scraping = true;
	conn->next_scraping = waiting;
	waiting = conn;
	qms_wheel_add(&conn->timer, PATIENCE_MS, on_impatience, conn);
	return 0;
}
