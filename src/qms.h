/*
 * qms.h
 *		The words every file of qms.so needs.
 */
#ifndef QMS_H
#define QMS_H

#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "errors.h"

/* The two schemas; every statement we run names one of them or pg_catalog. */
#define QMS_SCHEMA			"qms"
#define QMS_INTERNAL_SCHEMA "qms_internal"

/* Loaded by shared_preload_libraries, so there is shared memory. */
extern bool qms_is_preloaded;

#endif							/* QMS_H */
