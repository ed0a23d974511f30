/*
 * parse.c
 *		Text forms, checks and arithmetic of the three types, without the server.
 *
 * Nothing here allocates, raises an error or looks at the locale: a function
 * answers with the rule that was broken, and the files beside this one turn it
 * into an error.  test/lib/fuzz compiles this file alone.
 */
#include "types/types.h"

#include <stdio.h>
#include <string.h>

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')

#define SECONDS_PER_DAY		INT64_C(86400)
/* millionths of a person per day that make one person per microsecond */
#define FULL_SPEED			(QMS_RATE_SCALE * SECONDS_PER_DAY * INT64_C(1000000))

/* Upper-case form of an ASCII letter, zero for every other byte. */
static char
fold_letter(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c;
	if (c >= 'a' && c <= 'z')
		return (char) (c - 'a' + 'A');
	return 0;
}

/* How many digits a number needs; the number is not negative. */
static int
digits_needed(int32 number)
{
	int			digits = 1;

	while (number >= 10)
	{
		number /= 10;
		digits++;
	}
	return digits;
}

/*
 * Read letters and an optional dash into *out, which has been zeroed, and
 * leave *text behind them.
 */
static QmsRule
parse_prefix(const char **text, QmsTicketNumber *out)
{
	const char *p = *text;
	int			letters = 0;

	for (; fold_letter(*p) != 0; p++)
	{
		if (letters == QMS_NUMBER_MAX_PREFIX)
			return QMS_NUMBER_PREFIX;
		out->prefix[letters++] = fold_letter(*p);
	}
	if (*p == '-')
	{
		if (letters == 0 || p[1] == '-')
			return QMS_NUMBER_DASH;
		out->flags |= QMS_NUMBER_DASHED;
		p++;
	}
	*text = p;
	return QMS_RULE_KEPT;
}

/* Read the text form of a ticket number: letters, dash, digits. */
QmsRule
qms_types_number_parse(const char *text, QmsTicketNumber *out)
{
	const char *p = text;
	QmsRule		rule;
	int			width = 0;

	memset(out, 0, sizeof(*out));
	rule = parse_prefix(&p, out);
	if (rule != QMS_RULE_KEPT)
		return rule;
	for (; IS_DIGIT(*p); p++)
	{
		if (width <= QMS_NUMBER_MAX_WIDTH)
			width++;
		if (width <= QMS_NUMBER_MAX_WIDTH)
			out->number = out->number * 10 + (*p - '0');
	}
	if (*p != '\0' || width == 0)
		return QMS_NUMBER_SYNTAX;
	if (width > QMS_NUMBER_MAX_WIDTH)
		return QMS_NUMBER_WIDTH;
	out->width = (uint8) width;
	return qms_types_number_check(out);
}

/*
 * Put a ticket number together.  The prefix may end in "-", which is then
 * shown; a number with more digits than the width simply gets wider.
 */
QmsRule
qms_types_number_build(QmsTicketNumber *out, const char *prefix, int32 number, int width)
{
	const char *p = prefix;
	QmsRule		rule;

	memset(out, 0, sizeof(*out));
	rule = parse_prefix(&p, out);
	if (rule != QMS_RULE_KEPT)
		return rule;
	if (*p != '\0')
		return QMS_NUMBER_PREFIX;
	if (number < 1 || number > QMS_NUMBER_MAX)
		return QMS_NUMBER_RANGE;
	if (width < 1 || width > QMS_NUMBER_MAX_WIDTH)
		return QMS_NUMBER_WIDTH;
	out->number = number;
	out->width = (uint8) width;
	if (out->width < digits_needed(number))
		out->width = (uint8) digits_needed(number);
	return QMS_RULE_KEPT;
}

/* Is this a ticket number that the text form could have made? */
QmsRule
qms_types_number_check(const QmsTicketNumber *value)
{
	int			letters = 0;
	int			i;

	while (letters < QMS_NUMBER_MAX_PREFIX &&
		   value->prefix[letters] >= 'A' && value->prefix[letters] <= 'Z')
		letters++;
	for (i = letters; i < QMS_NUMBER_MAX_PREFIX; i++)
		if (value->prefix[i] != 0)
			return QMS_NUMBER_PREFIX;
	if ((value->flags & ~QMS_NUMBER_DASHED) != 0 || value->reserved != 0)
		return QMS_NUMBER_SYNTAX;
	if ((value->flags & QMS_NUMBER_DASHED) != 0 && letters == 0)
		return QMS_NUMBER_DASH;
	if (value->number < 1 || value->number > QMS_NUMBER_MAX)
		return QMS_NUMBER_RANGE;
	if (value->width > QMS_NUMBER_MAX_WIDTH || value->width < digits_needed(value->number))
		return QMS_NUMBER_WIDTH;
	return QMS_RULE_KEPT;
}

/* Write the text form; out has room for QMS_NUMBER_TEXT_SIZE. */
void
qms_types_number_print(const QmsTicketNumber *value, char *out)
{
	int32		rest = value->number;
	int			width = value->width;
	int			i;

	for (i = 0; i < QMS_NUMBER_MAX_PREFIX && value->prefix[i] != 0; i++)
		*out++ = value->prefix[i];
	if ((value->flags & QMS_NUMBER_DASHED) != 0)
		*out++ = '-';
	for (i = width - 1; i >= 0; i--)
	{
		out[i] = (char) ('0' + rest % 10);
		rest /= 10;
	}
	out[width] = '\0';
}

/* All that counts in one integer: its order and equality are those of the type. */
uint64
qms_types_number_key(const QmsTicketNumber *value)
{
	uint64		key = 0;
	int			i;

	for (i = 0; i < QMS_NUMBER_MAX_PREFIX; i++)
		key = (key << 8) | (uint8) value->prefix[i];
	return (key << 20) | (uint64) value->number;
}

/* Is this a prefix as it is stored: up to five letters A-Z, maybe none, no dash? */
bool
qms_types_prefix_valid(const char *prefix)
{
	int			letters = 0;

	if (prefix == NULL)
		return false;
	while (letters <= QMS_NUMBER_MAX_PREFIX && prefix[letters] >= 'A' && prefix[letters] <= 'Z')
		letters++;
	return letters <= QMS_NUMBER_MAX_PREFIX && prefix[letters] == '\0';
}

/* Value of a character of the url-safe base64 alphabet, -1 for any other. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (IS_DIGIT(c))
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

/* Read the text form of a token; *out is undefined when a rule is broken. */
QmsRule
qms_types_token_decode(const char *text, QmsTicketToken *out)
{
	uint8	   *bytes = (uint8 *) out;
	uint64		bits = 0;
	int			held = 0;
	int			i;

	for (i = 0; text[i] != '\0'; i++)
	{
		int			value = base64_value(text[i]);

		if (i == QMS_TOKEN_TEXT_SIZE - 1)
			return QMS_TOKEN_LENGTH;
		if (value < 0)
			return QMS_TOKEN_ALPHABET;
		bits = ((bits << 6) | (uint64) value) & 0xFFFF;
		held += 6;
		if (held >= 8)
		{
			held -= 8;
			*bytes++ = (uint8) (bits >> held);
		}
	}
	if (i != QMS_TOKEN_TEXT_SIZE - 1)
		return QMS_TOKEN_LENGTH;
	if ((bits & 0x03) != 0)
		return QMS_TOKEN_CANONICAL;
	return qms_types_token_check(out);
}

/* Read the text form of a token: false if it is malformed, without an error. */
bool
qms_types_token_parse(const char *text, QmsTicketToken *out)
{
	return text != NULL && qms_types_token_decode(text, out) == QMS_RULE_KEPT;
}

/* Do the token's 32 bytes name a visit, an organization and a key? */
QmsRule
qms_types_token_check(const QmsTicketToken *value)
{
	int64		organization_id;
	int64		visit_id;
	int			key_id;
	const uint8 *secret;

	qms_types_token_unpack(value, &organization_id, &visit_id, &key_id, &secret);
	if (organization_id <= 0 || visit_id <= 0 || key_id <= 0)
		return QMS_TOKEN_FIELDS;
	return QMS_RULE_KEPT;
}

/* Write the text form; out has room for QMS_TOKEN_TEXT_SIZE. */
void
qms_types_token_print(const QmsTicketToken *value, char *out)
{
	static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8 *bytes = (const uint8 *) value;
	unsigned	bits = 0;
	int			held = 0;
	int			i;

	for (i = 0; i < (int) sizeof(*value); i++)
	{
		bits = ((bits << 8) | bytes[i]) & 0xFFFF;
		for (held += 8; held >= 6; held -= 6)
			*out++ = alphabet[(bits >> (held - 6)) & 0x3F];
	}
	/* 256 bits leave four, filled up with two zero bits */
	*out++ = alphabet[(bits << (6 - held)) & 0x3F];
	*out = '\0';
}

/* Read a big-endian integer of up to eight bytes. */
static uint64
read_big_endian(const uint8 *bytes, int count)
{
	uint64		value = 0;
	int			i;

	for (i = 0; i < count; i++)
		value = (value << 8) | bytes[i];
	return value;
}

/* Take a token apart; *secret points into it. */
void
qms_types_token_unpack(const QmsTicketToken *value, int64 *organization_id, int64 *visit_id,
					   int *key_id, const uint8 **secret)
{
	*organization_id = (int64) read_big_endian(value->organization, sizeof(value->organization));
	*visit_id = (int64) read_big_endian(value->visit, sizeof(value->visit));
	*key_id = (int) read_big_endian(value->key, sizeof(value->key));
	*secret = value->secret;
}

/* Seconds of a unit and the names under which it is read; the first is printed. */
static const struct
{
	int			seconds;
	const char *names[3];
}			rate_units[] = {
	[QMS_PER_SECOND] = {1, {"s", "sec", "second"}},
	[QMS_PER_MINUTE] = {60, {"min", "minute", NULL}},
	[QMS_PER_HOUR] = {3600, {"h", "hour", NULL}},
	[QMS_PER_DAY] = {86400, {"d", "day", NULL}},
};

/* Is the text this lower-case word, in any case? */
static bool
is_word(const char *text, const char *word)
{
	while (*word != '\0' && fold_letter(*text) == fold_letter(*word))
	{
		text++;
		word++;
	}
	return *word == '\0' && *text == '\0';
}

/* Find the unit that the whole text names. */
static bool
parse_unit(const char *text, uint8 *unit)
{
	int			i;
	int			j;

	for (i = 0; i <= QMS_PER_DAY; i++)
		for (j = 0; j < 3 && rate_units[i].names[j] != NULL; j++)
			if (is_word(text, rate_units[i].names[j]))
			{
				*unit = (uint8) i;
				return true;
			}
	return false;
}

/*
 * Read a decimal as millionths and leave *text behind it.  A value too large
 * for any unit stays too large instead of overflowing.
 */
static QmsRule
parse_millionths(const char **text, int64 *millionths)
{
	const int64 ceiling = FULL_SPEED + 1;
	const char *p = *text;
	int64		value = 0;
	int			fraction = -1;

	if (!IS_DIGIT(*p))
		return QMS_RATE_SYNTAX;
	for (; IS_DIGIT(*p); p++)
	{
		value = value * 10 + (*p - '0') * QMS_RATE_SCALE;
		if (value > ceiling)
			value = ceiling;
	}
	if (*p == '.')
	{
		int64		weight = QMS_RATE_SCALE;

		for (fraction = 0, p++; IS_DIGIT(*p); p++, fraction++)
		{
			weight /= 10;
			value += (*p - '0') * weight;
			if (weight == 0)
				return QMS_RATE_FRACTION;
		}
		if (fraction == 0)
			return QMS_RATE_SYNTAX;
	}
	*millionths = value;
	*text = p;
	return QMS_RULE_KEPT;
}

/* Read the text form of a release rate: decimal, slash, unit. */
QmsRule
qms_types_rate_parse(const char *text, QmsReleaseRate *out)
{
	const char *p = text;
	QmsRule		rule;

	memset(out, 0, sizeof(*out));
	rule = parse_millionths(&p, &out->millionths);
	if (rule != QMS_RULE_KEPT)
		return rule;
	if (*p != '/')
		return QMS_RATE_SYNTAX;
	if (!parse_unit(p + 1, &out->unit))
		return QMS_RATE_UNIT;
	return qms_types_rate_check(out);
}

/* Is this a release rate that the text form could have made? */
QmsRule
qms_types_rate_check(const QmsReleaseRate *value)
{
	int			i;

	if (value->unit > QMS_PER_DAY)
		return QMS_RATE_UNIT;
	for (i = 0; i < (int) sizeof(value->reserved); i++)
		if (value->reserved[i] != 0)
			return QMS_RATE_SYNTAX;
	if (value->millionths <= 0)
		return QMS_RATE_ZERO;
	if (value->millionths >
		QMS_RATE_MAX_PER_SECOND * QMS_RATE_SCALE * rate_units[value->unit].seconds)
		return QMS_RATE_HUGE;
	return QMS_RULE_KEPT;
}

/* Write the text form; out has room for QMS_RATE_TEXT_SIZE. */
void
qms_types_rate_print(const QmsReleaseRate *value, char *out)
{
	long long	whole = (long long) (value->millionths / QMS_RATE_SCALE);
	int			fraction = (int) (value->millionths % QMS_RATE_SCALE);
	int			digits = 6;
	int			length;

	length = snprintf(out, QMS_RATE_TEXT_SIZE, "%lld", whole);
	if (fraction != 0)
	{
		for (; fraction % 10 == 0; fraction /= 10)
			digits--;
		length += snprintf(out + length, QMS_RATE_TEXT_SIZE - length, ".%0*d", digits, fraction);
	}
	snprintf(out + length, QMS_RATE_TEXT_SIZE - length, "/%s", rate_units[value->unit].names[0]);
}

/*
 * Millionths of a person per day.  A day is a whole number of every unit, so
 * this is exact, and equality and order of rates are those of this number.
 */
int64
qms_types_rate_speed(const QmsReleaseRate *value)
{
	return value->millionths * (SECONDS_PER_DAY / rate_units[value->unit].seconds);
}

/* The rate as a reduced fraction, people per microseconds. */
void
qms_types_rate_fraction(const QmsReleaseRate *value, int64 *people, int64 *microseconds)
{
	int64		speed = qms_types_rate_speed(value);
	int64		a = speed;
	int64		b = FULL_SPEED;

	while (b != 0)
	{
		int64		remainder = a % b;

		a = b;
		b = remainder;
	}
	*people = speed / a;
	*microseconds = FULL_SPEED / a;
}

/*
 * How many people the rate has released after a time, rounded down; none
 * before it began.  No rate is faster than one person per microsecond, so the
 * answer never exceeds elapsed_usec.
 */
int64
qms_types_rate_released(const QmsReleaseRate *value, int64 elapsed_usec)
{
	if (elapsed_usec <= 0)
		return 0;
	return (int64) ((__int128) qms_types_rate_speed(value) * elapsed_usec / FULL_SPEED);
}
