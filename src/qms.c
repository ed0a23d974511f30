/*
 * qms.c
 *		Magic block and the table of contents of start-up.
 */
#include "qms.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
}
