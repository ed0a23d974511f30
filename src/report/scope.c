/*
 * scope.c
 *		What an export or a report is about.
 */
#include "report/report.h"

#include "catalog/pg_type.h"

static const char *const kinds[] = {
	[QMS_OF_ORGANIZATION] = "organization",
	[QMS_OF_BRANCH] = "branch",
	[QMS_OF_QUEUE] = "queue"
};

static pg_attribute_noreturn() void
bad_scope(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a scope", text),
			 errdetail("A scope is a kind of thing, a colon and an id."),
			 errhint("Write it as \"organization:1\", \"branch:2\" or \"queue:3\".")));
}

/* Find it; QM101 if it is not there.  What has been deleted has a history nevertheless. */
void
qms_report_scope_read(const char *text, QmsReportScope *scope)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.organization_id, NULL::pg_catalog.int8, NULL::pg_catalog.int8, o.name, o.names, o.time_zone "
								   "FROM qms.organization o WHERE $1 = 'organization' AND o.organization_id = $2 "
								   "UNION ALL SELECT o.organization_id, b.branch_id, NULL, b.name, b.names, coalesce(b.time_zone, o.time_zone) "
								   "FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id "
								   "WHERE $1 = 'branch' AND b.branch_id = $2 "
								   "UNION ALL SELECT o.organization_id, q.branch_id, q.application_id, q.name, q.names, coalesce(b.time_zone, o.time_zone) "
								   "FROM qms.queue q JOIN qms.organization o ON o.organization_id = q.organization_id "
								   "LEFT JOIN qms.branch b ON b.branch_id = q.branch_id WHERE $1 = 'queue' AND q.queue_id = $2",
								   TEXTOID, INT8OID);
	QmsParams	params = {0};
	bool		isnull;
	Jsonb	   *names;

	memset(scope, 0, sizeof(*scope));
	if (!qms_stats_scope_parse(text, &scope->of) || scope->of.id <= 0)
		bad_scope(text);
	qms_param_text(&params, kinds[scope->of.of]);
	qms_param_int64(&params, scope->of.id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found(kinds[scope->of.of], scope->of.id);
	scope->organization_id = qms_spi_int64(0, 0);
	scope->branch_id = qms_spi_int64(0, 1);
	scope->application_id = qms_spi_int64(0, 2);
	scope->queue_id = scope->of.of == QMS_OF_QUEUE ? scope->of.id : 0;
	scope->name = qms_spi_text(0, 3);
	names = DatumGetJsonbP(qms_spi_datum(0, 4, &isnull));
	scope->names = memcpy(palloc(VARSIZE(names)), names, VARSIZE(names));
	scope->zone = qms_zone_by_name(qms_spi_text(0, 5));
}

/*
 * ... as a caller names it, who must be allowed to see all of it.  NULL: his
 * organization.
 */
void
qms_report_scope_of_call(QmsCall *call, const char *text, QmsReportScope *scope)
{
	QmsObject	object = {0};

	if (text == NULL && call->who->organization_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("scope must not be null"),
				 errdetail("The caller belongs to no organization, so a scope is needed."),
				 errhint("Give scope => 'organization:1', or a branch or queue.")));
	if (text == NULL)
		text = psprintf("organization:%lld", (long long) call->who->organization_id);
	qms_report_scope_read(text, scope);
	object.what = kinds[scope->of.of];
	object.id = scope->of.id;
	object.organization_id = scope->organization_id;
	object.branch_id = scope->branch_id;
	object.application_id = scope->application_id;
	object.queue_id = scope->queue_id;
	/* All of an organization is for those who see all of it. */
	if (scope->of.of == QMS_OF_ORGANIZATION)
		qms_gate_administers(call, &object);
	else
		qms_gate_object(call, &object);
}

char *
qms_report_scope_text(const QmsReportScope *scope)
{
	return psprintf("%s:%lld", kinds[scope->of.of], (long long) scope->of.id);
}

const char *
qms_report_scope_noun(const QmsReportScope *scope)
{
	return kinds[scope->of.of];
}
