/*
 * base.h
 *		What every other folder stands on: the one SPI idiom, rows, the clock,
 *		locks, partitions, small JSON.
 */
#ifndef QMS_BASE_H
#define QMS_BASE_H

#include "qms.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "storage/lwlock.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

/* A moment that is not there; no real time is that early. */
#define QMS_NO_TIME DT_NOBEGIN

/* ---- spi.c: a statement, its argument types and its kept plan ---- */

#define QMS_MAX_ARGS 96

/* Stand for types whose OIDs are known only at run time. */
#define QMS_NUMBER_TYPE ((Oid) 1)
#define QMS_TOKEN_TYPE	((Oid) 2)
#define QMS_RATE_TYPE	((Oid) 3)

typedef struct QmsPlan
{
	const char *sql;
	int			nargs;
	Oid			argtypes[QMS_MAX_ARGS];
	SPIPlanPtr	plan;			/* kept for the life of the backend */
	struct QmsPlan *next;		/* all kept plans */
} QmsPlan;

#define QMS_PLAN(text, ...) \
	{(text), lengthof(((Oid[]) {__VA_ARGS__})), {__VA_ARGS__}, NULL, NULL}
#define QMS_PLAN_NOARGS(text) {(text), 0, {0}, NULL, NULL}

typedef struct QmsParams
{
	int			n;
	Datum		values[QMS_MAX_ARGS];
	char		nulls[QMS_MAX_ARGS + 1];
} QmsParams;

extern void qms_param_null(QmsParams *p);
extern void qms_param_datum(QmsParams *p, Datum value);
extern void qms_param_int64(QmsParams *p, int64 value);
extern void qms_param_id(QmsParams *p, int64 id);	/* 0 is null */
extern void qms_param_int32(QmsParams *p, int32 value);
extern void qms_param_bool(QmsParams *p, bool value);
extern void qms_param_text(QmsParams *p, const char *value);	/* NULL is null */
extern void qms_param_time(QmsParams *p, TimestampTz value);	/* QMS_NO_TIME is null */
extern void qms_param_pointer(QmsParams *p, const void *value); /* NULL is null */

extern void qms_spi_begin(void);
extern void qms_spi_end(void);
extern void qms_spi_utility(const char *sql);
extern void qms_spi_forget_plans(void);
extern SPITupleTable *qms_spi_result(void);
extern void qms_spi_return_to(SPITupleTable *result);
extern uint64 qms_spi_run(QmsPlan *plan, QmsParams *params);
extern uint64 qms_spi_run_now(QmsPlan *plan, QmsParams *params);
extern uint64 qms_spi_look(QmsPlan *plan, QmsParams *params);
extern uint64 qms_spi_look_at(QmsPlan *plan, QmsParams *params, Snapshot snapshot);
extern int	qms_text_modes_begin(void);
extern void qms_text_modes_end(int nestlevel);
extern Oid	qms_type_oid(Oid stand_in);
extern Oid	qms_relation_oid(const char *schema, const char *name);
extern int64 qms_sequence_next(const char *name);

/* Of row r of the last result, column c from 0.  A null is 0, NULL, false or QMS_NO_TIME. */
extern bool qms_spi_isnull(int r, int c);
extern Datum qms_spi_datum(int r, int c, bool *isnull);
extern int64 qms_spi_int64(int r, int c);
extern int32 qms_spi_int32(int r, int c);
extern bool qms_spi_bool(int r, int c);
extern TimestampTz qms_spi_time(int r, int c);
extern Jsonb *qms_spi_jsonb(int r, int c);	/* points into the result */
extern char *qms_spi_text(int r, int c);	/* copied to CurrentMemoryContext */

/* ---- row.c: a row of one of our tables as arrays of values ---- */

typedef struct QmsTable
{
	const char *schema;
	const char *name;
	int			ncols;
	const char *const *columns;
	int			nkey;			/* the first nkey columns are the key */
	/* made on first use */
	Oid			relid;
	AttrNumber *attnums;
	Oid		   *types;
	bool	   *byval;
	int16	   *typlen;
	char	   *select_list;	/* "t.a, t.b, ..." */
	QmsPlan		insert;
	struct QmsUpdate *updates;	/* one for each set of columns changed so far */
} QmsTable;

typedef struct QmsRow
{
	QmsTable   *table;
	Datum	   *values;
	char	   *nulls;			/* 'n' or ' ', as SPI wants it */
	uint64		changed;		/* bits of the columns set since it was read or written */
} QmsRow;

extern void qms_table_prepare(QmsTable *table);
extern const char *qms_table_select_list(QmsTable *table);
extern QmsRow *qms_row_new(QmsTable *table);
extern QmsRow *qms_row_copy(const QmsRow *row);
extern QmsRow *qms_row_fetch(QmsTable *table, int r, int first_column);
extern QmsRow *qms_row_fetch_whole(QmsTable *table, int r, int c);
extern void qms_row_insert(QmsRow *row);
extern void qms_row_update(QmsRow *row);
extern void qms_row_supersede(QmsRow *row, const QmsRow *copy);
extern QmsPlan *qms_table_plan(QmsTable *table, QmsPlan *plan, const char *format);

extern bool qms_row_isnull(const QmsRow *row, int c);
extern int64 qms_row_int64(const QmsRow *row, int c);
extern int32 qms_row_int32(const QmsRow *row, int c);
extern bool qms_row_bool(const QmsRow *row, int c);
extern TimestampTz qms_row_time(const QmsRow *row, int c);
extern char *qms_row_text(const QmsRow *row, int c);
extern void *qms_row_pointer(const QmsRow *row, int c);
extern int64 qms_row_interval(const QmsRow *row, int c);
extern void qms_row_set_null(QmsRow *row, int c);
extern void qms_row_set_datum(QmsRow *row, int c, Datum value);
extern void qms_row_set_id(QmsRow *row, int c, int64 id);
extern void qms_row_set_int64(QmsRow *row, int c, int64 value);
extern void qms_row_set_int32(QmsRow *row, int c, int32 value);
extern void qms_row_set_bool(QmsRow *row, int c, bool value);
extern void qms_row_set_time(QmsRow *row, int c, TimestampTz value);
extern void qms_row_set_text(QmsRow *row, int c, const char *value);
extern void qms_row_set_pointer(QmsRow *row, int c, const void *value);
extern void qms_row_set_interval(QmsRow *row, int c, int64 usec);
extern void qms_row_copy_value(QmsRow *to, int c, const QmsRow *from, int from_c);

/* ---- installation.c ---- */
extern bool qms_installation_check(void);
extern char *qms_installation_version(void);
extern uint64 qms_installation_number(void);

/* ---- clock.c ---- */
extern TimestampTz qms_clock_now(void);
extern bool qms_clock_is_mocked(void);
extern void qms_clock_define_settings(void);
extern bool qms_time_parse(const char *text, bool needs_zone, TimestampTz *value);
extern int64 qms_unix_seconds(TimestampTz moment);
extern int64 qms_unix_usec(TimestampTz moment);
extern TimestampTz qms_unix_moment(int64 seconds);
extern Interval *qms_interval_make(int64 usec);
extern int64 qms_interval_usec(const Interval *interval, const char *what);

/* ---- lock.c ---- */
typedef enum QmsLockClass
{
	QMS_LOCK_QUEUE = 0x5101,	/* shared: join, transfer in; exclusive: open, pause, close */
	QMS_LOCK_TICKET,			/* exclusive: a customer's or desk's own change of a ticket */
	QMS_LOCK_VISIT,				/* exclusive: calling one of several tickets of a visit */
	QMS_LOCK_REQUEST,			/* exclusive: one request_id at work */
	QMS_LOCK_PARTITION,			/* exclusive: making a partition */
	QMS_LOCK_SETUP,				/* exclusive: things counted before they are written, such as prefixes */
	QMS_LOCK_SUBJECT,			/* exclusive: one subject joining one queue */
	QMS_LOCK_LOGIN,				/* exclusive: one user name or contact being checked; never waited for */
	QMS_LOCK_ROOM				/* exclusive: a waiting room being counted, or entered without shared memory */
} QmsLockClass;

extern void qms_lock(QmsLockClass class, int64 id, bool exclusive);
extern void qms_unlock(QmsLockClass class, int64 id, bool exclusive);
extern bool qms_lock_if_free(QmsLockClass class, int64 id, bool exclusive);
extern bool qms_lock_is_held_by_other(QmsLockClass class, int64 id);

/* ---- partition.c ---- */
typedef enum QmsPartitioned
{
	QMS_PART_HISTORY,
	QMS_PART_LEG,
	QMS_PART_EVENT,
	QMS_PART_POSITION			/* by day */
} QmsPartitioned;

extern void qms_partition_ensure(QmsPartitioned which, TimestampTz at);
extern void qms_partition_forget(void);
extern TimestampTz qms_partition_next(QmsPartitioned which, TimestampTz at);
extern bool qms_partition_drop_one(QmsPartitioned which, TimestampTz before);

/* ---- memory.c: parts of shared memory ---- */
typedef struct QmsMemory
{
	const char *name;			/* of the part, and of its locks */
	Size		(*size) (void);
	Size		(*more) (void);	/* what start() takes by itself; NULL: nothing */
	int			locks;
	/* Under AddinShmemInitLock; found: another process has started it. */
	void		(*start) (void *memory, bool found, LWLockPadded *locks);
} QmsMemory;

extern void qms_memory_register(const QmsMemory *part); /* while the library is preloaded, else nothing */

/* ---- try.c ---- */
extern ErrorData *qms_try(void (*function) (void *arg), void *arg);

/* ---- random.c ---- */
extern void qms_random(void *bytes, size_t size);
extern char *qms_random_hex(int size);

/* ---- inval.c ---- */
extern void qms_inval_watch(void);
extern uint64 qms_inval_generation(void);
extern void qms_inval_sessions(void);
extern void (*qms_inval_hook) (Relation rel);

/* ---- network.c: addresses of clients, and networks ---- */
typedef struct QmsNetwork
{
	bool		is_v6;
	int			bits;			/* an address has all of them */
	uint8		bytes[16];
} QmsNetwork;

extern bool qms_network_parse(const char *text, QmsNetwork *network);
extern bool qms_network_is_address(const QmsNetwork *network);
extern void qms_network_of_inet(const inet *value, QmsNetwork *network);
extern void qms_network_to_inet(const QmsNetwork *network, inet *value);
extern bool qms_network_contains(const QmsNetwork *network, const QmsNetwork *address);
extern char *qms_network_text(const QmsNetwork *network);
extern void qms_network_cut(QmsNetwork *network, int bits);

/* ---- json.c: objects written key by key ---- */
typedef struct QmsJson
{
	JsonbParseState *state;
} QmsJson;

extern void qms_json_begin(QmsJson *json);
extern void qms_json_text(QmsJson *json, const char *key, const char *value);	/* NULL: left out */
extern void qms_json_int64(QmsJson *json, const char *key, int64 value);
extern void qms_json_id(QmsJson *json, const char *key, int64 id);	/* 0: left out */
extern void qms_json_bool(QmsJson *json, const char *key, bool value);
extern void qms_json_float8(QmsJson *json, const char *key, double value);
extern void qms_json_time(QmsJson *json, const char *key, TimestampTz value);	/* QMS_NO_TIME: left out */
extern void qms_json_jsonb(QmsJson *json, const char *key, const Jsonb *value);	/* NULL: left out */
extern void qms_json_null(QmsJson *json, const char *key);
extern void qms_json_begin_object(QmsJson *json, const char *key);	/* key NULL inside an array */
extern void qms_json_end_object(QmsJson *json);
extern void qms_json_begin_array(QmsJson *json, const char *key);
extern void qms_json_end_array(QmsJson *json);
extern void qms_json_element_text(QmsJson *json, const char *value);
extern void qms_json_element_int64(QmsJson *json, int64 value);
extern Jsonb *qms_json_end(QmsJson *json);

/* Look-ups in a jsonb object; NULL or "missing" when the key is not there or of another kind. */
extern bool qms_jsonb_has(const Jsonb *json, const char *key);
extern Jsonb *qms_jsonb_object(const Jsonb *json, const char *key);
extern char *qms_jsonb_text(const Jsonb *json, const char *key);
extern bool qms_jsonb_int64(const Jsonb *json, const char *key, int64 *value);
extern bool qms_jsonb_bool(const Jsonb *json, const char *key, bool *value);
extern TimestampTz qms_jsonb_time(const Jsonb *json, const char *key);

/* ---- write.c: JSON as text, to be sent on; keys in the order of writing ---- */
extern void qms_write_begin(StringInfo out, const char *key, char bracket);
extern void qms_write_end(StringInfo out, char bracket);
extern void qms_write_text(StringInfo out, const char *key, const char *value); /* NULL: left out */
extern void qms_write_int64(StringInfo out, const char *key, int64 value);
extern void qms_write_float8(StringInfo out, const char *key, double value);
extern void qms_write_id(StringInfo out, const char *key, int64 id);	/* 0: left out */
extern void qms_write_bool(StringInfo out, const char *key, bool value);
extern void qms_write_time(StringInfo out, const char *key, TimestampTz value); /* QMS_NO_TIME: left out */
extern void qms_write_duration(StringInfo out, const char *key, int64 usec);
extern void qms_write_jsonb(StringInfo out, const char *key, Jsonb *value); /* NULL: left out */
extern void qms_write_raw(StringInfo out, const char *key, const char *json);	/* NULL: left out */
extern Datum qms_write_datum(StringInfo out);

/* ---- array.c: arrays and bytes ---- */
extern struct ArrayType *qms_array_make(const int64 *values, int n, Oid type);
extern int64 *qms_array_read(Datum array, int *n);
extern bytea *qms_bytes(const void *data, Size size);

#endif							/* QMS_BASE_H */
