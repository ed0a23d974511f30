/*
 * setup.h
 *		Setting up: every kind of thing (branch, queue, counter, ...) is one
 *		descriptor; creating, changing and deleting are written once.
 */
#ifndef QMS_SETUP_H
#define QMS_SETUP_H

#include "auth/auth.h"
#include "config/config.h"
#include "events/events.h"

/* How the value of a column comes about and is checked. */
typedef enum QmsFieldKind
{
	QMS_F_HELD,					/* never an argument: keys, owners, moments, inner state */
	QMS_F_NAME,					/* 1 to 200 characters, needed */
	QMS_F_SLUG,					/* made from the name if it is not given */
	QMS_F_NAMES,				/* {language tag: text} */
	QMS_F_ZONE,					/* time zone; '' removes it */
	QMS_F_SETTINGS,				/* JSON object; changes are merged, null removes a key */
	QMS_F_CREDIT,				/* interval without months */
	QMS_F_DURATION,				/* positive interval without months; 0 removes it */
	QMS_F_CODE,					/* short text; '' removes it */
	QMS_F_BOOL,
	QMS_F_COUNT,				/* positive int; 0 removes it */
	QMS_F_WORDS,				/* text[] */
	QMS_F_BRANCHES,				/* bigint[] of branches of the organization */
	QMS_F_QUEUES,				/* ... of its queues */
	QMS_F_APPLICATIONS,			/* ... of its applications */
	QMS_F_PLAIN,				/* the type has checked it; needed */
	QMS_F_OTHER					/* the thing's own check sees to it */
} QmsFieldKind;

/* Among which live rows a value is unique. */
typedef enum QmsScope
{
	QMS_NOT_UNIQUE,
	QMS_UNIQUE,					/* in the database */
	QMS_IN_ORGANIZATION,
	QMS_IN_BRANCH,
	QMS_IN_OWNER				/* branch or application */
} QmsScope;

typedef struct QmsField
{
	const char *name;			/* of the column, and of the argument */
	QmsFieldKind kind;
	QmsScope	scope;
	QmsPlan    *plan;			/* made on first use: is the value in use? */
} QmsField;

/* What a thing is created in, and named by in its arguments. */
typedef enum QmsOwner
{
	QMS_OWNER_NONE,
	QMS_OWNER_ORGANIZATION,
	QMS_OWNER_BRANCH,
	QMS_OWNER_APPLICATION,
	QMS_OWNER_EITHER			/* exactly one of branch and application */
} QmsOwner;

/* Why a thing cannot be deleted yet: a statement of one id that answers a name. */
typedef struct QmsUse
{
	QmsPlan		plan;
	const char *who;			/* "Counter" "A" "still calls from it." */
	const char *does;
	const char *hint;
} QmsUse;

struct QmsSetup;

typedef struct QmsThing
{
	const char *name;			/* of the table, and in kinds of events */
	const char *noun;			/* in messages */
	QmsOwner	owner;
	bool		global;			/* has something that is unique in the database */
	QmsField   *fields;			/* in the order of the columns; the key first */
	int			nfields;
	QmsUse	   *uses;
	int			nuses;
	void		(*check) (struct QmsSetup *setup);	/* before it is written */
	void		(*written) (struct QmsSetup *setup);	/* after it was created or changed */
	void		(*deleting) (struct QmsSetup *setup);	/* before uses are looked for */
	void		(*deleted) (struct QmsSetup *setup);
	/* made on first use */
	QmsTable	table;
	QmsPlan		peek;
	QmsPlan		fetch;
} QmsThing;

#define QMS_FIELD(name, kind) {(name), (kind), QMS_NOT_UNIQUE, NULL}
#define QMS_FIELD_UNIQUE(name, kind, scope) {(name), (kind), (scope), NULL}
#define QMS_FIELDS(array) .fields = (array), .nfields = lengthof(array)
#define QMS_USES(array) .uses = (array), .nuses = lengthof(array)
#define QMS_FIELDS_AT_END \
	QMS_FIELD("created_at", QMS_F_HELD), QMS_FIELD("updated_at", QMS_F_HELD), QMS_FIELD("deleted_at", QMS_F_HELD)

/* One change at work. */
typedef struct QmsSetup
{
	QmsCall    *call;
	QmsThing   *thing;
	bool		creating;
	int64		id;
	int64		organization_id;
	int64		branch_id;		/* 0: belongs to no branch */
	int64		application_id;
	QmsRow	   *row;
	QmsRow	   *old;			/* as it was; NULL when creating */
	bool	   *given;			/* by field */
	int			nargs;
	char	  **arg_names;
} QmsSetup;

/* thing.c */
extern Datum qms_thing_create(QmsCall *call, QmsThing *thing);
extern Datum qms_thing_update(QmsCall *call, QmsThing *thing);
extern Datum qms_thing_delete(QmsCall *call, QmsThing *thing);
extern Datum qms_thing_delete_id(QmsCall *call, QmsThing *thing, int64 id);
extern int	qms_setup_column(const QmsSetup *setup, const char *name);
extern void qms_setup_gate(QmsCall *call, int64 organization_id, int64 branch_id, int64 application_id,
						   const char *what, int64 id);
extern int64 qms_setup_branch(int64 branch_id);
extern int64 qms_setup_organization_of(QmsPlan *plan, const char *what, int64 id);

/* field.c */
extern int	qms_setup_argument(const QmsSetup *setup, const char *name);
extern bool qms_setup_given(const QmsSetup *setup, const char *name);
extern void qms_setup_apply(QmsSetup *setup);
extern int64 *qms_setup_ids(Datum array, const char *what, int *n);
extern int64 qms_setup_id_or_0(const QmsSetup *setup, int n);
extern Jsonb *qms_setup_jsonb(const QmsRow *row, int column);

/* unique.c, values.c */
extern void qms_setup_unique(QmsSetup *setup);
extern Jsonb *qms_setup_values(const QmsSetup *setup);
extern Jsonb *qms_setup_before(const QmsSetup *setup);

/* queue.c */
extern void qms_setup_counter_queue(const QmsSetup *setup, int64 queue_id);

/* slug.c */
extern char *qms_slug_make(const char *name, const char *fallback);
extern void qms_slug_check(const char *slug);

#endif							/* QMS_SETUP_H */
