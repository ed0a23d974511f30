/*
 * rules.c
 *		What a broken rule of a type says: SQLSTATE, detail and hint.
 */
#include "qms.h"

#include "types/types.h"

#define NUMBER_HINT "Write it like A001, VIP-042 or 042."
#define TOKEN_HINT	"Pass the token unchanged, as join_queue answered it."
#define RATE_HINT	"Write it like 30/min, 5/s, 1000/h or 1.5/min."

typedef struct RuleText
{
	int			sqlstate;
	const char *detail;
	const char *hint;
} RuleText;

static const RuleText rule_texts[] = {
	[QMS_RULE_KEPT] = {ERRCODE_INTERNAL_ERROR, "No rule is broken.", ""},
	[QMS_NUMBER_SYNTAX] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
		"A ticket number is up to 5 letters A-Z, after them possibly a \"-\", and then 1 to 6 digits.",
	NUMBER_HINT},
	[QMS_NUMBER_PREFIX] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"The prefix of a ticket number is at most 5 letters A-Z.", NUMBER_HINT},
	[QMS_NUMBER_DASH] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"A \"-\" stands once, and only between letters and digits.", NUMBER_HINT},
	[QMS_NUMBER_RANGE] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
	"The number of a ticket is between 1 and 999999.", NUMBER_HINT},
	[QMS_NUMBER_WIDTH] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
	"The number of a ticket is written with 1 to 6 digits.", NUMBER_HINT},
	[QMS_TOKEN_LENGTH] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"A ticket token has exactly 43 characters.", TOKEN_HINT},
	[QMS_TOKEN_ALPHABET] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"A ticket token is made of A-Z, a-z, 0-9, \"-\" and \"_\".", TOKEN_HINT},
	[QMS_TOKEN_CANONICAL] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"The last character of a ticket token carries two bits that must be zero.", TOKEN_HINT},
	[QMS_TOKEN_FIELDS] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"The visit, the organization and the key in a ticket token are positive numbers.", TOKEN_HINT},
	[QMS_RATE_SYNTAX] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"A release rate is a number of people without sign, a \"/\" and a unit of time.", RATE_HINT},
	[QMS_RATE_UNIT] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
		"The unit of a release rate is s (sec, second), min (minute), h (hour) or d (day).",
	RATE_HINT},
	[QMS_RATE_FRACTION] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
	"A release rate has at most 6 digits after the decimal point.",
	"Round it, or use a longer unit."},
	[QMS_RATE_ZERO] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
	"A release rate is greater than zero.", "Pause the queue to release nobody."},
	[QMS_RATE_HUGE] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
	"A release rate is at most 1000000 people per second.",
	"Check the unit, or give a smaller number."},
};

/* The SQLSTATE of a text that breaks the rule. */
int
qms_types_rule_sqlstate(QmsRule rule)
{
	return rule_texts[rule].sqlstate;
}

/* The rule in words. */
const char *
qms_types_rule_detail(QmsRule rule)
{
	return rule_texts[rule].detail;
}

/* What to do about it. */
const char *
qms_types_rule_hint(QmsRule rule)
{
	return rule_texts[rule].hint;
}

/* Refuse the binary form of a type; the value itself is not repeated. */
void
qms_types_bad_binary(const char *type_name, QmsRule rule)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid binary value of type %s", type_name),
			 errdetail("%s", qms_types_rule_detail(rule)),
			 errhint("Send what %s_send produces, or use the text form.", type_name)));
}
