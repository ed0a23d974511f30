/*
 * link_begin.c
 *		With which settings a connection to a database is begun.
 */
#include "hub.h"

#include <string.h>

/* The settings of the connection that the administrator did not give. */
PGconn *
qms_link_begin(const char *conninfo)
{
	static const char *const ours[][2] = {
		{"client_encoding", "UTF8"}, {"fallback_application_name", "qms_gateway"},
		{"keepalives_idle", "20"}, {"keepalives_interval", "5"}, {"keepalives_count", "3"},
		{"tcp_user_timeout", "30000"}
	};
	const char *keywords[64];
	const char *values[64];
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	PQconninfoOption *option;
	PGconn	   *conn;
	size_t		i;
	int			n = 0;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
	{
		keywords[n] = ours[i][0];
		values[n++] = ours[i][1];
	}
	/* A later one of the same name wins. */
	for (option = options; option != NULL && option->keyword != NULL && n < 63; option++)
	{
		if (option->val == NULL || strcmp(option->keyword, "client_encoding") == 0)
			continue;
		keywords[n] = option->keyword;
		values[n++] = option->val;
	}
	keywords[n] = NULL;
	values[n] = NULL;
	conn = PQconnectStartParams(keywords, values, 0);
	PQconninfoFree(options);
	return conn;
}
