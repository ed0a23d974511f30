/*
 * rights.c
 *		Who may do what: table qms.permission as every backend remembers it, and
 *		what it comes to for one principal.
 *
 * The table has a row per function and a column per role; a cell says how far
 * the right goes.  Grants and denials of one staff member (staff.permissions)
 * name actions, "ticket.cancel", or all of a resource, "ticket.*"; a grant may
 * end in ":self" or ":limited".  A denial wins over everything.
 */
#include "auth/auth.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Columns of qms.permission, in the order of QmsRole. */
static const char *const role_names[QMS_ROLES] = {
	"super_admin", "admin", "app_admin", "reception", "caller", "servicer",
	"display", "kiosk", "customer", "application"
};

static const struct
{
	const char *name;
	QmsReach	reach;
}			reaches[] = {
	{"no", QMS_REACH_NO}, {"grant", QMS_REACH_GRANT}, {"own", QMS_REACH_OWN}, {"public", QMS_REACH_PUBLIC},
	{"yes", QMS_REACH_YES}, {"all", QMS_REACH_ALL}
};

typedef struct Right
{
	char		function[NAMEDATALEN];	/* hash key */
	int			index;			/* in a principal's reaches */
	char	   *action;
	uint8		reach[QMS_ROLES];
} Right;

static MemoryContext rights_context = NULL;
static HTAB *rights = NULL;
static Right **in_order = NULL;
static int	nrights = 0;
static uint64 version = 0;		/* grows whenever the table is read */

const char *
qms_role_name(QmsRole role)
{
	return role_names[role];
}

bool
qms_role_by_name(const char *name, QmsRole *role)
{
	int			i;

	for (i = 0; i < QMS_ROLES; i++)
	{
		if (strcmp(role_names[i], name) == 0)
		{
			*role = (QmsRole) i;
			return true;
		}
	}
	return false;
}

static QmsReach
reach_by_name(const char *name)
{
	size_t		i;

	for (i = 0; name != NULL && i < lengthof(reaches); i++)
	{
		if (strcmp(reaches[i].name, name) == 0)
			return reaches[i].reach;
	}
	return QMS_REACH_NO;
}

static void
read_rights(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT function, action, super_admin, admin, app_admin, reception, caller, servicer, display, kiosk, "
										  "customer, application FROM qms.permission ORDER BY function");
	HASHCTL		ctl = {0};
	uint64		n = qms_spi_look(&plan, NULL);
	uint64		i;

	if (rights_context == NULL)
		rights_context = AllocSetContextCreate(TopMemoryContext, "qms rights", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(rights_context);
	rights = NULL;
	nrights = 0;
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(Right);
	ctl.hcxt = rights_context;
	rights = hash_create("qms rights", 256, &ctl, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	in_order = MemoryContextAllocZero(rights_context, sizeof(Right *) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		Right	   *right = hash_search(rights, qms_spi_text(i, 0), HASH_ENTER, NULL);
		int			role;

		right->index = (int) i;
		right->action = MemoryContextStrdup(rights_context, qms_spi_text(i, 1));
		for (role = 0; role < QMS_ROLES; role++)
			right->reach[role] = reach_by_name(qms_spi_text(i, 2 + role));
		in_order[i] = right;
	}
	nrights = (int) n;
	version++;
}

/* Read the table, and again when the extension has been made anew; needs SPI then. */
void
qms_rights_refresh(void)
{
	static uint64 read_for = 0;

	if (read_for == qms_installation_number())
		return;
	read_for = 0;
	read_rights();
	read_for = qms_installation_number();
}

uint64
qms_rights_version(void)
{
	return version;
}

/* "ticket.cancel" or "ticket.*", of an entry that ends at "end" (before a suffix). */
static bool
matches(const char *entry, Size length, const char *action)
{
	const char *dot = strchr(action, '.');
	Size		resource = dot ? (Size) (dot - action) + 1 : 0;

	if (length == strlen(action) && strncmp(entry, action, length) == 0)
		return true;
	return resource > 0 && length == resource + 1 && entry[resource] == '*' &&
		strncmp(entry, action, resource) == 0;
}

/* The strings of an array in staff.permissions; NULL if there are none. */
static char **
entries_of(const Jsonb *permissions, const char *key, int *n)
{
	JsonbValue	name;
	JsonbValue *found;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	  **entries;

	*n = 0;
	if (permissions == NULL || !JB_ROOT_IS_OBJECT(permissions))
		return NULL;
	name.type = jbvString;
	name.val.string.val = unconstify(char *, key);
	name.val.string.len = (int) strlen(key);
	found = findJsonbValueFromContainer(unconstify(JsonbContainer *, &permissions->root), JB_FOBJECT, &name);
	if (found == NULL || found->type != jbvBinary || !JsonContainerIsArray(found->val.binary.data))
		return NULL;
	entries = palloc(sizeof(char *) * (JsonContainerSize(found->val.binary.data) + 1));
	iterator = JsonbIteratorInit(found->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM && value.type == jbvString)
			entries[(*n)++] = pnstrdup(value.val.string.val, value.val.string.len);
	}
	return entries;
}

/* What a grant gives: everything that the role's own right would, or less. */
static QmsReach
split_entry(const char *entry, Size *length)
{
	const char *colon = strchr(entry, ':');

	*length = colon ? (Size) (colon - entry) : strlen(entry);
	if (colon == NULL)
		return QMS_REACH_YES;
	return strcmp(colon, ":self") == 0 ? QMS_REACH_OWN :
		strcmp(colon, ":limited") == 0 ? QMS_REACH_LIMITED : QMS_REACH_NO;
}

static uint8
personal_reach(const Right *right, QmsRole role, char **grants, int ngrants, char **denials, int ndenials)
{
	uint8		reach = right->reach[role];
	Size		length;
	int			i;

	for (i = 0; i < ndenials; i++)
	{
		(void) split_entry(denials[i], &length);
		if (matches(denials[i], length, right->action))
			return QMS_REACH_NO;
	}
	for (i = 0; i < ngrants; i++)
	{
		QmsReach	given = split_entry(grants[i], &length);

		/* What no role of staff has cannot be given. */
		if (reach != QMS_REACH_NO && matches(grants[i], length, right->action))
			reach = Max(reach, (uint8) given);
	}
	return reach;
}

/* How far each function reaches for somebody of this role, with grants and denials of his own or NULL. */
uint8 *
qms_rights_of(MemoryContext context, QmsRole role, const Jsonb *permissions)
{
	uint8	   *reach = MemoryContextAllocZero(context, Max(nrights, 1));
	int			ngrants;
	int			ndenials;
	char	  **grants = entries_of(permissions, "grant", &ngrants);
	char	  **denials = entries_of(permissions, "deny", &ndenials);
	int			i;

	for (i = 0; i < nrights; i++)
		reach[i] = personal_reach(in_order[i], role, grants, ngrants, denials, ndenials);
	return reach;
}

/* Nothing but these functions (text[]), as the scope of an API key says. */
void
qms_rights_keep_only(uint8 *reach, Datum functions)
{
	bool	   *kept = palloc0(sizeof(bool) * Max(nrights, 1));
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(DatumGetArrayTypeP(functions), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		Right	   *right = nulls[i] ? NULL :
			hash_search(rights, TextDatumGetCString(elements[i]), HASH_FIND, NULL);

		if (right != NULL)
			kept[right->index] = true;
	}
	for (i = 0; i < nrights; i++)
	{
		if (!kept[i])
			reach[i] = QMS_REACH_NO;
	}
}

/* How far this function reaches for this principal. */
QmsReach
qms_rights_reach(const QmsPrincipal *who, QmsFunction *function)
{
	Right	   *right;

	if (who->reach == NULL)
		return QMS_REACH_NO;
	if (function->right_version != version)
	{
		right = hash_search(rights, function->name, HASH_FIND, NULL);
		if (right == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("function %s is missing in qms.permission", function->name),
					 errdetail("Library and extension do not fit one another."),
					 errhint("Run ALTER EXTENSION qms UPDATE.")));
		function->right = right->index;
		function->right_version = version;
	}
	return (QmsReach) who->reach[function->right];
}

/* ---- checking staff.permissions ---- */

static bool
names_something(const char *entry, Size length)
{
	int			i;

	for (i = 0; i < nrights; i++)
	{
		if (matches(entry, length, in_order[i]->action))
			return true;
	}
	return false;
}

static void
check_entry(const QmsPrincipal *who, const char *key, const char *entry)
{
	bool		grants = strcmp(key, "grant") == 0;
	Size		length;
	int			i;

	if (split_entry(entry, &length) == QMS_REACH_NO || !names_something(entry, length) ||
		(!grants && entry[length] != '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a permission", entry),
				 errdetail("An entry of \"%s\" is an action such as \"ticket.cancel\", or \"ticket.*\"%s.", key,
						   grants ? ", and may end in \":self\" or \":limited\"" : ""),
				 errhint("Table qms.permission lists the actions.")));
	for (i = 0; grants && i < nrights; i++)
	{
		/* Nobody gives what he has not. */
		if (matches(entry, length, in_order[i]->action) && who->reach[i] <= QMS_REACH_GRANT)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to grant \"%s\"", entry),
					 errdetail("The caller may not do %s himself.", in_order[i]->action),
					 errhint("Ask somebody who may.")));
	}
}

/* staff.permissions as it is to be stored: {"grant": [...], "deny": [...]}, of actions that exist. */
void
qms_rights_check_permissions(const QmsPrincipal *who, const Jsonb *permissions)
{
	static const char *const keys[] = {"grant", "deny"};
	JsonbIterator *iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &permissions->root));
	JsonbIteratorToken token;
	JsonbValue	value;
	size_t		k;
	int			depth = 0;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		bool		fits = true;

		if (token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT)
			fits = depth++ == (token == WJB_BEGIN_ARRAY);
		else if (token == WJB_END_ARRAY || token == WJB_END_OBJECT)
			depth--;
		else if (token == WJB_KEY)
			fits = (value.val.string.len == 5 && strncmp(value.val.string.val, "grant", 5) == 0) ||
				(value.val.string.len == 4 && strncmp(value.val.string.val, "deny", 4) == 0);
		else
			fits = token == WJB_ELEM && value.type == jbvString;
		if (!fits)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("permissions must have the keys \"grant\" and \"deny\" only, each a list of actions"),
					 errhint("For instance {\"grant\": [\"ticket.cancel:self\"], \"deny\": [\"ticket.transfer\"]}.")));
	}
	for (k = 0; k < lengthof(keys); k++)
	{
		int			n;
		char	  **entries = entries_of(permissions, keys[k], &n);
		int			i;

		for (i = 0; i < n; i++)
			check_entry(who, keys[k], entries[i]);
	}
}
