/*
 * compat.h
 *		Differences between PostgreSQL versions; the only file that looks at
 *		PG_VERSION_NUM.
 */
#ifndef QMS_COMPAT_H
#define QMS_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "qms needs PostgreSQL 15 or newer"
#endif

#endif							/* QMS_COMPAT_H */
