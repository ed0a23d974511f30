/*
 * types.c
 *		libFuzzer harness of src/types/parse.c: texts and bytes go in, and what
 *		is accepted must survive printing, reading and comparing.
 *
 * FUZZ_NUMBER, FUZZ_TOKEN or FUZZ_RATE chooses the type; see run.sh.
 */
#include <stdlib.h>
#include <string.h>

#include "types/types.h"

#define MUST(condition) do { if (!(condition)) abort(); } while (0)
#define UNUSED __attribute__((unused))

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

#ifdef FUZZ_NUMBER
#define VALUE QmsTicketNumber
#define PARSE qms_types_number_parse
#define PRINT qms_types_number_print
#define CHECK qms_types_number_check
#define TEXT_SIZE QMS_NUMBER_TEXT_SIZE

/* Making a number of its parts gives the same; the key finds only equals equal. */
static void
examine(const VALUE *value, const uint8 *data UNUSED, size_t size UNUSED)
{
	char		prefix[QMS_NUMBER_MAX_PREFIX + 2] = {0};
	VALUE		made;

	memcpy(prefix, value->prefix, QMS_NUMBER_MAX_PREFIX);
	MUST(qms_types_prefix_valid(prefix));
	if (value->flags & QMS_NUMBER_DASHED)
		strcat(prefix, "-");
	MUST(qms_types_number_build(&made, prefix, value->number, value->width) == QMS_RULE_KEPT);
	MUST(memcmp(&made, value, sizeof(made)) == 0);
	MUST((qms_types_number_key(value) & 0xFFFFF) == (uint64) value->number);
	made.flags = 0;
	made.width = QMS_NUMBER_MAX_WIDTH;
	MUST(qms_types_number_key(value) == qms_types_number_key(&made));
}
#endif

#ifdef FUZZ_TOKEN
#define VALUE QmsTicketToken
#define PARSE qms_types_token_decode
#define PRINT qms_types_token_print
#define CHECK qms_types_token_check
#define TEXT_SIZE QMS_TOKEN_TEXT_SIZE

/* The fields are positive, and there is one text for one token. */
static void
examine(const VALUE *value, const uint8 *data UNUSED, size_t size UNUSED)
{
	int64		organization_id;
	int64		visit_id;
	int			key_id;
	const uint8 *secret;

	qms_types_token_unpack(value, &organization_id, &visit_id, &key_id, &secret);
	MUST(organization_id > 0 && organization_id <= QMS_TOKEN_MAX_ORGANIZATION);
	MUST(visit_id > 0 && key_id > 0 && key_id <= QMS_TOKEN_MAX_KEY);
	MUST(secret == value->secret);
}
#endif

#ifdef FUZZ_RATE
#define VALUE QmsReleaseRate
#define PARSE qms_types_rate_parse
#define PRINT qms_types_rate_print
#define CHECK qms_types_rate_check
#define TEXT_SIZE QMS_RATE_TEXT_SIZE

/* speed * usec / full by shifting and subtracting, as a second opinion. */
static int64
long_division(int64 speed, int64 usec, int64 full)
{
	int64		quotient = 0;
	int64		rest = 0;
	int			bit;

	for (bit = 62; bit >= 0; bit--)
	{
		quotient *= 2;
		rest *= 2;
		if ((usec >> bit) & 1)
			rest += speed;
		for (; rest >= full; rest -= full)
			quotient++;
	}
	return quotient;
}

/* The fraction is reduced and is the speed; releases are exact and bounded. */
static void
examine(const VALUE *value, const uint8 *data, size_t size)
{
	const int64 full = QMS_RATE_SCALE * INT64_C(86400000000);
	int64		speed = qms_types_rate_speed(value);
	int64		usec = 0;
	int64		people;
	int64		microseconds;
	int64		released;

	memcpy(&usec, data, size < sizeof(usec) ? size : sizeof(usec));
	usec &= INT64_MAX;
	qms_types_rate_fraction(value, &people, &microseconds);
	MUST(speed > 0 && speed <= full && people > 0 && people <= microseconds);
	MUST((__int128) people * full == (__int128) speed * microseconds);
	released = qms_types_rate_released(value, usec);
	MUST(released >= 0 && released <= usec);
	MUST(released == long_division(speed, usec, full));
	MUST(released == (int64) ((__int128) people * usec / microseconds));
	MUST(qms_types_rate_released(value, -usec) == 0);
}
#endif

/* What the rules allow prints into its space and reads back byte for byte. */
static void
round_trip(const VALUE *value, const uint8 *data, size_t size)
{
	char	   *text = malloc(TEXT_SIZE);
	VALUE		back;

	PRINT(value, text);
	MUST(strlen(text) < TEXT_SIZE);
	MUST(PARSE(text, &back) == QMS_RULE_KEPT);
	MUST(memcmp(&back, value, sizeof(back)) == 0);
	free(text);
	examine(value, data, size);
}

/* The input is tried as a text, in a block of its exact size, and as the value's bytes. */
int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text = malloc(size + 1);
	VALUE		value;

	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (PARSE(text, &value) == QMS_RULE_KEPT)
	{
		MUST(CHECK(&value) == QMS_RULE_KEPT);
		round_trip(&value, data, size);
	}
	free(text);
	if (size >= sizeof(value))
	{
		memcpy(&value, data, sizeof(value));
		if (CHECK(&value) == QMS_RULE_KEPT)
			round_trip(&value, data + sizeof(value), size - sizeof(value));
	}
	return 0;
}
