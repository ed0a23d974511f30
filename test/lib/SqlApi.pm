# SqlApi.pm: contrib-docs/sql-api.md, made from the installed extension, its COMMENTs, and the words below.
#
#   perl test/lib/sql_api.pl PSQL-OPTION... > contrib-docs/sql-api.md
#
# 050_docs.pl makes it again and compares.  A new function needs words for its new arguments, a
# new SQLSTATE words for when and what to do: the document cannot be made without them.
package SqlApi;

use strict;
use warnings;

use JSON::PP;

# Arguments: by function.name, else by name.
my %argument = (
	'allowed_origins' => 'web pages whose scripts may call, such as `https://shop.example`',
	'application_id' => 'application',
	'auto_call' => 'the next customer is called when one is done',
	'before' => 'only those that joined before this moment',
	'export_audit.before' => 'only events before this moment',
	'export_audit.since' => 'only events from this moment on; null: from the first one',
	'export_audit.max_rows' => 'rows of one page, up to 10000',
	'find_customers.query' => 'a whole e-mail address, phone number or name: personal data is sealed, so pieces cannot be found',
	'rotate_seal_key.purpose' => '`seal` or `seal_index`',
	'reseal.max_rows' => 'rows of one batch',
	'blind' => 'staff see no personal data and may not choose',
	'branch_id' => 'branch',
	'branch_ids' => 'only these branches; `{}`: all of the organization',
	'api_key_id' => 'API key',
	'application_ids' => 'only these applications; `{}`: all',
	'branch_slug' => 'slug of the branch',
	'challenge' => 'answer to the challenge of the queue, for the hook that its setting `challenge` names',
	'closure_id' => 'closure',
	'pair_device.code' => 'what was typed, such as `K7PW-9QXM`',
	'code' => 'short code of your own, unique in the organization',
	'contact' => 'ways to reach the person, `{"kind": "address"}`; at most 16 kB',
	'counter_id' => 'counter',
	'counter_profile_id' => 'counter profile',
	'credit' => 'how much earlier it counts as having come (interval, no months)',
	'customer_class' => 'name of a customer class of the organization',
	'customer_id' => 'customer',
	'kinds' => 'only events of these kinds',
	'after_event_id' => 'only events after this one; the last of the page before',
	'external_subject' => 'who it is in another system, unique in the organization',
	'after_customer_id' => 'only customers after this one; the last of the page before',
	'visit_id' => 'visit',
	'customer_class_id' => 'customer class',
	'device_id' => 'device',
	'display_name' => 'name that others see',
	'during' => 'from when to when, a range of moments',
	'elapsed' => 'time since the release began (interval, no months)',
	'expected_duration' => 'how long the service takes as a rule (interval, up to 366 days); wait figures come from it',
	'plan' => '`{"mon": [["08:00", "12:00", 2]], ...}`: from, until (local time), counters; null or `{}`: none',
	'prediction_quality.since' => 'of those called from this moment on; null: 7 days before `before`',
	'prediction_quality.before' => 'of those called before this moment; null: now',
	'expires_in' => 'how long from now it is good for, such as `1 year`; null: for ever, or as before',
	'finish_current' => '`completed`, `no_show` or `left`: end the current ticket first; null: there must be none',
	'functions' => 'names of functions that it may call; null: all that applications may',
	'hold_kind' => '`staff`, `parked`, `deferred`, `away`, `not_arrived` or `offline`',
	'hours' => '`{"mon": [["08:00", "12:00"]], ...}`, local time; null or `{}`: always open',
	'is_default' => 'whether those who name branch and service only come to this queue',
	'key' => 'the key, all of it',
	'kind' => '`counter` or `release`',
	'create_device.kind' => '`display`, `kiosk` or `speaker`',
	'bind_role.kind' => '`admin`, `kiosk`, `display` or `customer`; null: from staff_id or application_id',
	'language' => 'language to call and answer in, a tag such as `de`',
	'max_active' => 'how many may be inside at a time; null or 0: no limit',
	'max_rows' => 'at most so many rows, 1 to 10,000',
	'metadata' => 'whatever you keep with the ticket, a JSON object; at most 16 kB',
	'find_tickets.metadata' => 'what the metadata must contain, a JSON object',
	'name' => 'name that people read',
	'create_customer_class.name' => 'name; join_queue and profiles use it',
	'update_customer_class.name' => 'name; join_queue and profiles use it',
	'names' => 'the name in other languages, `{"language tag": "text"}`',
	'networks' => 'addresses where its devices are',
	'note' => 'kept with the leg that ends',
	'notes' => 'notes of staff; at most 4 kB',
	'number' => 'ticket number; the whole number (`A1` finds `A001`)',
	'make_ticket_number.number' => '1 to 999999',
	'number.ticket_number' => 'ticket number',
	'organization_id' => 'organization',
	'organization_slug' => 'slug of the organization',
	'outcome' => 'how it went, in a word of your own',
	'overlap' => 'how long the old key is let in, 0 to 90 days',
	'permissions' => 'permissions beyond the role, a JSON object',
	'place' => '`credit` (by arrival and credit), `first` or `last`',
	'places' => 'how many people go first, 1 to 1,000',
	'policy' => '`fifo`, `strict`, `ratio` or `weighted`',
	'prefix' => '0 to 5 letters before the numbers, unique in the branch; null: the next free letter',
	'make_ticket_number.prefix' => '0 to 5 letters, a dash behind them is kept',
	'priority' => '0 to 10, each step worth `priority_step` of the queue',
	'profile_id' => 'counter profile; null: all queues of the counter, fifo',
	'query' => 'piece of a number, subject, contact or note',
	'queue_id' => 'queue',
	'queue_ids' => 'create_counter: counter queues of the branch that it serves; staff: only with these queues, `{}`: all',
	'create_api_key.queue_ids' => 'queues of the organization that it is for; null: the waiting rooms of the application',
	'create_api_key.name' => 'name that people read, unique among the keys of the application',
	'create_device.name' => 'name that people read, unique among the devices of the branch',
	'rate' => 'release rate such as `30/min`',
	'set_release_rate.rate' => 'release rate such as `30/min`; null: by release_next only',
	'count' => 'how many, 1 to 1,000',
	'load' => 'how busy the application is: 1 is as much as it can bear',
	'reason' => 'why, in words',
	'release_pool_id' => 'release pool; in update_queue 0 takes the queue out',
	'request_id' => 'makes the call repeatable, see above; null: not',
	'requires_skill' => 'skills that a clerk needs, all of them',
	'resume_at' => 'when it comes back by itself; null: when somebody says so',
	'resume_to' => '`place` (its old place), `counter` (the counter it was at) or `clerk` (who served it)',
	'role' => '`admin`, `reception`, `caller` or `servicer`',
	'role_name' => 'name of a database role',
	'self_service' => 'customers may name it themselves',
	'service_id' => 'service',
	'service_offer_id' => 'offer of a service by a queue',
	'settings' => 'JSON object; updates are merged, a key with null is removed',
	'create_queue.settings' => 'JSON object, see [settings of a queue](#settings-of-a-queue)',
	'create_organization.settings' => 'JSON object, see [settings of an organization](#settings-of-an-organization)',
	'update_organization.settings' => 'JSON object that is merged, see [settings of an organization](#settings-of-an-organization); null puts a default back',
	'update_queue.settings' => 'JSON object that is merged, see [settings of a queue](#settings-of-a-queue); null puts a default back',
	'since' => 'only those that joined from this moment on; null: open ones and those of today',
	# report
	'days' => 'how many days, today included',
	'every' => '`day`, `week` or `month`',
	'export_history.format' => '`csv` or `json`',
	'export_history.since' => 'only what ended from this moment on; null: from the beginning',
	'export_history.before' => 'only what ended before this moment; null: now',
	'export_history.what' => '`tickets` or `legs`',
	(map { ("$_.scope" => '`organization:<id>`, `branch:<id>` or `queue:<id>`; null: the organization of the caller') } qw(export_history forecast_arrivals report_html)),
	'create_report_schedule.scope' => '`organization:<id>`, `branch:<id>` or `queue:<id>`; null: all of the organization',
	(map { ("$_.language" => '`en`, `de`, `fr` or `es`; null: `report_language` of the organization') } qw(report_html create_report_schedule)),
	'update_report_schedule.language' => '`en`, `de`, `fr` or `es`; empty: `report_language` of the organization',
	'report_html.since' => 'the first day is that of this moment; null: seven days before the end',
	'report_html.before' => 'the last day is the one before this moment; null: yesterday',
	'staffing_advice.since' => 'hours from this one on; null: today',
	'staffing_advice.before' => 'hours before this moment; null: seven days after since',
	'visit_advice.days' => 'hours of so many days, today included, 0 to 14',
	'visit_advice.max_rows' => 'options beside now, 0 to 20',
	'target_wait' => 'how long somebody may wait',
	'target_share' => 'how many of the people are to wait no longer, 0 to 1',
	'time_of_day' => 'when it is made, by the clocks of its scope',
	'with_staff' => 'whether staff are named',
	'keep' => 'how many of its reports are kept, 1 to 1000',
	'report_id' => 'report',
	'report_schedule_id' => 'report schedule',
	(map { ("$_.name" => 'name that people read, unique among the report schedules of the organization') } qw(create_report_schedule update_report_schedule)),
	# snap: statistics
	'scope' => '`organization:<id>`, `branch:<id>` or `queue:<id>`',
	'period' => '`hour`, `day` or `total`',
	(map { ("$_.since" => 'beginning; null: 30 days before the end', "$_.before" => 'end, does not count itself; null: now') } qw(queue_stats analytics peak_hours staff_performance)),
	'callback_errors.since' => 'beginning; null: 30 days before the end',
	'callback_errors.before' => 'end, does not count itself; null: now',
	'recompute_snapshots.since' => 'beginning; null: that of the event log',
	'recompute_snapshots.before' => 'end, does not count itself; null: that of the event log',
	'recompute_snapshots.organization_id' => 'organization; null: that of the caller, for a superuser all',
	'summary.organization_id' => 'organization; null: that of the caller',
	'callback_errors.organization_id' => 'organization; null: that of the caller',
	'analytics.customer_class' => 'name of the class; null: all classes',
	'durations' => 'durations, such as waits',
	'duration' => 'a duration',
	'sketch' => 'a distribution',
	'q' => 'which part, 0 to 1: 0.9 is the 90th percentile',
	'skills' => 'what he can do',
	'slug' => 'for URLs: a-z, 0-9 and dashes; null: made from the name',
	'sources' => '`[{"queue_id": id, "customer_class": name, "weight": number}]`; null: the queues of the counter',
	'staff_id' => 'staff member',
	'subject' => 'names the person: one live place per subject and queue; at most 4 kB',
	'ticket_id' => 'ticket, open or past as the function needs it',
	'ticket_number' => 'ticket number',
	'time_zone' => 'name such as `Europe/Berlin`',
	'token' => 'the token that join_queue answered',
	'until' => 'until when it is on hold',
	'username' => 'user name, unique in the organization',
	'visit_token' => 'token of an earlier ticket of the same person: a further ticket of that visit',
	'waiting' => '`serve` (those who wait are still served) or `expire` (they are sent home)',
	'width' => 'digits shown at least, up to 6',
	'channel' => 'such as `display:3`, `display:3:1`, `queue:5`, `staff:3`, `admin:1`',
	'after_position' => 'the last position already read; 0: from the oldest that is kept',
	'epoch' => 'epoch of after_position; null: not checked',
	'from_oldest' => 'begin at the oldest event that is kept, not at the end',
	'create_consumer.name' => 'name of the consumer, unique in the database',
	'delete_consumer.name' => 'name of the consumer',
	'consumer_read.name' => 'name of the consumer',
	'consumer_advance.name' => 'name of the consumer',
	'create_consumer.organization_id' => 'organization whose events it reads; null: the own one, for superusers all',
	'up_to' => 'position of the last event that was worked on; null: where it is or, after QM901 and QM902, the end of the present epoch',
	'run_overdue' => 'run timers that came due meanwhile; otherwise they are skipped',
	'password' => 'the password; see [security](security.md) for what it must be like',
	'old_password' => 'the present password',
	'new_password' => 'the next one; see [security](security.md) for what it must be like',
	'refresh_token' => 'the token that login or refresh answered last',
	'everywhere' => 'all logins of the person, not only this one',
	'login.organization_slug' => 'slug of the organization; null: the own one, or the only one',
	'request_password_reset.organization_slug' => 'slug of the organization; null: the own one, or the only one',
	'request_otp.organization_slug' => 'slug of the organization; null: the own one, or the only one',
	'verify_otp.organization_slug' => 'slug of the organization; null: the own one, or the only one',
	'login.username' => 'user name, as it was given to create_staff',
	'request_password_reset.username' => 'user name, as it was given to create_staff',
	'reset_password.token' => 'the token that was sent',
	'request_otp.contact' => 'phone number such as `+4915112345678`, or e-mail address',
	'verify_otp.contact' => 'the same as for request_otp',
	'verify_otp.code' => 'six digits; spaces do not matter',
	'secret_delivery_id' => 'named by the event',
	'purpose' => '`jwt`, `ticket_token` or `login`',
	'jwks.purpose' => '`jwt`; the others have no public keys',
	'algorithm' => '`HS256`, `RS256` or `ES256` for `jwt`; null: that of the present key',
	'overlap' => 'how long older keys count after active_from (interval, no months); null: as the purpose needs, 0: not at all',
	'active_from' => 'when it begins to sign; null: now',
	'claim_access.token' => 'the token that join_queue answered',
	'access_token' => 'the token that claim_access answered',
	'verify_access.subject' => 'who shows the token; null: not compared',
	'verify_access.queue_id' => 'queue that he comes for; null: not compared',
	'rotate_access_key.algorithm' => '`HS256`, `RS256` or `ES256`; null: that of the present key',
	'rotate_access_key.overlap' => 'how long older keys count after active_from (interval, no months); null or 0: not at all',
	'after_rank' => 'only those behind this rank; the last of the page before',
	'subjects' => 'subjects that join_queue names, each 1 to 1,000 bytes',
	'expires_at' => 'until when; null: until it is withdrawn',
	'after_subject' => 'only subjects after this one; the last of the page before',
	'register_hook.name' => 'name that settings will use',
	'delete_hook.name' => 'name of the hook',
	'function' => 'the function with the types of its arguments, `app.check(bigint,text,text,inet)`',
	'bucket' => 'name of the bucket, such as `checkout:anna`; at most 200 bytes',
	'allowance' => 'how many in which span of time, such as `100/h` or `20/15 min`; `off`: no limit',
	# met
	'alert_rule_id' => 'alert rule',
	'create_alert_rule.name' => 'name that people read, unique in the organization',
	'metric' => '`queue_length`, `mean_wait`, `p90_wait`, `nobody_serving`, `callback_failures`, `api_errors` or `worker_lag`',
	'threshold' => 'raised above it: people, seconds, or a share from 0 to 1',
	'recover_at' => 'recovered at or below it; null: the threshold',
	'hold_for' => 'how long it must have been above (interval, no months)',
	'repeat_every' => 'told again after so long while it lasts; null: once',
	'measured_over' => 'of what happened within so long, up to a day; null: 30 minutes',
	'enabled' => 'whether it is looked at',
	'zone_id' => 'zone; in update_counter 0 is none');

# Examples: by function.
my %example = (
	join_queue => q{SELECT number, token, position, wait_p50 FROM qms.join_queue(branch_id => 1, service_id => 3, language => 'de');},
	ticket_status => q{SELECT state, position, wait_p10, wait_p90, counter_name FROM qms.ticket_status('...43 characters...');},
	defer_ticket => q{SELECT position FROM qms.defer_ticket('...', places => 3);},
	open_counter => q{SELECT status, allowed_actions FROM qms.open_counter(7, profile_id => 2);},
	call_next => q{SELECT number, customer_class, waited FROM qms.call_next(7, finish_current => 'completed');},
	complete_service => q{SELECT state FROM qms.complete_service(7, outcome => 'passport issued');},
	login => q{SELECT access_token, refresh_token, error, retry_after FROM qms.login('ada', 'correct horse battery', 'city');},
	rotate_signing_key => q{SELECT kid, active_from FROM qms.rotate_signing_key('jwt', 'ES256', active_from => now() + interval '1 hour');},
	claim_access => q{SELECT access_token, expires_at FROM qms.claim_access('...43 characters...');},
	verify_access => q{SELECT valid, reason FROM qms.verify_access('eyJ...', subject => 'session 1f6c', queue_id => 9);},
	rotate_access_key => q{SELECT kid, public_key FROM qms.rotate_access_key(1, 'ES256', active_from => now() + interval '1 hour');},
	set_release_rate => q{SELECT state, rate, effective_rate FROM qms.set_release_rate(9, '30/min');},
	release_next => q{SELECT ticket_id, claim_until FROM qms.release_next(9, count => 5);},
	report_load => q{SELECT load_factor, effective_rate FROM qms.report_load(9, 1.2);},
	release_status => q{SELECT state, inside, max_active, waiting, next_release_at FROM qms.release_status(9);},
	undo => q{SELECT number, state FROM qms.undo(7);},
	hold_ticket => q{SELECT state FROM qms.hold_ticket(4711, 'needs a photo', 'parked', resume_to => 'clerk');},
	transfer_ticket => q{SELECT number, queue_id FROM qms.transfer_ticket(4711, 5, place => 'first', note => 'wrong floor');},
	update_ticket => q{SELECT priority FROM qms.update_ticket(4711, priority => 2);},
	# report
	export_history => q{COPY (SELECT qms.export_history('csv', '2026-03-01', '2026-04-01')) TO STDOUT WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01');},
	forecast_arrivals => q{SELECT starts_at, arrivals, low, high FROM qms.forecast_arrivals('branch:1', days => 3);},
	staffing_advice => q{SELECT starts_at, arrivals, counters, counters_if_busy FROM qms.staffing_advice('branch:1', target_wait => '5 min', target_share => 0.9);},
	report_html => q{SELECT qms.report_html('branch:1', '2026-03-02', '2026-03-09', language => 'de');},
	visit_advice => q{SELECT option, branch_name, starts_at, wait_p50, saves FROM qms.visit_advice(branch_id => 1, service_id => 2);},
	create_report_schedule => q{SELECT next_due_at FROM qms.create_report_schedule(1, 'Town hall, weekly', 'branch:1', every => 'week');},
	# snap: statistics
	summary => q{SELECT name, waiting, open_counters, arrivals, wait_p90 FROM qms.summary();},
	queue_stats => q{SELECT customer_class, arrivals, wait_mean, wait_p90, within_target FROM qms.queue_stats(5, since => '2026-11-01', before => '2026-12-01');},
	analytics => q{SELECT local_date, arrivals, completed, abandonment, wait_p50, wait_p95 FROM qms.analytics('branch:1', since => now() - interval '7 days');},
	peak_hours => q{SELECT rank, weekday, local_hour, arrivals_mean, wait_p90 FROM qms.peak_hours('branch:1') LIMIT 10;},
	staff_performance => q{SELECT display_name, served, service_mean, idle, serving, pauses FROM qms.staff_performance(1);},
	callback_errors => q{SELECT endpoint, kind, attempts, error FROM qms.callback_errors();},
	recompute_snapshots => q{SELECT qms.recompute_snapshots('2026-11-01', '2026-11-08');},
	sketch_quantile => q{SELECT qms.sketch_quantile(qms.sketch_merge(wait_sketch), 0.9) FROM qms.analytics_snapshot WHERE queue_id = 5 AND period = 'day' AND customer_class IS NULL;},
	explain_call => q{SELECT number, score, chosen, reason FROM qms.explain_call(4711);},
	close_queue => q{SELECT status FROM qms.close_queue(5, waiting => 'expire');},
	waiting_list => q{SELECT place, number, waited, may_call FROM qms.waiting_list(counter_id => 7);},
	find_tickets => q{SELECT number, state, joined_at FROM qms.find_tickets(1, 'meier', since => now() - interval '7 days');},
	create_queue => q{SELECT queue_id FROM qms.create_queue('Passports', branch_id => 1, settings => '{"max_waiting": 60, "recall_gap": "20 s"}');},
	create_counter_profile => q{SELECT counter_profile_id FROM qms.create_counter_profile(1, 'passports 3 to 1', 'ratio',
	sources => '[{"queue_id": 5, "weight": 3}, {"queue_id": 6, "weight": 1}]');},
	set_opening_hours => q{SELECT count(*) FROM qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "18:00"]]}', branch_id => 1);},
	bind_role => q{SELECT kind FROM qms.bind_role('clerk_ada', 1, staff_id => 12);},
	invite => q{SELECT subjects FROM qms.invite(9, ARRAY['ann@example.org', 'K7PW-9QXM'], now() + interval '7 days');},
	take_limit => q{SELECT allowed, retry_after FROM qms.take_limit('checkout:anna', '5/min');},
	register_hook => q{SELECT * FROM qms.register_hook('captcha', 'app.check_captcha(bigint,text,text,inet)');},
	lottery_entries => q{SELECT rank, ticket_id FROM qms.lottery_entries(9, after_rank => 1000);},
	# met
	metrics => q{SELECT qms.metrics();},
	create_alert_rule => q{SELECT alert_rule_id FROM qms.create_alert_rule(1, 'Long wait at the passports', 'p90_wait', 1800, queue_id => 5,
	recover_at => 1500, hold_for => '5 min', repeat_every => '1 h');},
	# predict
	set_staffing_plan => q{SELECT count(*) FROM qms.set_staffing_plan(5, '{"mon": [["08:00", "10:00", 2], ["10:00", "12:00", 4], ["12:00", "13:00", 1]]}');},
	prediction_quality => q{SELECT waits, mean_waited, mean_told, bias, coverage FROM qms.prediction_quality(5, since => now() - interval '30 days');},
	released => q{SELECT qms.released('30/min', interval '1 hour');});

# Our SQLSTATEs: name in words, when, what to do.
my %sqlstate = (
	QM101 => ['not found', 'an id or name that was never there, has been deleted, or belongs to another organization', 'check the id, and the organization of the role that asks'],
	QM201 => ['no principal', 'the role of the session belongs to no organization', 'bind it with bind_role'],
	QM202 => ['unsafe role', 'a role is more powerful than it may be: a group of qms that can log in, or a superuser that is to be bound', 'use another role, or take its rights away'],
	QM220 => ['too many requests', 'more than a limit of the organization allows; status 429 with Retry-After through PostgREST', 'wait as long as the hint says, or raise the limit'],
	QM221 => ['two credentials', 'a request has both a token and an API key; status 400 through PostgREST', 'send one of them'],
	QM301 => ['queue closed', 'the queue takes no tickets', 'staff open it with open_queue'],
	QM302 => ['queue paused', 'the queue takes no tickets for the moment', 'try again later; staff continue it with open_queue'],
	QM303 => ['queue full', 'as many wait as max_waiting allows', 'the hint is the overflow_hint of the queue, or says when to come back'],
	QM304 => ['numbers exhausted', 'max_number is reached, and wrap is off or every number is in use', 'raise max_number or set wrap'],
	QM305 => ['class not allowed', 'a customer names a class that is not self-service, or a priority', 'staff and applications may'],
	QM306 => ['outside opening hours', 'too early (join_from), too late (last_ticket_before), or a closure', 'the hint tells when tickets are given again'],
	QM307 => ['wrong kind of queue', 'a counter queue where a release queue is needed, or the other way round', 'choose another queue'],
	QM308 => ['service not offered', 'the queue, or no queue of the branch, offers the service', 'offer it with offer_service'],
	QM309 => ['too large', 'more than 16 kB of JSON or 4 kB of text', 'keep it elsewhere and store a reference'],
	QM310 => ['subject required', 'the queue needs a subject', 'give subject'],
	QM311 => ['not invited', 'the queue is invite_only, and the subject is not invited, or not any more', 'join with the subject of the invitation'],
	QM312 => ['challenge not solved', 'the hook of the queue did not accept challenge, or failed', 'solve the challenge and give the answer as challenge'],
	QM313 => ['lottery begun', 'opens_at or lottery of a queue is to be changed after its draw has begun', 'create another queue for another opening'],
	QM401 => ['illegal transition', 'the state of the ticket does not allow it, see [states](states.md)', 'look at the ticket, then use the function that fits'],
	QM402 => ['already ended', 'the ticket, or the whole visit, has ended', 'reinstate_ticket puts a ticket back'],
	QM403 => ['counter busy', 'a ticket is called to the counter or served there', 'end it, or give finish_current'],
	QM404 => ['counter not open', 'the counter has no open session, or no pause to end', 'open_counter'],
	QM405 => ['counter paused', 'a paused counter calls nobody', 'resume_counter'],
	QM406 => ['counter taken', 'the counter is open already, or the clerk works at another one', 'close the open session'],
	QM407 => ['no current ticket', 'nobody is at the counter', 'call_next'],
	QM408 => ['recall limit', 'called again as often as recall_limit allows', 'mark_no_show or requeue_ticket'],
	QM409 => ['recalled too soon', 'recall_gap has not passed', 'a little later'],
	QM410 => ['defer limit', 'deferred as often as defer_limit allows', 'leave, or stay'],
	QM411 => ['not eligible', 'this counter does not serve the queue; the person is called elsewhere; or the subject has another place', 'see the message'],
	QM412 => ['blind call', 'a blind profile may not choose, nor search by personal data', 'call_next'],
	QM413 => ['nothing to undo', 'the counter did nothing that can be taken back, or the ticket has changed since', 'correct it by hand'],
	QM414 => ['too late to undo', 'undo_window has passed, or is 0', 'correct it by hand'],
	QM415 => ['direct change', 'DELETE, TRUNCATE or a change of id on `qms.ticket`', 'call the function that ends a ticket'],
	QM416 => ['in use', 'something else still needs what is to be deleted', 'the detail names it'],
	QM420 => ['queue stopped', 'nobody is let in, claims or is found to be in since stop_queue', 'open_queue goes on'],
	QM501 => ['invalid token', 'no ticket belongs to the token, or its key has expired; one error for every reason', 'use the token that join_queue answered'],
	QM502 => ['password not allowed', 'too short, too long, too simple, the user name, or one of those that are tried first', 'the detail names the rule'],
	QM520 => ['invalid key', 'an API key or device key is unknown, malformed, expired or revoked; one error for every reason; status 401 through PostgREST', 'a new key'],
	QM530 => ['not let in yet', 'the ticket still waits; the detail says its position', 'wait until ticket_status says released'],
	QM531 => ['access ended', 'not claimed in time, or the visit is over', 'join again'],
	QM532 => ['access used', 'the access token has let somebody in', 'whoever is in stays in; ask with the same token'],
	QM601 => ['request reused', 'request_id was used with other arguments', 'a new request_id for each new request'],
	QM701 => ['unknown setting', 'no setting of that name for this kind of queue', 'queue_setting_keys lists them'],
	QM702 => ['invalid setting', 'a value of the wrong kind or out of range', 'the hint tells what is expected'],
	QM703 => ['invalid time zone', 'not in pg_timezone_names', 'such as Europe/Berlin'],
	QM704 => ['invalid hours', 'opening hours, or a plan of staff, that overlap, end before they begin or are not readable', 'see set_opening_hours, set_staffing_plan'],
	QM901 => ['foreign epoch', 'the stream has another epoch: after a crash, a promotion, a restore', 'read the state itself anew, then go on from the last position'],
	QM902 => ['position pruned', 'the position is older than what is kept', 'read the state itself anew, then go on from the last position'],
	QM802 => ['no key', 'the key that seals personal data, or opened it once, is missing', 'bring it back: the table qms_internal.signing_key or the file of qms.seal_key_file'],
	QM803 => ['seal broken', 'a sealed value was changed, or belongs to another place', 'restore the row from a backup'],
	QM801 => ['not adopted', 'the database is a restored or copied one that has not been taken over', 'qms.adopt_database()'],
);

my $head = <<'END';
# SQL API

Made by `test/lib/sql_api.pl` from the extension itself and its COMMENTs; do not edit by hand.

Everything is in schema `qms` and called by name: `qms.call_next(counter_id => 7)`. Nothing in `qms_internal` is promised.

- **Arguments** have names and defaults; no function is overloaded. An id is a `bigint` and named `<thing>_id`. Times are `timestamptz`, spans are `interval` without months.
- **Results** are rows: use the functions in `FROM`. **Never write `(qms.call_next(...)).*`**: PostgreSQL calls a function once per column then, and as many customers are called. A function that may find nothing answers no row, and that is no error.
- **Who may call** is said with each function. The role of the session counts: superusers and members of `qms_super_admin` act everywhere; every other role is what `bind_role` says of it, in its organization and, if it has some, its branches. An id of another organization answers QM101 as if it did not exist.
- **Repeating a call**: functions that change something end with `request_id uuid`. The same `request_id`, from the same principal to the same function, has one effect and answers the same for 48 hours, whatever has happened since; also "no row", and also the same token, which is not stored. With other arguments it is refused (QM601). A call that failed has left nothing behind and may be repeated with the same id.
- **Errors** have an SQLSTATE, a message, a detail that names the rule and a hint that names the fix. Programs branch on the SQLSTATE: those of class QM are [listed below](#sqlstates); the others are PostgreSQL's own, such as 22023 (an argument out of range), 22004 (a null where none may be), 22P02 (not readable as its type), 23505 (a name in use), 42501 (no permission), 40001 (try again).
- **Transactions**: a call is part of yours, and so are its events. Two counters never wait for one another; joins of one counter queue wait for one another, because its numbers have no gaps.
END

my %title = (
	'tickets.sql' => 'Tickets', 'release.sql' => 'Waiting rooms', 'entry.sql' => 'Letting people in', 'room.sql' => 'Waiting rooms: who comes in', 'keys.sql' => 'API keys and devices', 'login.sql' => 'Logins and signing keys', 'look.sql' => 'Looking', 'setup.sql' => 'Set-up', 'stream.sql' => 'The stream', 'metrics.sql' => 'Metrics and alerts', 'stats.sql' => 'Statistics', 'report.sql' => 'Exports, forecasts and reports', 'wait_sketch.sql' => 'Functions of types',
	'ticket_number.sql' => 'Functions of types', 'ticket_token.sql' => 'Functions of types', 'release_rate.sql' => 'Functions of types');
my %section_of;
$section_of{$_} = 'Customers' for qw(join_queue ticket_status visit_status leave_queue defer_ticket heartbeat);
$section_of{$_} = 'At the desk' for qw(hold_ticket resume_ticket requeue_ticket transfer_ticket cancel_ticket reinstate_ticket
  update_ticket get_ticket explain_call open_queue pause_queue close_queue);
$section_of{$_} = 'Counters' for qw(open_counter pause_counter resume_counter close_counter counter_status call_next call_ticket
  recall_ticket start_service complete_service mark_no_show serve_walk_up undo);
# predict
$section_of{set_staffing_plan} = 'Set-up';
$section_of{prediction_quality} = 'Looking';

my $member = q{EXISTS (SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
	WHERE d.deptype = 'e' AND e.extname = 'qms' AND d.classid = '%s'::regclass AND d.objid = %s)};

# rows(QUERY, SQL): the answer of SQL as a list of hashes.
sub rows
{
	my ($query, $sql) = @_;
	my $json = $query->("SET search_path = pg_catalog; SELECT coalesce(json_agg(to_json(r)), '[]') FROM ($sql) r");
	$json =~ s/^SET\n//;
	return @{ JSON::PP->new->decode($json) };
}

sub functions
{
	my ($query) = @_;
	# What operators, casts, input, output and index support are made of is part of the types.
	return rows($query, sprintf(q{
		SELECT p.proname AS name, p.provolatile AS volatile, format_type(p.prorettype, NULL) AS result, p.proretset AS set, t.typrelid <> 0 AS is_row,
			obj_description(p.oid, 'pg_proc') AS comment,
			(SELECT string_agg(DISTINCT a.grantee::regrole::text, ', ') FROM aclexplode(p.proacl) a WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner) AS granted,
			(SELECT coalesce(json_agg(json_build_object('name', p.proargnames[n], 'type', format_type(p.proargtypes[n - 1], NULL),
				'default', pg_get_function_arg_default(p.oid, n)) ORDER BY n), '[]') FROM generate_series(1, p.pronargs) n) AS arguments,
			(SELECT coalesce(json_agg(json_build_object('name', p.proargnames[n], 'type', format_type(p.proallargtypes[n], NULL)) ORDER BY n), '[]')
				FROM generate_series(p.pronargs + 1, cardinality(p.proallargtypes)) n) AS columns
		FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
		WHERE p.pronamespace = 'qms'::regnamespace AND %s AND (p.proargnames IS NOT NULL OR p.provolatile <> 'i') ORDER BY p.oid}, sprintf($member, 'pg_proc', 'p.oid')));
}

sub relations
{
	my ($query, $kinds) = @_;
	return rows($query, sprintf(q{
		SELECT c.relname AS name, c.relkind AS kind, coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) AS comment,
			(SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL), 'comment', col_description(c.oid, a.attnum)) ORDER BY a.attnum)
				FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
		FROM pg_class c WHERE c.relnamespace = 'qms'::regnamespace AND c.relkind = ANY ('%s'::"char"[]) AND NOT c.relispartition AND %s ORDER BY c.relname},
			$kinds, sprintf($member, 'pg_class', "c.oid OR c.relkind = 'c'")));
}

sub types
{
	my ($query) = @_;
	return rows($query, q{
		SELECT t.typname AS name, obj_description(t.oid, 'pg_type') AS comment,
			(SELECT json_agg(json_build_object('name', o.oprname, 'left', format_type(o.oprleft, NULL), 'right', format_type(o.oprright, NULL), 'comment', obj_description(o.oid, 'pg_operator')) ORDER BY o.oprname)
				FROM pg_operator o WHERE o.oprleft = t.oid) AS operators
		FROM pg_type t WHERE t.typnamespace = 'qms'::regnamespace AND t.typtype = 'b' AND t.typcategory <> 'A' ORDER BY t.typname});
}

# Where each function is made: file of sql/parts and place in it.
sub sources
{
	my %file;
	open my $order, '<', 'sql/parts/ORDER' or die "sql/parts/ORDER: $!";
	while (my $part = <$order>)
	{
		chomp $part;
		next if $part =~ /^\s*(?:#|$)/;
		open my $in, '<', "sql/parts/$part" or die "sql/parts/$part: $!";
		(my $base = $part) =~ s{.*/}{};
		while (<$in>) { $file{$1} //= $base if /^CREATE FUNCTION qms\.(\w+)/ }
	}
	return %file;
}

sub sqlstates
{
	my @codes;
	open my $in, '<', 'src/errors.h' or die "src/errors.h: $!";
	while (<$in>) { push @codes, join('', /'(.)'/g) if /^#define\s+ERRCODE_\w+\s+MAKE_SQLSTATE/ }
	return @codes;
}

sub short_type
{
	my ($type) = @_;
	$type =~ s/timestamp with time zone/timestamptz/;
	$type =~ s/double precision/float8/;
	$type =~ s/^integer/int/;
	return $type;
}

sub cell
{
	my ($text) = @_;
	$text = '' unless defined $text;
	$text =~ s/\|/\\|/g;
	$text =~ s/\s*\n\s*/ /g;
	return $text;
}

sub result_words
{
	my ($f) = @_;
	my $type = short_type($f->{result});
	if ($f->{is_row} && $type =~ /^qms\.(\w+)$/)
	{
		return ($f->{set} ? 'rows of ' : 'one row of ') . "[`$type`](#$1)";
	}
	if (@{ $f->{columns} })
	{
		return 'rows of ' . join(', ', map { "`$_->{name}` " . short_type($_->{type}) } @{ $f->{columns} });
	}
	return "`$type`";
}

sub function_text
{
	my ($f) = @_;
	my @signature;
	my $text = "### $f->{name}\n\n```sql\nqms.$f->{name}(";
	foreach my $a (@{ $f->{arguments} })
	{
		my $default = $a->{default};
		$default =~ s/::[\w. "]+(?:\[\])?$// if defined $default;
		push @signature, "$a->{name} " . short_type($a->{type}) . (defined $default ? " DEFAULT $default" : '');
	}
	$text .= join(",\n\t", @signature) . ")\n```\n\n";
	(my $comment = $f->{comment}) =~ s/\n/\n\n/g;
	$comment =~ s/\s+(Callers:)/\n\n$1/;
	$comment =~ s/\s+(Errors:)/\n\n$1/;
	$text .= "$comment\n\n";
	$text .= 'EXECUTE is granted to ' . ($f->{granted} eq '-' ? 'everybody' : $f->{granted}) . ".\n\n" if $f->{granted};
	$text .= 'Answers ' . result_words($f) . ".\n\n";
	if (@{ $f->{arguments} })
	{
		$text .= "| argument | type | |\n|---|---|---|\n";
		foreach my $a (@{ $f->{arguments} })
		{
			my $words = $argument{"$f->{name}.$a->{name}"} // $argument{ $a->{name} };
			die "SqlApi.pm has no words for argument $a->{name} of $f->{name}\n" unless $words;
			$text .= "| `$a->{name}` | " . short_type($a->{type}) . " | " . cell($words) . " |\n";
		}
		$text .= "\n";
	}
	$text .= "```sql\n$example{$f->{name}}\n```\n\n" if $example{ $f->{name} };
	return $text;
}

sub relation_text
{
	my ($r) = @_;
	my $text = "### $r->{name}\n\n" . ($r->{comment} // '') . "\n\n| column | type | |\n|---|---|---|\n";
	$text .= "| `$_->{name}` | " . short_type($_->{type}) . " | " . cell($_->{comment}) . " |\n" foreach @{ $r->{columns} };
	return "$text\n";
}

# document(QUERY): the whole text.  QUERY is a sub that runs SQL and answers psql's unaligned output.
sub document
{
	my ($query) = @_;
	my %file = sources();
	my (%section, @sections);
	foreach my $f (functions($query))
	{
		my $base = $file{ $f->{name} } // 'others';
		my $name = $section_of{ $f->{name} } // $title{$base} // ucfirst($base =~ s/\.sql$//r);
		push @sections, $name unless $section{$name};
		push @{ $section{$name} }, $f;
	}
	my %rank = ('Customers' => 1, 'Counters' => 2, 'At the desk' => 3, 'Looking' => 4, 'The stream' => 6, 'Logins and signing keys' => 7, 'Set-up' => 8, 'Functions of types' => 9);
	@sections = sort { ($rank{$a} // 5) <=> ($rank{$b} // 5) } @sections;

	my $text = "$head\n";
	foreach my $name (@sections)
	{
		$text .= "## $name\n\n";
		$text .= function_text($_) foreach @{ $section{$name} };
	}
	$text .= "## Settings of a queue\n\nKeys of `settings` in create_queue and update_queue; `qms.queue_setting_keys()` answers the same. Durations are interval texts such as `\"90 s\"`, or numbers of seconds.\n\n| key | kind | unit | default | applies to | |\n|---|---|---|---|---|---|\n";
	$text .= sprintf("| `%s` | %s | %s | %s | %s | %s |\n", map { cell($_) } @$_{qw(key kind unit default_value applies_to description)})
	  foreach rows($query, 'SELECT * FROM qms.queue_setting_keys()');
	$text .= "\n## Settings of an organization\n\nKeys of `settings` in create_organization and update_organization; `qms.organization_setting_keys()` answers the same. A limit is a number and a span of time: so many at once, refilled evenly over that time; `off` is no limit. Other keys are your own, unless they begin with `limit_`, `api_` or `device_`.\n\n| key | kind | default | |\n|---|---|---|---|\n";
	$text .= sprintf("| `%s` | %s | %s | %s |\n", map { cell($_) } @$_{qw(key kind default_value description)})
	  foreach rows($query, 'SELECT * FROM qms.organization_setting_keys()');
	$text .= "\n## Types\n\n";
	foreach my $t (types($query))
	{
		$text .= "### $t->{name}\n\n$t->{comment}\n\n";
		next unless $t->{operators};
		$text .= "| operator | |\n|---|---|\n";
		$text .= "| `$t->{name} $_->{name} " . ($_->{right} =~ s/^qms\.//r) . "` | " . cell($_->{comment}) . " |\n" foreach @{ $t->{operators} };
		$text .= "\n";
	}
	$text .= "## Result types\n\n" . join('', map { relation_text($_) } relations($query, '{c}'));
	$text .= "## Views\n\nWhat is not deleted, of the organizations and branches that the caller may see; empty for somebody without a principal.\n\n" . join('', map { relation_text($_) } relations($query, '{v,m}'));
	$text .= "## Tables\n\nOnly the owner and superusers read them directly; set-up functions answer their rows. Nobody but the functions writes them: `qms.ticket` refuses it even to superusers.\n\n" . join('', map { relation_text($_) } relations($query, '{r,p}'));
	$text .= "## SQLSTATEs\n\n| code | name | when | what to do |\n|---|---|---|---|\n";
	foreach my $code (sqlstates())
	{
		my $words = $sqlstate{$code} or die "SqlApi.pm has no words for SQLSTATE $code\n";
		$text .= "| $code | " . join(' | ', map { cell($_) } @$words) . " |\n";
	}
	return $text;
}

1;
