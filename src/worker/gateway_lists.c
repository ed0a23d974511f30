/*
 * gateway_lists.c
 *		Settings of the gateway that are lists or paths: is the text one?  What
 *		is wrong is said here, at once, and not only by the program later.
 */
#include "worker/gateway.h"

#include <ctype.h>

#define MAX_HOST_NAME 253

/* The next word of a list that is separated by commas, in place; NULL at its end. */
char *
qms_gateway_next_word(char **rest)
{
	char	   *word = *rest;
	char	   *end;

	if (word == NULL)
		return NULL;
	end = strchr(word, ',');
	*rest = end ? end + 1 : NULL;
	if (end == NULL)
		end = word + strlen(word);
	while (isspace((unsigned char) *word))
		word++;
	while (end > word && isspace((unsigned char) end[-1]))
		end--;
	*end = '\0';
	return word;
}

/* Names and addresses: letters, digits, dots, dashes; of IPv6 also colons. */
static bool
is_host(const char *text, size_t length, const char *others)
{
	size_t		i;

	for (i = 0; i < length; i++)
	{
		if (!isalnum((unsigned char) text[i]) && strchr(others, text[i]) == NULL)
			return false;
	}
	return length > 0 && length <= MAX_HOST_NAME;
}

static bool
is_port(const char *text)
{
	return *text != '\0' && strlen(text) <= 5 && strspn(text, "0123456789") == strlen(text) && atoi(text) <= 65535;
}

/* "127.0.0.1:8080", "[::1]:8080", "*:8080"; port 0: any that is free. */
static bool
is_listen_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t		length = colon ? (size_t) (colon - text) : 0;
	QmsNetwork	address;

	if (colon == NULL || !is_port(colon + 1))
		return false;
	if (length == 1 && *text == '*')
		return true;
	if (*text == '[')
		return length > 2 && text[length - 1] == ']' && is_host(text + 1, length - 2, ".:") &&
			qms_network_parse(text, &address) && address.is_v6;
	return is_host(text, length, ".-_");
}

bool
qms_gateway_check_listen(char **newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	char	   *rest = pstrdup(*newval);
	char	   *word;

	if (strlen(*newval) >= QMS_GATEWAY_LISTEN_SIZE)
	{
		GUC_check_errdetail("It is longer than %d bytes.", QMS_GATEWAY_LISTEN_SIZE - 1);
		return false;
	}
	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		if (!is_listen_address(word))
		{
			GUC_check_errdetail("\"%s\" is not an address and a port, such as 127.0.0.1:8080, [::1]:8080 or *:8080.", word);
			return false;
		}
	}
	return true;
}

/* "tenant.example=shop": host names without a port, and "*" for all others. */
bool
qms_gateway_check_hosts(char **newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	char	   *rest = **newval ? pstrdup(*newval) : NULL;
	List	   *hosts = NIL;
	ListCell   *cell;
	char	   *word;

	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		char	   *sign = strchr(word, '=');

		if (sign == NULL || sign[1] == '\0' || strlen(sign + 1) >= NAMEDATALEN ||
			!(is_host(word, sign - word, ".-_") || (sign == word + 1 && *word == '*')))
		{
			GUC_check_errdetail("\"%s\" is not a host name and a database, such as tickets.example.org=town.", word);
			return false;
		}
		*sign = '\0';
		foreach(cell, hosts)
		{
			if (pg_strcasecmp(lfirst(cell), word) == 0)
			{
				GUC_check_errdetail("The host \"%s\" is there twice.", word);
				return false;
			}
		}
		hosts = lappend(hosts, word);
	}
	return true;
}

/* "https://tickets.example.org", "http://localhost:3000", "*". */
bool
qms_gateway_check_origins(char **newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	char	   *rest = **newval ? pstrdup(*newval) : NULL;
	char	   *word;

	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		const char *host = strstr(word, "://");
		const char *colon;
		bool		good = strcmp(word, "*") == 0;

		if (host != NULL && is_host(word, host - word, "+-."))
		{
			host += 3;
			colon = *host == '[' ? strstr(host, "]:") : strchr(host, ':');
			if (colon != NULL && *colon == ']')
				colon++;
			good = is_host(host, colon ? (size_t) (colon - host) : strlen(host), *host == '[' ? ".:[]" : ".-_*") &&
				(colon == NULL || is_port(colon + 1));
		}
		if (!good)
		{
			GUC_check_errdetail("\"%s\" is not an origin, such as https://tickets.example.org, nor \"*\".", word);
			return false;
		}
	}
	return true;
}

bool
qms_gateway_check_proxies(char **newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	char	   *rest = **newval ? pstrdup(*newval) : NULL;
	char	   *word;
	QmsNetwork	network;

	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		if (!qms_network_parse(word, &network))
		{
			GUC_check_errdetail("\"%s\" is neither an address nor a network such as 192.0.2.0/24.", word);
			return false;
		}
	}
	return true;
}

/* The program does not run in the data folder: a path says where it begins. */
bool
qms_gateway_check_path(char **newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	if (**newval != '\0' && (!is_absolute_path(*newval) || strlen(*newval) >= MAXPGPATH))
	{
		GUC_check_errdetail("\"%s\" is not an absolute path.", *newval);
		return false;
	}
	return true;
}
