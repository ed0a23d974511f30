/*
 * service.c
 *		Services, how branches offer them, and classes of customers.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"

/* ---- service ---- */

static QmsField service_fields[] = {
	QMS_FIELD("service_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("name", QMS_F_NAME),
	QMS_FIELD_UNIQUE("slug", QMS_F_SLUG, QMS_IN_ORGANIZATION),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD_UNIQUE("code", QMS_F_CODE, QMS_IN_ORGANIZATION),
	QMS_FIELD("expected_duration", QMS_F_DURATION),
	QMS_FIELD("credit", QMS_F_CREDIT),
	QMS_FIELD("requires_skill", QMS_F_WORDS),
	QMS_FIELDS_AT_END
};

static QmsUse service_uses[] = {
	{QMS_PLAN("SELECT q.name FROM qms.service_offer f JOIN qms.queue q ON q.queue_id = f.queue_id "
			  "WHERE f.service_id = $1 AND f.deleted_at IS NULL LIMIT 1", INT8OID),
	"Queue", "still offers it.", "Take it out of the queues with qms.delete_service_offer() first."}
};

static QmsThing service = {
	.name = "service", .noun = "service", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(service_fields), QMS_USES(service_uses)
};

QMS_FUNCTION(create_service, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &service);
}

QMS_FUNCTION(update_service, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &service);
}

QMS_FUNCTION(delete_service, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &service);
}

/* ---- service_offer ---- */

static QmsField service_offer_fields[] = {
	QMS_FIELD("service_offer_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD("service_id", QMS_F_OTHER),
	QMS_FIELD("queue_id", QMS_F_OTHER),
	QMS_FIELD("requires_skill", QMS_F_WORDS),
	QMS_FIELD("is_default", QMS_F_OTHER),
	QMS_FIELDS_AT_END
};

static void
check_offered_service(QmsSetup *setup, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.organization_id FROM qms.service s WHERE s.service_id = $1 AND s.deleted_at IS NULL",
								   INT8OID);

	if (qms_setup_organization_of(&plan, "service", service_id) != setup->organization_id)
		qms_not_found("service", service_id);
}

static void
check_not_offered_yet(int64 queue_id, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.service_offer f "
								   "WHERE f.queue_id = $1 AND f.service_id = $2 AND f.deleted_at IS NULL", INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, service_id);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("queue %lld offers service %lld already", (long long) queue_id, (long long) service_id),
				 errdetail("A queue offers a service once."),
				 errhint("Change the offer with qms.update_service_offer().")));
}

/* Is there a default queue for the service in this branch? */
static bool
has_default(QmsSetup *setup, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.service_offer f "
								   "WHERE f.branch_id = $1 AND f.service_id = $2 AND f.is_default AND f.deleted_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->branch_id);
	qms_param_int64(&params, service_id);
	return qms_spi_look(&plan, &params) > 0;
}

/* The default moves: the one that was it is it no more. */
static void
clear_other_default(QmsSetup *setup, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.service_offer SET is_default = false, updated_at = $4 "
								   "WHERE branch_id = $1 AND service_id = $2 AND service_offer_id <> $3 "
								   "AND is_default AND deleted_at IS NULL",
								   INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->branch_id);
	qms_param_int64(&params, service_id);
	qms_param_int64(&params, setup->id);
	qms_param_time(&params, setup->call->now);
	qms_spi_run(&plan, &params);
}

/* The first queue that offers a service is the default one unless it is said otherwise. */
static void
check_service_offer(QmsSetup *setup)
{
	QmsCall    *call = setup->call;
	int			service_column = qms_setup_column(setup, "service_id");
	int			default_column = qms_setup_column(setup, "is_default");
	int			is_default = qms_setup_argument(setup, "is_default");
	int64		service_id;

	if (setup->creating)
	{
		int64		queue_id = qms_arg_id(call, qms_setup_argument(setup, "queue_id"), "queue_id");

		service_id = qms_arg_id(call, qms_setup_argument(setup, "service_id"), "service_id");
		check_offered_service(setup, service_id);
		qms_setup_counter_queue(setup, queue_id);
		check_not_offered_yet(queue_id, service_id);
		qms_row_set_id(setup->row, service_column, service_id);
		qms_row_set_id(setup->row, qms_setup_column(setup, "queue_id"), queue_id);
		qms_row_set_bool(setup->row, default_column, !has_default(setup, service_id));
	}
	service_id = qms_row_int64(setup->row, service_column);
	if (!qms_arg_isnull(call, is_default))
		qms_row_set_bool(setup->row, default_column, qms_arg_bool(call, is_default, false));
	if (qms_row_bool(setup->row, default_column))
		clear_other_default(setup, service_id);
}

static QmsThing service_offer = {
	.name = "service_offer", .noun = "service offer", .owner = QMS_OWNER_BRANCH,
	QMS_FIELDS(service_offer_fields), .check = check_service_offer
};

QMS_FUNCTION(offer_service, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &service_offer);
}

QMS_FUNCTION(update_service_offer, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &service_offer);
}

QMS_FUNCTION(delete_service_offer, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &service_offer);
}

/* ---- customer_class ---- */

static QmsField customer_class_fields[] = {
	QMS_FIELD("customer_class_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_ORGANIZATION),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD("credit", QMS_F_CREDIT),
	QMS_FIELD("self_service", QMS_F_BOOL),
	QMS_FIELDS_AT_END
};

/* Sources of profiles name classes, so a name that is used there must stay. */
#define PROFILES_OF_CLASS \
	"SELECT p.name FROM qms.customer_class c JOIN qms.counter_profile p ON p.organization_id = c.organization_id " \
	"WHERE c.customer_class_id = $1 AND p.deleted_at IS NULL AND p.sources OPERATOR(pg_catalog.@>) " \
	"pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('customer_class', c.name)) LIMIT 1"

static QmsUse customer_class_uses[] = {
	{QMS_PLAN(PROFILES_OF_CLASS, INT8OID),
	"Counter profile", "still names it as a source.", "Change the sources of the profile first."}
};

static void
refuse_regular(QmsSetup *setup, const char *verb)
{
	if (strcmp(qms_row_text(setup->old ? setup->old : setup->row, qms_setup_column(setup, "name")), "regular") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_IN_USE),
				 errmsg("the class \"regular\" cannot be %s", verb),
				 errdetail("Whoever joins a queue without naming a class is of this one."),
				 errhint("Change how it is shown with names => '{\"en\": \"...\"}'.")));
}

static void
check_customer_class(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(PROFILES_OF_CLASS, INT8OID);
	int			name = qms_setup_column(setup, "name");
	QmsParams	params = {0};

	if (setup->creating ||
		strcmp(qms_row_text(setup->old, name), qms_row_text(setup->row, name)) == 0)
		return;
	refuse_regular(setup, "renamed");
	qms_param_int64(&params, setup->id);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_IN_USE),
				 errmsg("customer class %lld cannot be renamed", (long long) setup->id),
				 errdetail("Counter profile \"%s\" names it as a source.", qms_spi_text(0, 0)),
				 errhint("Change the sources of the profile first, or change names, which people see.")));
}

static void
deleting_customer_class(QmsSetup *setup)
{
	refuse_regular(setup, "deleted");
}

static QmsThing customer_class = {
	.name = "customer_class", .noun = "customer class", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(customer_class_fields), QMS_USES(customer_class_uses),
	.check = check_customer_class, .deleting = deleting_customer_class
};

QMS_FUNCTION(create_customer_class, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &customer_class);
}

QMS_FUNCTION(update_customer_class, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &customer_class);
}

QMS_FUNCTION(delete_customer_class, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &customer_class);
}
