/*
 * address.c
 *		Where the caller is: the address that limits count by.
 *
 * An ordinary session is where its connection comes from.  A session that speaks
 * for others (its session user is a member of qms_authenticator, as PostgREST's
 * login and the gateway are) says it in one of two ways:
 *
 *	  qms.client_address, set by the gateway for the transaction;
 *	  the header x-forwarded-for of PostgREST's request.headers, if the connection
 *	  comes from one of qms.trusted_proxies.  Proxies append whom they see, so the
 *	  list is read from its right end, past addresses that are trusted proxies
 *	  too; what stands further left was written by the client itself.
 *
 * Otherwise nobody knows where the person is: the address of the web server
 * stands for all of them, and would be over every limit at once.  In a session
 * that does not speak for others neither of the two counts, whoever sets them.
 */
#include "auth/auth.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define IPV6_SITE 64			/* one client has at least that network to himself */

typedef struct TrustedProxies
{
	bool		local;			/* unix-domain sockets */
	int			n;
	QmsNetwork	networks[FLEXIBLE_ARRAY_MEMBER];
} TrustedProxies;

static char *trusted_proxies_text = NULL;
static TrustedProxies *trusted = NULL;
static char *client_address_text = NULL;

/* A list of networks, and "local". */
static bool
check_trusted_proxies(char **newval, void **extra, GucSource source pg_attribute_unused())
{
	char	   *copy = pstrdup(*newval);
	List	   *words;
	ListCell   *cell;
	TrustedProxies *list;

	if (!SplitIdentifierString(copy, ',', &words))
	{
		GUC_check_errdetail("List syntax is invalid.");
		return false;
	}
	list = malloc(offsetof(TrustedProxies, networks) + sizeof(QmsNetwork) * list_length(words));
	if (list == NULL)
		return false;
	list->local = false;
	list->n = 0;
	foreach(cell, words)
	{
		if (strcmp(lfirst(cell), "local") == 0)
			list->local = true;
		else if (qms_network_parse(lfirst(cell), &list->networks[list->n]))
			list->n++;
		else
		{
			GUC_check_errdetail("\"%s\" is neither an address, nor a network such as 192.0.2.0/24, nor \"local\".",
								(char *) lfirst(cell));
			free(list);
			return false;
		}
	}
	*extra = list;
	return true;
}

static void
assign_trusted_proxies(const char *newval pg_attribute_unused(), void *extra)
{
	trusted = extra;
}

void
qms_address_define_settings(void)
{
	DefineCustomStringVariable("qms.trusted_proxies",
							   "Networks whose web servers are believed where a client is.",
							   "The database connection must come from one of them; \"local\" is a unix-domain socket. Empty: nobody is believed.",
							   &trusted_proxies_text, "", PGC_SUSET, GUC_LIST_INPUT,
							   check_trusted_proxies, assign_trusted_proxies, NULL);
	DefineCustomStringVariable("qms.client_address",
							   "Address of the client that this transaction is for.",
							   "Counts only in sessions of members of qms_authenticator.",
							   &client_address_text, "", PGC_USERSET,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, NULL, NULL, NULL);
}

static bool
is_trusted(const QmsNetwork *address)
{
	int			i;

	for (i = 0; trusted != NULL && i < trusted->n; i++)
	{
		if (qms_network_contains(&trusted->networks[i], address))
			return true;
	}
	return false;
}

/* Where the connection comes from; false for a unix-domain socket, and in a worker. */
static bool
address_of_connection(QmsNetwork *address)
{
	static bool known = false;
	static bool has_address = false;
	static QmsNetwork peer;

	if (!known)
	{
		LOCAL_FCINFO(fcinfo, 0);
		Datum		value;

		InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
		value = inet_client_addr(fcinfo);
		has_address = !fcinfo->isnull;
		if (has_address)
			qms_network_of_inet(DatumGetInetPP(value), &peer);
		known = true;
	}
	*address = peer;
	return has_address;
}

static bool
connection_is_trusted(void)
{
	QmsNetwork	peer;

	if (trusted == NULL || MyProcPort == NULL)
		return false;
	return address_of_connection(&peer) ? is_trusted(&peer) : trusted->local;
}

/* Of "client, proxy, proxy": the rightmost that is no proxy of ours. */
static bool
rightmost_untrusted(char *list, QmsNetwork *address)
{
	bool		found = false;

	while (list != NULL)
	{
		char	   *comma = strrchr(list, ',');
		char	   *word = comma ? comma + 1 : list;

		if (comma)
			*comma = '\0';
		word += strspn(word, " \t");
		word[strcspn(word, " \t")] = '\0';
		/* What cannot be read was not written by a proxy: nothing behind it is of use. */
		if (!qms_network_parse(word, address) || !qms_network_is_address(address))
			return false;
		found = true;
		if (comma == NULL || !is_trusted(address))
			break;
	}
	return found;
}

/* What the parser of the headers keeps. */
typedef struct Header
{
	JsonLexContext *lex;
	const char *name;
	bool		is_it;			/* the value that follows is the one */
	char	   *value;
} Header;

static void
see_field(void *state, char *name, bool isnull pg_attribute_unused())
{
	Header	   *header = state;

	header->is_it = header->lex->lex_level == 1 && strcmp(name, header->name) == 0;
}

static void
see_value(void *state, char *value, JsonTokenType type)
{
	Header	   *header = state;

	if (header->is_it && type == JSON_TOKEN_STRING)
		header->value = value;
	header->is_it = false;
}

/*
 * A header of the HTTP request, as PostgREST passes them on; NULL if there is
 * none.  Headers that cannot be read are none: nothing fails here, because it is
 * asked in the middle of errors as well.
 */
char *
qms_request_header(const char *name)
{
	const char *headers = GetConfigOption("request.headers", true, false);
	Header		header = {.name = name};
	JsonSemAction actions = {0};

	if (headers == NULL || *headers == '\0')
		return NULL;
	header.lex = makeJsonLexContextCstringLen(unconstify(char *, headers), strlen(headers), GetDatabaseEncoding(), true);
	actions.semstate = &header;
	actions.object_field_start = see_field;
	actions.scalar = see_value;
	return pg_parse_json(header.lex, &actions) == JSON_SUCCESS ? header.value : NULL;
}

/* What the headers of the request say; the last ones are remembered, as they come with each call of a request. */
static bool
address_of_headers(QmsNetwork *address)
{
	static char *known = NULL;
	static const TrustedProxies *known_trusted = NULL;
	static bool known_found;
	static QmsNetwork known_address;
	const char *headers = GetConfigOption("request.headers", true, false);
	char	   *forwarded;

	if (headers == NULL || *headers == '\0')
		return false;
	if (known == NULL || known_trusted != trusted || strcmp(known, headers) != 0)
	{
		if (known != NULL)
			pfree(known);
		known = NULL;
		memset(&known_address, 0, sizeof(known_address));
		forwarded = qms_request_header("x-forwarded-for");
		known_found = forwarded != NULL && rightmost_untrusted(forwarded, &known_address);
		known_trusted = trusted;
		known = MemoryContextStrdup(TopMemoryContext, headers);
	}
	*address = known_address;
	return known_found;
}

/* Where the client is; false if nobody knows. */
bool
qms_client_network(QmsNetwork *address)
{
	if (!qms_session_speaks_for_others())
		return address_of_connection(address);
	if (client_address_text != NULL && *client_address_text != '\0')
		return qms_network_parse(client_address_text, address) && qms_network_is_address(address);
	return connection_is_trusted() && address_of_headers(address);
}

/* ... as text, NULL if nobody knows. */
const char *
qms_client_address(void)
{
	QmsNetwork	address;

	return qms_client_network(&address) ? qms_network_text(&address) : NULL;
}

/* By what he is counted: his address, or the network that he has to himself. */
char *
qms_client_key(const QmsNetwork *address)
{
	QmsNetwork	site = *address;

	if (site.is_v6)
		qms_network_cut(&site, IPV6_SITE);
	return qms_network_text(&site);
}
