/*
 * origin.c
 *		Which web pages may connect: those of our own host, and those whose origin
 *		is allowed.  Programs send no Origin; they need a token for what is not public.
 */
#include "net.h"

#include <string.h>
#include <strings.h>

/* The host and port behind "scheme://", or null. */
static const char *
authority_of(const char *origin)
{
	const char *slashes = strstr(origin, "://");

	return slashes == NULL || slashes == origin ? NULL : slashes + 3;
}

/* Each word of the setting is *, an origin, or one whose host begins with "*.". */
bool
qms_origins_check(const char *value, QmsText *problem)
{
	char		word[300];

	while (qms_list_next(&value, word, sizeof(word)))
	{
		const char *authority = authority_of(word);

		if (strcmp(word, "*") == 0)
			continue;
		if (authority != NULL && strncmp(authority, "*.", 2) == 0)
			authority += 2;
		if (authority == NULL || *authority == '\0' || authority[strcspn(authority, "/* \t@?#\"\\")] != '\0')
		{
			qms_text_printf(problem, "\"%s\" is not an origin, such as https://app.example, https://*.example or *", word);
			return false;
		}
	}
	return true;
}

/* A pattern with "*." covers every host below the name, not the name itself. */
static bool
covers(const char *pattern, const char *origin)
{
	const char *star = strstr(pattern, "://*.");
	size_t		scheme;
	const char *tail;

	if (star == NULL)
		return strcasecmp(pattern, origin) == 0;
	scheme = star - pattern + 3;
	tail = star + 4;
	return strncasecmp(pattern, origin, scheme) == 0 &&
		strlen(origin) > scheme + strlen(tail) &&
		strcasecmp(origin + strlen(origin) - strlen(tail), tail) == 0 &&
		strchr(origin + scheme, '/') == NULL && strchr(origin + scheme, '@') == NULL;
}

/* Whether a page of that origin may connect to us; null: not from a page. */
bool
qms_origin_allowed(const char *list, const char *origin, const char *host)
{
	char		word[300];
	const char *authority;

	if (origin == NULL)
		return true;
	authority = authority_of(origin);
	if (authority != NULL && host != NULL && strcasecmp(authority, host) == 0)
		return true;
	while (qms_list_next(&list, word, sizeof(word)))
		if (strcmp(word, "*") == 0 || covers(word, origin))
			return true;
	return false;
}
