/* Tickets: what customers and counters do with them. */

CREATE FUNCTION qms.join_queue(queue_id bigint DEFAULT NULL, service_id bigint DEFAULT NULL, branch_id bigint DEFAULT NULL,
	customer_class text DEFAULT 'regular', contact jsonb DEFAULT NULL, language text DEFAULT NULL, metadata jsonb DEFAULT '{}',
	priority int DEFAULT 0, subject text DEFAULT NULL, challenge text DEFAULT NULL, visit_token text DEFAULT NULL,
	request_id uuid DEFAULT NULL)
RETURNS qms.joined_ticket LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_join_queue';
COMMENT ON FUNCTION qms.join_queue IS 'Takes a ticket in a queue, named by queue_id, or by branch_id and service_id. Answers number, token, position and wait figures (80 % of waits lie between wait_p10 and wait_p90).
customer_class is a name in the organization; priority 0 to 10, each step worth the credit of the queue; subject: one live place per subject and queue, a second join answers the first; visit_token: a further ticket of that visit; challenge: handed to the join hook, once there is one; metadata and contact: at most 16 kB each.
Callers: everybody in the organization; classes that are not self-service and a priority need staff or an application. Errors: QM101, QM301 closed, QM302 paused, QM303 full, QM304 no number left, QM305 class not allowed, QM306 outside opening hours, QM307, QM308 service not offered, QM309 too large, QM310 subject needed, QM501.';

CREATE FUNCTION qms.ticket_status(token qms.ticket_token)
RETURNS qms.ticket_progress LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_ticket_status';
COMMENT ON FUNCTION qms.ticket_status IS 'Where the ticket of a token stands: of several tickets of the visit, the called one, else the next in line, else the one that ended last. position counts from 1 and is null when the ticket does not wait.
Callers: everybody in the organization. Errors: QM501 for a token that is not valid.';

CREATE FUNCTION qms.visit_status(token qms.ticket_token)
RETURNS SETOF qms.ticket_progress LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_visit_status';
COMMENT ON FUNCTION qms.visit_status IS 'All tickets of the visit of a token, in the order of joining. Callers: everybody in the organization. Errors: QM501.';

CREATE FUNCTION qms.leave_queue(token qms.ticket_token, reason text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_progress LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_leave_queue';
COMMENT ON FUNCTION qms.leave_queue IS 'The customer gives up: every open ticket of the visit that is not being served becomes cancelled, with outcome left. Callers: everybody in the organization. Errors: QM501, QM402 when nothing is open any more, QM401 when the only open ticket is being served.';

CREATE FUNCTION qms.defer_ticket(token qms.ticket_token, places int DEFAULT NULL, until timestamptz DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_progress LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_defer_ticket';
COMMENT ON FUNCTION qms.defer_ticket IS 'The customer lets others go first: places people (then he waits behind them), or until a moment (then he is on hold, deferred, and comes back to his old place). Exactly one of the two. His effective_arrival stays. Callers: everybody in the organization. Errors: QM501, QM410 beyond defer_limit, QM401 when he does not wait.';

CREATE FUNCTION qms.heartbeat(token qms.ticket_token)
RETURNS timestamptz LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_heartbeat';
COMMENT ON FUNCTION qms.heartbeat IS 'Says that the holder of the token is still there; answers the moment. Noted in shared memory, even if the transaction rolls back, and written some ten seconds later with others; at once where no scheduler is at work or qms.heartbeat_slots are taken. Never writes to qms.ticket. Who has ended is answered too, and nothing is noted. Callers: everybody in the organization. Errors: QM501, 25006 in a transaction that only reads.';

CREATE FUNCTION qms.open_counter(counter_id bigint, staff_id bigint DEFAULT NULL, profile_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.counter_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_open_counter';
COMMENT ON FUNCTION qms.open_counter IS 'Opens a counter: begins a staff session, with the skills of the staff member and the sources of the profile (without one: all queues of the counter, fifo). staff_id defaults to the calling staff member. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM406 when the counter is open already or the staff member works at another one, 42501 when he does not work in the branch.';

CREATE FUNCTION qms.pause_counter(counter_id bigint, reason text, request_id uuid DEFAULT NULL)
RETURNS qms.counter_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_pause_counter';
COMMENT ON FUNCTION qms.pause_counter IS 'Pauses an open counter: it calls nobody until resume_counter. A ticket being served stays. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404 not open, QM405 paused already.';

CREATE FUNCTION qms.resume_counter(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.counter_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_resume_counter';
COMMENT ON FUNCTION qms.resume_counter IS 'Ends a pause; its length is added to pause_time. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404 not open or not paused.';

CREATE FUNCTION qms.close_counter(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.counter_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_close_counter';
COMMENT ON FUNCTION qms.close_counter IS 'Closes a counter and ends its staff session. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404 not open, QM403 while a ticket is called or served.';

CREATE FUNCTION qms.call_next(counter_id bigint, finish_current text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS SETOF qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_call_next';
COMMENT ON FUNCTION qms.call_next IS 'Calls the next customer by the policy of the counter''s profile. finish_current first ends the current ticket: completed, no_show or left. No row when nobody waits: that is no error. Use it in FROM, never as (qms.call_next(...)).*. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM403 while a ticket is at the counter and finish_current is null, QM401 when finish_current does not fit its state, QM404 not open, QM405 paused.';

CREATE FUNCTION qms.call_ticket(counter_id bigint, ticket_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_call_ticket';
COMMENT ON FUNCTION qms.call_ticket IS 'Calls a chosen ticket that waits or is on hold, out of turn. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM412 under a blind profile, QM403, QM404, QM405, QM401 when it neither waits nor is on hold, QM402 when it has ended, QM411 when its queue is not one of the counter''s, or its customer is called for another ticket.';

CREATE FUNCTION qms.recall_ticket(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_recall_ticket';
COMMENT ON FUNCTION qms.recall_ticket IS 'Calls the current ticket again. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404, QM407 nobody is called, QM401 when the customer is being served, QM408 beyond recall_limit, QM409 before recall_gap has passed.';

CREATE FUNCTION qms.start_service(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_start_service';
COMMENT ON FUNCTION qms.start_service IS 'The called customer has arrived: called becomes serving. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404, QM407, QM401 when it is served already.';

CREATE FUNCTION qms.complete_service(counter_id bigint, outcome text DEFAULT NULL, notes text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_complete_service';
COMMENT ON FUNCTION qms.complete_service IS 'Ends the service: serving becomes completed. outcome and notes are words of your own, kept with the ticket. A ticket that is still called counts as served from the call on. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404, QM407.';

CREATE FUNCTION qms.mark_no_show(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_mark_no_show';
COMMENT ON FUNCTION qms.mark_no_show IS 'Nobody came: called becomes no_show. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404, QM407, QM401 when the customer is being served.';

CREATE FUNCTION qms.serve_walk_up(counter_id bigint, service_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_serve_walk_up';
COMMENT ON FUNCTION qms.serve_walk_up IS 'Serves somebody who stands at the counter without a ticket: takes one in the queue that offers the service and is served at once. max_waiting does not count for him. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM301, QM302, QM304, QM308, QM403, QM404, QM405.';

CREATE FUNCTION qms.undo(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_undo';
COMMENT ON FUNCTION qms.undo IS 'Takes back the last action of the counter within the queue''s undo_window: a call (of a ticket from hold: it is on hold again; of a walk-up: it waits), start, completion, no-show, hold, requeue or transfer. Writes ticket.undone, which names the event; statistics count as if it never happened. Callers: superusers, administrators and staff, in their branches. Errors: QM101, QM404, QM413 nothing to undo, or changed since, QM414 too late.';

CREATE FUNCTION qms.hold_ticket(ticket_id bigint, reason text DEFAULT NULL, hold_kind text DEFAULT 'staff', resume_at timestamptz DEFAULT NULL, resume_to text DEFAULT 'place', request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_hold_ticket';
COMMENT ON FUNCTION qms.hold_ticket IS 'Puts a ticket on hold. hold_kind: staff, parked, deferred, away, not_arrived, offline. resume_at: when it comes back by itself. resume_to: place (old place), counter (the counter it was at calls it), clerk (the staff member). Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM401 when it is on hold already, QM402, 22023.';

CREATE FUNCTION qms.resume_ticket(ticket_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_resume_ticket';
COMMENT ON FUNCTION qms.resume_ticket IS 'A ticket on hold waits again, at its old place in the order. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM401 when it is not on hold, QM402, QM411 while its customer is called for another ticket.';

CREATE FUNCTION qms.requeue_ticket(ticket_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_requeue_ticket';
COMMENT ON FUNCTION qms.requeue_ticket IS 'A called ticket waits again, at its old place. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM401 when it is not called, QM402.';

CREATE FUNCTION qms.transfer_ticket(ticket_id bigint, queue_id bigint, place text DEFAULT 'credit', counter_id bigint DEFAULT NULL, staff_id bigint DEFAULT NULL, note text DEFAULT NULL, service_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_transfer_ticket';
COMMENT ON FUNCTION qms.transfer_ticket IS 'Sends a ticket to another queue, or within its own. place: credit (effective_arrival is kept), first, last. counter_id, staff_id: wanted, with fall-back when they are not open or after wanted_fallback. Inside the branch the number stays; to another branch it gets a new one and keeps the old as previous_number. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM301, QM302, QM304, QM307, QM308, QM401, QM402, QM411 when its subject has a place in the queue.';

CREATE FUNCTION qms.cancel_ticket(ticket_id bigint, reason text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_cancel_ticket';
COMMENT ON FUNCTION qms.cancel_ticket IS 'Ends an open ticket as cancelled. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM402.';

CREATE FUNCTION qms.reinstate_ticket(ticket_id bigint, place text DEFAULT 'credit', request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_reinstate_ticket';
COMMENT ON FUNCTION qms.reinstate_ticket IS 'A ticket that has ended waits again. place: credit (effective_arrival is kept), first, last. It gets a new number if its own is in use meanwhile. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM401 when it is open, QM301, QM302, QM304, QM411 when its subject has another place.';

CREATE FUNCTION qms.update_ticket(ticket_id bigint, customer_class text DEFAULT NULL, priority int DEFAULT NULL, service_id bigint DEFAULT NULL, language text DEFAULT NULL, contact jsonb DEFAULT NULL, metadata jsonb DEFAULT NULL, notes text DEFAULT NULL, customer_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_ticket';
COMMENT ON FUNCTION qms.update_ticket IS 'Changes what is given of an open ticket; null leaves it as it is. A change of class, priority or service moves its place by the difference of credits. contact is stored sealed; customer_id says which known customer it is. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM308, QM309, QM402, 22023.';

CREATE FUNCTION qms.get_ticket(ticket_id bigint)
RETURNS SETOF qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_get_ticket';
COMMENT ON FUNCTION qms.get_ticket IS 'A ticket, open or past. No row when there is none. Under a blind profile staff see no contact, customer, subject, notes or metadata. Callers: superusers, administrators, applications and staff, in their branches. Errors: 42501 for another branch.';

CREATE FUNCTION qms.explain_call(ticket_id bigint)
RETURNS SETOF qms.call_explanation LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_explain_call';
COMMENT ON FUNCTION qms.explain_call IS 'Why this ticket was called when it was: the heads that the policy compared at its last call, from the event log. One row a head; chosen marks the one taken; score is what the policy compared (fifo: sort_key; strict: order of the source; ratio: passes; weighted: weight x waiting time in seconds). No row for a ticket that was never called. Callers: superusers, administrators, applications and staff, in their branches. Errors: QM101.';

CREATE FUNCTION qms.counter_status(counter_id bigint)
RETURNS qms.counter_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_counter_status';
COMMENT ON FUNCTION qms.counter_status IS 'The counter, its open session, its current ticket, what may be done now (allowed_actions, names of functions), and a hint why nobody comes. Callers: superusers, administrators, applications and staff, in their branches. Errors: QM101.';

CREATE FUNCTION qms.open_queue(queue_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_open_queue';
COMMENT ON FUNCTION qms.open_queue IS 'The queue takes tickets (again), within its opening hours; outside of them the scheduler says so with queue.closed right after queue.opened. New queues are open. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101.';

CREATE FUNCTION qms.pause_queue(queue_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_pause_queue';
COMMENT ON FUNCTION qms.pause_queue IS 'The queue takes no new tickets for the moment; those who wait are called. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101.';

CREATE FUNCTION qms.close_queue(queue_id bigint, waiting text DEFAULT 'serve', request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_close_queue';
COMMENT ON FUNCTION qms.close_queue IS 'The queue takes no tickets. Those who wait are still served (waiting => serve) or sent home (waiting => expire: waiting and held tickets become expired). Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101.';
