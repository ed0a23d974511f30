/*
 * ticket_number.c
 *		qms.ticket_number: A001, VIP-042, 042.
 *
 * Twelve bytes.  Everything that orders, compares or hashes goes through
 * qms_types_number_key, a 60-bit integer, so these can never disagree; "-" and
 * leading zeros are display only and not part of it.
 */
#include "qms.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/sortsupport.h"

#include "types/types.h"

#define TYPE_NAME "qms.ticket_number"

StaticAssertDecl(sizeof(QmsTicketNumber) == 12, "CREATE TYPE qms.ticket_number says 12 bytes");

PG_FUNCTION_INFO_V1(qms_ticket_number_in);
PG_FUNCTION_INFO_V1(qms_ticket_number_out);
PG_FUNCTION_INFO_V1(qms_ticket_number_recv);
PG_FUNCTION_INFO_V1(qms_ticket_number_send);
PG_FUNCTION_INFO_V1(qms_ticket_number_prefix);
PG_FUNCTION_INFO_V1(qms_ticket_number_number);
PG_FUNCTION_INFO_V1(qms_make_ticket_number);

/* Put a ticket number together for the other files; see parse.c for the dash. */
void
qms_types_number_make(QmsTicketNumber *out, const char *prefix, int32 number, int width)
{
	QmsRule		rule = qms_types_number_build(out, prefix, number, width);

	if (rule != QMS_RULE_KEPT)
		ereport(ERROR,
				(errcode(qms_types_rule_sqlstate(rule)),
				 errmsg("cannot make a ticket number of prefix \"%s\", number %d and width %d",
						prefix, number, width),
				 errdetail("%s", qms_types_rule_detail(rule)),
				 errhint("Call it like make_ticket_number('A', 1) or "
						 "make_ticket_number('VIP-', 42, 3).")));
}

/* The text form, palloc'd. */
char *
qms_types_number_text(const QmsTicketNumber *value)
{
	char	   *str = palloc(QMS_NUMBER_TEXT_SIZE);

	qms_types_number_print(value, str);
	return str;
}

/* Text input. */
Datum
qms_ticket_number_in(PG_FUNCTION_ARGS)
{
	char	   *str = PG_GETARG_CSTRING(0);
	QmsTicketNumber *value = palloc(sizeof(*value));
	QmsRule		rule = qms_types_number_parse(str, value);

	if (rule != QMS_RULE_KEPT)
		ereport(ERROR,
				(errcode(qms_types_rule_sqlstate(rule)),
				 errmsg("invalid value for type %s: \"%s\"", TYPE_NAME, str),
				 errdetail("%s", qms_types_rule_detail(rule)),
				 errhint("%s", qms_types_rule_hint(rule))));
	PG_RETURN_POINTER(value);
}

/* Text output. */
Datum
qms_ticket_number_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(qms_types_number_text(PG_GETARG_TICKET_NUMBER(0)));
}

/* Binary input: count of letters, letters, flags, width, number. */
Datum
qms_ticket_number_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	QmsTicketNumber *value = palloc0(sizeof(*value));
	int			letters = pq_getmsgbyte(buf);
	QmsRule		rule;
	int			i;

	if (letters > QMS_NUMBER_MAX_PREFIX)
		qms_types_bad_binary(TYPE_NAME, QMS_NUMBER_PREFIX);
	for (i = 0; i < letters; i++)
	{
		value->prefix[i] = (char) pq_getmsgbyte(buf);
		if (value->prefix[i] == 0)
			qms_types_bad_binary(TYPE_NAME, QMS_NUMBER_PREFIX);
	}
	value->flags = (uint8) pq_getmsgbyte(buf);
	value->width = (uint8) pq_getmsgbyte(buf);
	value->number = (int32) pq_getmsgint(buf, 4);
	rule = qms_types_number_check(value);
	if (rule != QMS_RULE_KEPT)
		qms_types_bad_binary(TYPE_NAME, rule);
	PG_RETURN_POINTER(value);
}

/* Binary output, see qms_ticket_number_recv. */
Datum
qms_ticket_number_send(PG_FUNCTION_ARGS)
{
	QmsTicketNumber *value = PG_GETARG_TICKET_NUMBER(0);
	int			letters = strnlen(value->prefix, QMS_NUMBER_MAX_PREFIX);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, letters);
	pq_sendbytes(&buf, value->prefix, letters);
	pq_sendbyte(&buf, value->flags);
	pq_sendbyte(&buf, value->width);
	pq_sendint32(&buf, value->number);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

QMS_ORDERED_TYPE(qms_ticket_number, qms_types_number_key)

/* prefix(ticket_number): the letters, '' when there are none. */
Datum
qms_ticket_number_prefix(PG_FUNCTION_ARGS)
{
	QmsTicketNumber *value = PG_GETARG_TICKET_NUMBER(0);

	PG_RETURN_TEXT_P(cstring_to_text_with_len(value->prefix,
											  strnlen(value->prefix, QMS_NUMBER_MAX_PREFIX)));
}

/* number(ticket_number): the integer. */
Datum
qms_ticket_number_number(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_TICKET_NUMBER(0)->number);
}

/* make_ticket_number(prefix, number, width). */
Datum
qms_make_ticket_number(PG_FUNCTION_ARGS)
{
	char	   *prefix = text_to_cstring(PG_GETARG_TEXT_PP(0));
	QmsTicketNumber *value = palloc(sizeof(*value));

	qms_types_number_make(value, prefix, PG_GETARG_INT32(1), PG_GETARG_INT32(2));
	PG_RETURN_POINTER(value);
}
