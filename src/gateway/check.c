/*
 * check.c
 *		Questions about rights, asked in batches: one statement for all that came
 *		up in a turn of the loop, and one statement at a time.
 *
 * The gateway believes no token; the database reads it and says what its
 * bearer may do.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

/* Columns of gateway_check, as database.c selects them. */
enum
{
	K_n, K_code, K_expires_at, K_organization_id, K_subject, K_channels, K_canonical
};

/* A question of its kind, to be given to somebody. */
QmsCheck *
qms_check_new(QmsCheckKind kind)
{
	QmsCheck   *check = qms_alloc(sizeof(QmsCheck));

	check->kind = kind;
	return check;
}

/* At the end of the queue. */
static void
push(QmsChecks *checks, QmsCheck *check)
{
	check->next = NULL;
	if (checks->last == NULL)
		checks->first = check;
	else
		checks->last->next = check;
	checks->last = check;
	checks->count++;
}

/* From the beginning of the queue. */
static QmsCheck *
pop(QmsChecks *checks)
{
	QmsCheck   *check = checks->first;

	checks->first = check->next;
	if (checks->first == NULL)
		checks->last = NULL;
	checks->count--;
	return check;
}

/* Whose question is it?  Null: nobody waits for the answer any more. */
static QmsDatabase *
database_of(const QmsCheck *check)
{
	if (check->client != NULL)
		return check->client->db;
	if (check->sub != NULL)
		return check->sub->client->db;
	return check->channel == NULL ? NULL : check->channel->db;
}

/* Ask with the next batch; the check points to who asks, and he to it. */
void
qms_check_ask(QmsCheck *check)
{
	QmsDatabase *db = database_of(check);

	/* Without a token anybody may connect. */
	if (check->kind == QMS_CHECK_CONNECT && check->client->token == NULL)
		push(&db->local, check);
	else
		push(&db->checks, check);
	qms_hub_busy();
}

/* He who asked does not wait any more; the check is freed with its batch. */
void
qms_check_forget(QmsCheck *check)
{
	if (check == NULL)
		return;
	if (check->client != NULL)
		check->client->check = NULL;
	if (check->sub != NULL)
		check->sub->check = NULL;
	if (check->channel != NULL)
		check->channel->check = NULL;
	check->client = NULL;
	check->sub = NULL;
	check->channel = NULL;
}

/* The end of a check. */
static void
free_check(QmsCheck *check)
{
	qms_check_forget(check);
	free(check->token);
	free(check);
}

/* Give an answer to him who asked. */
static void
answer_check(QmsCheck *check, const QmsAnswer *answer)
{
	QmsClient  *client = check->client;
	QmsSub	   *sub = check->sub;
	QmsChannel *channel = check->channel;

	qms_check_forget(check);
	switch (check->kind)
	{
		case QMS_CHECK_CONNECT:
			if (client != NULL)
				qms_client_connect_answer(client, answer);
			break;
		case QMS_CHECK_REFRESH:
			if (client != NULL)
				qms_client_refresh_answer(client, check, answer);
			break;
		case QMS_CHECK_CONNECT_AGAIN:
			if (client != NULL)
				qms_client_again_answer(client, answer);
			break;
		case QMS_CHECK_SUBSCRIBE:
		case QMS_CHECK_SUB_REFRESH:
		case QMS_CHECK_SUBSCRIBE_AGAIN:
			if (sub != NULL)
				qms_sub_answer(sub, check, answer);
			break;
		case QMS_CHECK_PUBLIC:
			if (channel != NULL)
				qms_sub_public_answer(channel, answer);
			break;
	}
}

/* A member with a string. */
static void
put_member(QmsText *out, const char *name, const char *value)
{
	if (value == NULL)
		return;
	qms_text_printf(out, ",\"%s\":", name);
	qms_text_json_string(out, value);
}

/* One request of gateway_check. */
static void
put_request(QmsText *out, const QmsCheck *check, int n)
{
	const QmsSub *sub = check->sub;

	qms_text_printf(out, "%s{\"n\":%d,\"do\":\"%s\"", n == 1 ? "[" : ",", n,
					check->client != NULL ? "connect" : "subscribe");
	if (check->client != NULL)
	{
		put_member(out, "token", check->token != NULL ? check->token : check->client->token);
		put_member(out, "address", check->client->address);
	}
	else if (sub != NULL)
	{
		put_member(out, "token", check->token != NULL ? check->token :
				   sub->token != NULL ? sub->token : sub->client->token);
		put_member(out, "channel", sub->channel->name);
		if (sub->data != NULL)
			qms_text_printf(out, ",\"data\":%s", sub->data);
		put_member(out, "address", sub->client->address);
	}
	else
		put_member(out, "channel", check->channel->name);
	qms_text_append(out, "}", 1);
}

/* Answers that the database need not give. */
static void
answer_local(QmsDatabase *db)
{
	static const QmsAnswer yes;

	while (db->local.first != NULL)
	{
		QmsCheck   *check = pop(&db->local);

		answer_check(check, &yes);
		free_check(check);
	}
}

/* The batch failed as a whole: it goes back, in front of what came since. */
static void
take_back(QmsDatabase *db)
{
	if (db->flying.first == NULL)
		return;
	db->flying.last->next = db->checks.first;
	if (db->checks.last == NULL)
		db->checks.last = db->flying.last;
	db->checks.first = db->flying.first;
	db->checks.count += db->flying.count;
	memset(&db->flying, 0, sizeof(db->flying));
}

/* One row of the answer. */
static void
read_answer(PGresult *result, int row, QmsAnswer *answer)
{
	answer->code = (int) qms_result_int64(result, row, K_code);
	answer->expires_at = qms_result_int64(result, row, K_expires_at);
	answer->organization_id = qms_result_int64(result, row, K_organization_id);
	answer->subject = qms_result_text(result, row, K_subject);
	answer->channels = qms_result_text(result, row, K_channels);
	answer->canonical = qms_result_text(result, row, K_canonical);
}

/* A batch is answered.  Rows come in order, but nothing depends on it. */
static void
check_done(QmsDatabase *db, PGresult *result)
{
	static const QmsAnswer trouble = {.code = QMS_ERROR_INTERNAL};
	bool		fine = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK;
	QmsChecks	flying;
	int			rows;
	int			row = 0;
	int			n = 1;

	db->checking = false;
	if (result == NULL)
	{
		take_back(db);
		return;
	}
	if (!fine)
		qms_database_says(db, "gateway_check failed", result);
	rows = fine ? PQntuples(result) : 0;
	flying = db->flying;
	memset(&db->flying, 0, sizeof(db->flying));
	for (; flying.first != NULL; n++)
	{
		QmsCheck   *check = pop(&flying);
		QmsAnswer	answer = trouble;
		int			i;

		for (i = 0; i < rows; i++)
		{
			int			at = (row + i) % rows;

			if (qms_result_int64(result, at, K_n) != n)
				continue;
			read_answer(result, at, &answer);
			row = at + 1;
			break;
		}
		answer_check(check, &answer);
		free_check(check);
	}
}

/* Send the next batch if none is under way. */
void
qms_check_flush(QmsDatabase *db)
{
	static QmsText requests;
	const char *values[QMS_MAX_PARAMS];
	int			n = 0;

	answer_local(db);
	if (db->checks.first == NULL || db->checking || !qms_link_is_up(db->work))
		return;
	qms_text_clear(&requests);
	while (db->checks.first != NULL && n < QMS_CHECKS_AT_ONCE)
	{
		QmsCheck   *check = pop(&db->checks);

		if (database_of(check) == NULL)
		{
			free_check(check);
			continue;
		}
		put_request(&requests, check, ++n);
		push(&db->flying, check);
	}
	if (n == 0)
		return;
	qms_text_append(&requests, "]", 1);
	values[0] = requests.data;
	db->checking = true;
	qms_hub.counters.checks += n;
	qms_hub.counters.check_statements++;
	qms_link_query(db->work, QMS_SQL_CHECK, values, check_done);
}

/* The database goes: nobody is answered. */
void
qms_check_drop_all(QmsDatabase *db)
{
	take_back(db);
	while (db->checks.first != NULL)
		free_check(pop(&db->checks));
	while (db->local.first != NULL)
		free_check(pop(&db->local));
}
