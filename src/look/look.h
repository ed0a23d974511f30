/*
 * look.h
 *		What staff and the public look at.  Nothing here changes anything.
 */
#ifndef QMS_LOOK_H
#define QMS_LOOK_H

#include "queue/queue.h"

/* More than anybody reads; a caller who wants all reads the event stream. */
#define QMS_LOOK_MOST_ROWS 10000

/* Waiting people are counted one by one up to here. */
#define QMS_LOOK_COUNTED 1000

typedef struct QmsLookBranch
{
	int64		organization_id;
	TimestampTz midnight;		/* beginning of today, local to the branch */
} QmsLookBranch;

/* look.c */
extern int32 qms_look_max_rows(QmsCall *call, int n);
extern void qms_look_branch(QmsCall *call, int64 branch_id, QmsLookBranch *branch);
extern bool qms_look_is_blind(QmsCall *call);
extern void qms_look_fetch(QmsCall *call, int r, Datum **values, bool **nulls);

/*
 * Pieces of statements.  OPEN_SPANS: today's opening hours of an owner, as
 * [{opens, closes}] in local time; null: it has none, and is always open.
 * OPEN_NOW: does one of them contain the present?  local is a timestamp.
 */
#define QMS_LOOK_TIME(t) \
	"pg_catalog.to_char(" t " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
#define QMS_LOOK_HAS_HOURS(owner) \
	"EXISTS (SELECT 1 FROM qms.opening_hours h WHERE " owner ")"
#define QMS_LOOK_OPEN_SPANS(owner, local) \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'opens', pg_catalog.to_char(h.opens, 'HH24:MI'), 'closes', pg_catalog.to_char(h.closes, 'HH24:MI')) " \
	"ORDER BY h.opens), '[]') FROM qms.opening_hours h WHERE " owner " " \
	"AND h.weekday = extract(isodow FROM " local "))"
#define QMS_LOOK_OPEN_NOW(owner, local) \
	"EXISTS (SELECT 1 FROM qms.opening_hours h WHERE " owner " " \
	"AND h.weekday = extract(isodow FROM " local ") AND " local "::time >= h.opens AND " local "::time < h.closes)"
#define QMS_LOOK_IS_CLOSURE(branch, now) \
	"EXISTS (SELECT 1 FROM qms.closure l WHERE l.branch_id = " branch " AND l.deleted_at IS NULL " \
	"AND l.during @> " now ")"

#endif							/* QMS_LOOK_H */
