/*
 * person.c
 *		Staff as those who log in: found with their passwords, changed by those
 *		who may, and as the actors of events.
 */
#include "access/access.h"

#include "catalog/pg_type.h"

/* The person of the present result. */
static void
read_person(QmsPerson *person)
{
	person->staff_id = qms_spi_int64(0, 0);
	person->organization_id = qms_spi_int64(0, 1);
	person->username = qms_spi_text(0, 2);
	person->role = qms_spi_text(0, 3);
	person->disabled = !qms_spi_isnull(0, 4);
	person->hash = qms_spi_text(0, 5);
}

#define SELECT_PERSON \
	"SELECT s.staff_id, s.organization_id, s.username, s.role, s.disabled_at, p.hash FROM qms.staff s " \
	"JOIN qms.organization o ON o.organization_id = s.organization_id AND o.deleted_at IS NULL " \
	"LEFT JOIN qms_internal.staff_password p ON p.staff_id = s.staff_id WHERE s.deleted_at IS NULL "

/* A staff member who is there; disabled ones are. */
bool
qms_person_find(int64 staff_id, QmsPerson *person)
{
	static QmsPlan plan = QMS_PLAN(SELECT_PERSON "AND s.staff_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, staff_id);
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	read_person(person);
	return true;
}

bool
qms_person_by_name(int64 organization_id, const char *username, QmsPerson *person)
{
	static QmsPlan plan = QMS_PLAN(SELECT_PERSON "AND s.organization_id = $1 AND s.username = $2", INT8OID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_param_text(&params, username);
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	read_person(person);
	return true;
}

/*
 * An event about the accounts of an organization.  Who proved to be a staff
 * member did it as that one, whoever the session belongs to.
 */
void
qms_person_event(QmsCall *call, const char *verb, int64 organization_id, const QmsPerson *actor, QmsJson *json)
{
	QmsPrincipal himself = *call->who;
	QmsCall		as_himself = *call;
	QmsEvent	event = {0};

	if (actor != NULL)
	{
		himself.kind = strcmp(actor->role, "admin") == 0 ? QMS_ADMIN : QMS_STAFF;
		himself.kind_name = qms_principal_kind_name(QMS_STAFF);
		himself.id = actor->staff_id;
		himself.organization_id = actor->organization_id;
		himself.role = actor->role;
		as_himself.who = &himself;
	}
	event.kind = psprintf("staff.%s", verb);
	event.organization_id = organization_id;
	event.data = qms_json_end(json);
	(void) qms_event_write(&as_himself, &event);
}

/*
 * The staff member whose account is to be changed.  Accounts belong to all of
 * the organization: for those who administer it as a whole.
 */
void
qms_person_gate(QmsCall *call, int64 staff_id, QmsPerson *person)
{
	QmsObject	object = {.what = "staff member", .id = staff_id};

	if (!qms_person_find(staff_id, person))
		qms_not_found("staff member", staff_id);
	object.organization_id = person->organization_id;
	qms_gate_administers(call, &object);
}
