/*
 * config.h
 *		The configuration as every call needs it: remembered by each backend
 *		until somebody changes a row of it.
 */
#ifndef QMS_CONFIG_H
#define QMS_CONFIG_H

#include "base/base.h"

#include "pgtime.h"
#include "utils/array.h"
#include "utils/date.h"

/* So many at once; afterwards one more each window / count. */
typedef struct QmsLimit
{
	int32		count;			/* 0: no limit */
	int64		window;			/* microseconds */
} QmsLimit;

/* Queue settings, parsed; settings.c has keys, defaults, units and checks. */
typedef struct QmsQueueSettings
{
	int32		max_waiting;	/* 0: no limit */
	int32		max_number;
	bool		wrap;
	int64		reset_time;		/* microseconds after local midnight */
	bool		live_past_midnight;
	int64		no_show_after;	/* microseconds; 0: never */
	int32		recall_limit;
	int64		recall_gap;
	int32		defer_limit;
	int64		undo_window;
	int64		join_from;		/* before opening */
	bool		requires_arrival;
	int64		last_ticket_before; /* closing */
	int64		expire_after_closing;	/* -1: at the end of the day only */
	int64		wanted_fallback;	/* how long a wanted counter or clerk is waited for */
	int64		priority_step;	/* credit of one step of priority */
	bool		is_public;
	bool		simulated;
	bool		subject_required;
	char	   *rate;			/* text of a release_rate, or NULL */
	int32		max_active;		/* 0: no limit */
	int64		token_life;
	int64		claim_window;
	bool		single_use;		/* of access tokens */
	int64		heartbeat_timeout;
	TimestampTz opens_at;		/* QMS_NO_TIME: at once */
	bool		lottery;
	char	   *overflow_hint;	/* or NULL */
	bool		no_show_compensation;
	int32		weight;			/* in its release pool */
	int32		adapt_min;		/* percent of the rate that reported load leaves */
	bool		invite_only;
	char	   *challenge;		/* name of a hook, or NULL */
	QmsLimit	join_subject;	/* customers, beside the limits of the organization */
	QmsLimit	join_address;
	int64		wait_target;	/* of statistics */
} QmsQueueSettings;

typedef struct QmsHours QmsHours;
typedef struct QmsDesks QmsDesks;
typedef struct QmsStaffing QmsStaffing;

typedef struct QmsQueue
{
	int64		queue_id;		/* hash key */
	int64		organization_id;
	int64		branch_id;		/* 0: of an application */
	int64		application_id;
	bool		is_release;
	int64		release_pool_id;	/* 0: none */
	int64		rate_speed;		/* of the pool or its own, see types.h; 0: no rate */
	int32		pool_max_active;	/* 0: no limit */
	char		status;			/* 'o'pen, 'p'aused, 'c'losed */
	char		prefix[8];		/* empty for release queues */
	char	   *name;
	bool		by_class;
	bool		calls_itself;	/* counters of its branch may call by themselves */
	pg_tz	   *zone;
	QmsQueueSettings settings;
	QmsHours   *hours;			/* NULL: not read yet; see hours.c */
	QmsDesks   *desks;			/* NULL: not read yet; see desks.c */
	QmsStaffing *staffing;		/* the same; see staffing.c */
} QmsQueue;

typedef struct QmsSource
{
	int64		queue_id;
	int64		customer_class_id;	/* 0: all classes */
	double		weight;
} QmsSource;

typedef enum QmsPolicy
{
	QMS_FIFO,
	QMS_STRICT,
	QMS_RATIO,
	QMS_WEIGHTED,
	QMS_POLICIES
} QmsPolicy;

typedef struct QmsProfile
{
	int64		counter_profile_id; /* 0: made from a counter's queues */
	int64		organization_id;
	int64		branch_id;
	QmsPolicy	policy;
	bool		blind;
	bool		auto_call;
	int			nsources;
	QmsSource  *sources;
} QmsProfile;

typedef struct QmsCounter
{
	int64		counter_id;
	int64		organization_id;
	int64		branch_id;
	int64		zone_id;
	char	   *name;
	QmsProfile	profile;		/* all its queues, fifo */
} QmsCounter;

/* Open counters that take from a queue and from the same others. */
typedef struct QmsDesk
{
	int			counters;
	QmsPolicy	policy;
	int			nsources;
	const QmsSource *sources;
} QmsDesk;

struct QmsDesks
{
	int			ncounters;
	int64	   *counter_ids;
	int			ndesks;
	QmsDesk    *desks;
};

typedef struct QmsClass
{
	int64		customer_class_id;
	int64		organization_id;
	char	   *name;
	int64		credit;			/* microseconds */
	bool		self_service;
	bool		deleted;		/* still that of some tickets */
} QmsClass;

/* A service as one queue offers it. */
typedef struct QmsOffer
{
	int64		service_id;
	int64		queue_id;
	int64		credit;
	int64		expected_duration;	/* 0: not said */
	ArrayType  *requires_skill; /* of service and offer; NULL: none */
} QmsOffer;

/*
 * cache.c.  What these answer is valid until the next qms_config_refresh(),
 * which the gate calls at the start of a call, and whoever has waited for a
 * lock calls again.  NULL: there is none, or it has been deleted.
 */
extern void qms_config_refresh(void);
extern QmsQueue *qms_config_queue(int64 queue_id);
extern QmsCounter *qms_config_counter(int64 counter_id);
extern QmsProfile *qms_config_profile(int64 counter_profile_id);
extern QmsClass *qms_config_class(int64 organization_id, const char *name);
extern QmsClass *qms_config_class_by_id(int64 customer_class_id);
extern QmsOffer *qms_config_offer(int64 queue_id, int64 service_id);
extern int64 qms_config_default_queue(int64 branch_id, int64 service_id);
extern int64 qms_config_only_service(int64 queue_id);
extern int	qms_config_open_counters(QmsQueue *queue);
extern const QmsDesks *qms_config_desks(QmsQueue *queue);
extern MemoryContext qms_config_context(void);
extern HTAB *qms_config_organizations(void);
extern void qms_config_read_pool(QmsQueue *queue, int column);
extern QmsPolicy qms_policy_by_name(const char *name);
extern const char *qms_policy_name(QmsPolicy policy);

/* settings.c */
typedef enum QmsSettingKind
{
	QMS_SET_INT,
	QMS_SET_BOOL,
	QMS_SET_DURATION,
	QMS_SET_TIME_OF_DAY,
	QMS_SET_RATE,
	QMS_SET_TIME,
	QMS_SET_TEXT,
	QMS_SET_LIMIT,
	QMS_SET_LANGUAGE
} QmsSettingKind;

/* To which kind of queue a setting applies; bits. */
#define QMS_COUNTER_KIND	1
#define QMS_RELEASE_KIND	2
#define QMS_BOTH_KINDS		3

typedef struct QmsSettingKey
{
	const char *key;
	QmsSettingKind kind;
	int			applies;
	const char *unit;			/* or NULL */
	const char *default_value;	/* as a user would write it, or NULL */
	int64		min;
	int64		max;
	const char *description;
	Size		offset;			/* in the struct of settings */
	const char *of;				/* "queue": what it is a setting of */
} QmsSettingKey;

extern const QmsSettingKey *qms_settings_key(size_t n);
extern const char *qms_settings_kind_name(QmsSettingKind kind);
extern const char *qms_settings_applies_name(int applies);
extern int64 qms_time_of_day(const char *text);
extern void qms_settings_parse(const Jsonb *settings, bool is_release, QmsQueueSettings *out);
extern Jsonb *qms_settings_merge(const Jsonb *old, const Jsonb *changes);
extern void qms_settings_set(const QmsSettingKey *key, const JsonbValue *v, void *out);
extern void qms_settings_default(const QmsSettingKey *key, void *out);
extern bool qms_settings_interval(const char *text, double *seconds);

/* organization.c: settings of an organization, and the networks of its branches */
typedef enum QmsLimitKind
{
	QMS_LIMIT_LOGIN,			/* by user name, by address */
	QMS_LIMIT_OTP,				/* by contact, by address */
	QMS_LIMIT_PAIR,				/* by address */
	QMS_LIMIT_JOIN_SUBJECT,		/* customers, by subject */
	QMS_LIMIT_JOIN_ADDRESS,		/* customers, by address */
	QMS_LIMIT_CREATE,			/* customers: new tickets, by subject or else by address */
	QMS_LIMIT_STAFF,			/* by staff member */
	QMS_LIMIT_APPLICATION,		/* by application */
	QMS_LIMIT_DEVICE,			/* by device */
	QMS_LIMIT_KINDS
} QmsLimitKind;

/* Languages that qms itself writes. */
typedef enum QmsLanguage
{
	QMS_EN,
	QMS_DE,
	QMS_FR,
	QMS_ES,
	QMS_LANGUAGES
} QmsLanguage;

typedef struct QmsOrganization
{
	int64		organization_id;	/* hash key */
	QmsLimit	limits[QMS_LIMIT_KINDS];
	int64		api_token_life; /* microseconds */
	int64		device_token_life;
	int64		personal_data_retention;	/* -1: for ever */
	QmsLanguage report_language;
	int			nnetworks;
	QmsNetwork *networks;		/* of all its branches */
} QmsOrganization;

extern bool qms_language_by_tag(const char *tag, QmsLanguage *language);
extern const char *qms_language_tag(QmsLanguage language);
extern const QmsOrganization *qms_config_organization(int64 organization_id);
extern bool qms_limit_parse(const char *text, QmsLimit *limit);
extern void qms_organization_check_settings(const Jsonb *settings);
extern int64 qms_organization_retention(const Jsonb *settings);
extern const QmsSettingKey *qms_organization_setting_key(size_t n);

/* hours.c */
extern void qms_hours_check_open(QmsQueue *queue, TimestampTz now);
extern bool qms_hours_is_open(QmsQueue *queue, TimestampTz now, TimestampTz *closes_at, TimestampTz *next_open);
extern const char *qms_hours_closure(QmsQueue *queue, TimestampTz now);
extern TimestampTz qms_hours_closing(QmsQueue *queue, TimestampTz at);
extern DateADT qms_service_day(const QmsQueue *queue, TimestampTz now);
extern pg_tz *qms_zone_by_name(const char *name);
extern void qms_local_time(TimestampTz at, pg_tz *zone, struct pg_tm *tm);
extern int	qms_local_weekday(int julian);
extern TimestampTz qms_local_moment(int julian, int64 time_of_day, pg_tz *zone);

/* staffing.c: counters that are planned */
#define QMS_NOT_PLANNED (-1)	/* as many as there are */
#define QMS_NOT_OPEN	(-2)	/* none: it is closed, and nothing is planned */
#define QMS_STAFF_SEGMENTS 20

typedef struct QmsStaffSegment
{
	TimestampTz until;			/* the last one: of what is known */
	int			planned;		/* counters, or one of the above */
} QmsStaffSegment;

struct QmsStaffing
{
	TimestampTz made_at;
	TimestampTz good_until;
	int			n;
	QmsStaffSegment segments[QMS_STAFF_SEGMENTS];
};

extern const QmsStaffing *qms_config_staffing(QmsQueue *queue, TimestampTz now);

#endif							/* QMS_CONFIG_H */
