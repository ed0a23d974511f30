/*
 * types.h
 *		The three data types of qms: ticket_number, ticket_token, release_rate.
 *
 * The first part, parse.c's, needs no server: it is also compiled into the
 * fuzzing harness of test/lib/fuzz.
 */
#ifndef QMS_TYPES_H
#define QMS_TYPES_H

#ifndef POSTGRES_H
#include <stdbool.h>
#include <stdint.h>
typedef uint8_t uint8;
typedef int32_t int32;
typedef int64_t int64;
typedef uint64_t uint64;
#endif

/* Which rule of a type's text or binary form was broken; rules.c says it in words. */
typedef enum QmsRule
{
	QMS_RULE_KEPT,
	QMS_NUMBER_SYNTAX, QMS_NUMBER_PREFIX, QMS_NUMBER_DASH, QMS_NUMBER_RANGE, QMS_NUMBER_WIDTH,
	QMS_TOKEN_LENGTH, QMS_TOKEN_ALPHABET, QMS_TOKEN_CANONICAL, QMS_TOKEN_FIELDS,
	QMS_RATE_SYNTAX, QMS_RATE_UNIT, QMS_RATE_FRACTION, QMS_RATE_ZERO, QMS_RATE_HUGE
} QmsRule;

/* qms.ticket_number.  Dash and width are for display; prefix and number count. */
#define QMS_NUMBER_MAX_PREFIX	5
#define QMS_NUMBER_MAX_WIDTH	6
#define QMS_NUMBER_MAX			999999
#define QMS_NUMBER_DASHED		0x01	/* flags: "-" between prefix and digits */
#define QMS_NUMBER_TEXT_SIZE	13	/* "VIPVI-123456" and the zero byte */

typedef struct QmsTicketNumber
{
	char		prefix[QMS_NUMBER_MAX_PREFIX];	/* A-Z, zero bytes behind */
	uint8		width;			/* digits shown, never fewer than needed */
	uint8		flags;
	uint8		reserved;		/* zero */
	int32		number;
} QmsTicketNumber;
extern QmsRule qms_types_number_parse(const char *text, QmsTicketNumber *out);
extern QmsRule qms_types_number_build(QmsTicketNumber *out, const char *prefix,
									  int32 number, int width);
extern QmsRule qms_types_number_check(const QmsTicketNumber *value);
extern void qms_types_number_print(const QmsTicketNumber *value, char *out);
extern uint64 qms_types_number_key(const QmsTicketNumber *value);
extern bool qms_types_prefix_valid(const char *prefix);

/* qms.ticket_token, bytes in the order in which they are encoded. */
#define QMS_TOKEN_SECRET_SIZE	16
#define QMS_TOKEN_TEXT_SIZE		44	/* 43 characters and the zero byte */
#define QMS_TOKEN_MAX_ORGANIZATION	INT64_C(0xFFFFFFFFFFFF)
#define QMS_TOKEN_MAX_KEY		0xFFFF

typedef struct QmsTicketToken
{
	uint8		secret[QMS_TOKEN_SECRET_SIZE];
	uint8		visit[8];		/* big endian, > 0 */
	uint8		organization[6];	/* big endian, > 0 */
	uint8		key[2];			/* big endian, > 0 */
} QmsTicketToken;
extern QmsRule qms_types_token_decode(const char *text, QmsTicketToken *out);
extern QmsRule qms_types_token_check(const QmsTicketToken *value);
extern void qms_types_token_print(const QmsTicketToken *value, char *out);
extern bool qms_types_token_parse(const char *text, QmsTicketToken *out);
extern void qms_types_token_unpack(const QmsTicketToken *value, int64 *organization_id,
								   int64 *visit_id, int *key_id, const uint8 **secret);

/* qms.release_rate.  The unit is kept for display; the speed counts. */
#define QMS_RATE_SCALE			INT64_C(1000000)	/* six digits after the point */
#define QMS_RATE_MAX_PER_SECOND INT64_C(1000000)	/* so one person per microsecond */
#define QMS_RATE_TEXT_SIZE		24	/* "86400000000.000001/min" fits */

typedef enum QmsRateUnit
{
	QMS_PER_SECOND,
	QMS_PER_MINUTE,
	QMS_PER_HOUR,
	QMS_PER_DAY
} QmsRateUnit;

typedef struct QmsReleaseRate
{
	int64		millionths;		/* people per unit, times QMS_RATE_SCALE */
	uint8		unit;			/* QmsRateUnit */
	uint8		reserved[7];	/* zero */
} QmsReleaseRate;
extern QmsRule qms_types_rate_parse(const char *text, QmsReleaseRate *out);
extern QmsRule qms_types_rate_check(const QmsReleaseRate *value);
extern void qms_types_rate_print(const QmsReleaseRate *value, char *out);
extern int64 qms_types_rate_speed(const QmsReleaseRate *value);
extern void qms_types_rate_fraction(const QmsReleaseRate *value, int64 *people,
									int64 *microseconds);
extern int64 qms_types_rate_released(const QmsReleaseRate *value, int64 elapsed_usec);

/* What follows raises errors, so it needs the server. */
#ifdef POSTGRES_H
#include "fmgr.h"

#define PG_GETARG_TICKET_NUMBER(n)	((QmsTicketNumber *) PG_GETARG_POINTER(n))
#define PG_GETARG_TICKET_TOKEN(n)	((QmsTicketToken *) PG_GETARG_POINTER(n))
#define PG_GETARG_RELEASE_RATE(n)	((QmsReleaseRate *) PG_GETARG_POINTER(n))

extern int	qms_types_rule_sqlstate(QmsRule rule);
extern const char *qms_types_rule_detail(QmsRule rule);
extern const char *qms_types_rule_hint(QmsRule rule);
extern void qms_types_bad_binary(const char *type_name, QmsRule rule) pg_attribute_noreturn();

extern void qms_types_number_make(QmsTicketNumber *out, const char *prefix,
								  int32 number, int width);
extern char *qms_types_number_text(const QmsTicketNumber *value);

extern void qms_types_token_pack(QmsTicketToken *out, int64 organization_id, int64 visit_id,
								 int key_id, const uint8 secret[QMS_TOKEN_SECRET_SIZE]);
extern bool qms_types_token_equal(const QmsTicketToken *a, const QmsTicketToken *b);

/*
 * The functions of a type whose order is that of one integer made of it:
 * operators, btree and hash support.  The key is never negative.
 */
#define QMS_ORDERED_OPERATOR(type, key_of, suffix, op) \
	PG_FUNCTION_INFO_V1(type##_##suffix); \
	Datum type##_##suffix(PG_FUNCTION_ARGS) \
	{ PG_RETURN_BOOL(key_of((const void *) PG_GETARG_POINTER(0)) op key_of((const void *) PG_GETARG_POINTER(1))); }

#define QMS_ORDERED_TYPE(type, key_of) \
	QMS_ORDERED_OPERATOR(type, key_of, eq, ==) \
	QMS_ORDERED_OPERATOR(type, key_of, ne, !=) \
	QMS_ORDERED_OPERATOR(type, key_of, lt, <) \
	QMS_ORDERED_OPERATOR(type, key_of, le, <=) \
	QMS_ORDERED_OPERATOR(type, key_of, gt, >) \
	QMS_ORDERED_OPERATOR(type, key_of, ge, >=) \
	static uint64 type##_key(Datum value) { return (uint64) key_of((const void *) DatumGetPointer(value)); } \
	PG_FUNCTION_INFO_V1(type##_cmp); \
	Datum type##_cmp(PG_FUNCTION_ARGS) \
	{ PG_RETURN_INT32(qms_types_compare(type##_key(PG_GETARG_DATUM(0)), type##_key(PG_GETARG_DATUM(1)))); } \
	static int type##_fastcmp(Datum x, Datum y, SortSupport ssup pg_attribute_unused()) \
	{ return qms_types_compare(type##_key(x), type##_key(y)); } \
	static Datum type##_abbreviate(Datum value, SortSupport ssup pg_attribute_unused()) \
	{ return (Datum) type##_key(value); } \
	PG_FUNCTION_INFO_V1(type##_sortsupport); \
	Datum type##_sortsupport(PG_FUNCTION_ARGS) \
	{ \
		qms_types_sortsupport((SortSupport) PG_GETARG_POINTER(0), type##_fastcmp, type##_abbreviate); \
		PG_RETURN_VOID(); \
	} \
	PG_FUNCTION_INFO_V1(type##_hash); \
	Datum type##_hash(PG_FUNCTION_ARGS) \
	{ return DirectFunctionCall1(hashint8, Int64GetDatum((int64) type##_key(PG_GETARG_DATUM(0)))); } \
	PG_FUNCTION_INFO_V1(type##_hash_extended); \
	Datum type##_hash_extended(PG_FUNCTION_ARGS) \
	{ \
		return DirectFunctionCall2(hashint8extended, Int64GetDatum((int64) type##_key(PG_GETARG_DATUM(0))), \
								   PG_GETARG_DATUM(1)); \
	}

struct SortSupportData;
extern int	qms_types_compare(uint64 a, uint64 b);
extern void qms_types_sortsupport(struct SortSupportData *ssup,
								  int (*compare) (Datum x, Datum y, struct SortSupportData *ssup),
								  Datum (*abbreviate) (Datum value, struct SortSupportData *ssup));
#endif							/* POSTGRES_H */
#endif							/* QMS_TYPES_H */
