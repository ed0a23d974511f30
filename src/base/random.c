/*
 * random.c
 *		Numbers that nobody can guess.
 */
#include "base/base.h"

#include "utils/builtins.h"

void
qms_random(void *bytes, size_t size)
{
	if (!pg_strong_random(bytes, size))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
}

/* Random bytes, as hexadecimal digits. */
char *
qms_random_hex(int size)
{
	uint8	   *bytes = palloc(size);
	char	   *hex = palloc0(2 * size + 1);

	qms_random(bytes, size);
	hex_encode((const char *) bytes, size, hex);
	return hex;
}
