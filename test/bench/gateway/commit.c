/*
 * commit.c
 *		Commits while the clients are read: the time runs from just before COMMIT
 *		is sent.
 */
#include "load.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t		commit_at,
			ack_at,
			nrows;

static PGconn *database;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static char *statement;
static bool in_transaction,
			finished = true;

static void
run_sql(const char *sql)
{
	PGresult   *result = PQexec(database, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		fprintf(stderr, "load: %s%s\n", sql, PQerrorMessage(database));
		exit(1);
	}
	nrows = PQntuples(result);
	PQclear(result);
}

/* Executes what it is given; the time runs from just before COMMIT is sent. */
static void *
committer(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;)
	{
		while (statement == NULL)
			pthread_cond_wait(&given, &lock);
		pthread_mutex_unlock(&lock);
		if (in_transaction)
			run_sql("BEGIN");
		run_sql(statement);
		__atomic_store_n(&commit_at, now_ns(), __ATOMIC_SEQ_CST);
		if (in_transaction)
			run_sql("COMMIT");
		ack_at = now_ns();
		pthread_mutex_lock(&lock);
		free(statement);
		statement = NULL;
		__atomic_store_n(&finished, true, __ATOMIC_SEQ_CST);
	}
	return unused;
}

void
give(const char *sql, bool transaction)
{
	pthread_mutex_lock(&lock);
	finished = false;
	in_transaction = transaction;
	commit_at = 0;
	statement = strdup(sql);
	pthread_cond_signal(&given);
	pthread_mutex_unlock(&lock);
}

bool
is_given(void)
{
	return !__atomic_load_n(&finished, __ATOMIC_SEQ_CST);
}

void
begin_committing(const char *conninfo)
{
	pthread_t	thread;

	database = PQconnectdb(conninfo);
	if (PQstatus(database) != CONNECTION_OK)
	{
		fprintf(stderr, "load: %s", PQerrorMessage(database));
		exit(1);
	}
	pthread_create(&thread, NULL, committer, NULL);
}
