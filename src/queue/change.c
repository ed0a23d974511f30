/*
 * change.c
 *		What an operation changed of a ticket: kept in its event as the values
 *		before, so that undo can put them back.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

static bool
same_value(const QmsTicket *a, const QmsTicket *b, int c)
{
	if (qms_row_isnull(a, c) || qms_row_isnull(b, c))
		return qms_row_isnull(a, c) == qms_row_isnull(b, c);
	return datumIsEqual(a->values[c], b->values[c], a->table->byval[c], a->table->typlen[c]);
}

/* "was": {column: text of the value before, or null} of each column that differs. */
void
qms_change_json(QmsJson *json, const QmsTicket *before, const QmsTicket *after)
{
	int			modes = qms_text_modes_begin();
	int			c;

	qms_json_begin_object(json, "was");
	for (c = 0; c < T_COLUMNS; c++)
	{
		Oid			output;
		bool		varlena;

		if (c == T_version || same_value(before, after, c))
			continue;
		if (qms_row_isnull(before, c))
		{
			qms_json_null(json, before->table->columns[c]);
			continue;
		}
		getTypeOutputInfo(before->table->types[c], &output, &varlena);
		qms_json_text(json, before->table->columns[c], OidOutputFunctionCall(output, before->values[c]));
	}
	qms_json_end_object(json);
	qms_text_modes_end(modes);
}

/* Put the values of "was" back into the row. */
void
qms_change_revert(QmsTicket *ticket, const Jsonb *data)
{
	Jsonb	   *was = qms_jsonb_object(data, "was");
	int			modes = qms_text_modes_begin();
	int			c;

	for (c = 0; was != NULL && c < T_COLUMNS; c++)
	{
		const char *column = ticket->table->columns[c];
		char	   *text = qms_jsonb_text(was, column);
		Oid			input;
		Oid			ioparam;

		if (text == NULL)
		{
			if (qms_jsonb_has(was, column))
				qms_row_set_null(ticket, c);
			continue;
		}
		getTypeInputInfo(ticket->table->types[c], &input, &ioparam);
		qms_row_set_datum(ticket, c, OidInputFunctionCall(input, text, ioparam, -1));
	}
	qms_text_modes_end(modes);
}
