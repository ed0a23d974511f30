// What a display knows, from a snapshot and events.  node --test test/web/
import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.mjs';

const { apply, nothing, seconds } = await page('display-state.js');

const epoch = 'e1';
const snapshot = (more = {}) => ({
  v: 1, kind: 'snapshot', position: 10, epoch,
  branch: { branch_id: 1, slug: 'b', name: 'Branch', names: { DE: 'Zweigstelle' }, organization_name: 'City', time_zone: 'Europe/Berlin' },
  zones: [{ zone_id: 1, name: 'Ground', names: null }],
  now_serving: [{ number: 'A001', counter_id: 1, counter_name: 'Counter 1', zone_id: 1, queue_id: 1, state: 'serving', called_at: '2026-01-01T09:00:00Z', recalls: 0 }],
  last_called: [{ number: 'A001', counter_name: 'Counter 1', zone_id: 1, queue_id: 1, called_at: '2026-01-01T09:00:00Z' }],
  queues: [{ queue_id: 1, slug: 'q', name: 'Queue', names: {}, prefix: 'A', status: 'open', waiting: 3, waiting_exact: true, wait_p50: 300 }],
  notices: [], ...more,
});
const event = (position, kind, more = {}) => ({
  v: 1, position, epoch, at: `2026-01-01T09:00:${String(position % 60).padStart(2, '0')}Z`, kind, queue_id: 1, data: { waiting: 3 }, ...more,
});
const at = (counter) => ({ counter_id: counter, counter_name: `Counter ${counter}`, zone_id: 1 });
const fold = (messages, state = nothing) => messages.reduce((all, message) => {
  const result = apply(all.state, message);
  return { state: result.state, news: all.news.concat(result.news), resync: all.resync || result.resync };
}, { state, news: [], resync: false });
const numbers = (calls) => calls.map((one) => one.number);

test('a snapshot replaces everything', () => {
  const { state, news } = fold([snapshot()]);
  assert.equal(state.ready, true);
  assert.equal(state.position, 10);
  assert.deepEqual(state.branch.names, { de: 'Zweigstelle' });
  assert.deepEqual(numbers(state.calls), ['A001']);
  assert.equal(state.queues[0].wait, 300);
  assert.deepEqual(news, []);
  const after = fold([snapshot({ position: 20, now_serving: [], queues: [] })], state).state;
  assert.deepEqual(after.calls, []);
  assert.deepEqual(after.queues, []);
});

test('a call, its second call, its service and its end', () => {
  let { state, news } = fold([snapshot(), event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(2), data: { waiting: 2, waiting_exact: true, wait_p50: 'PT4M', status: 'open' } })]);
  assert.deepEqual(numbers(state.calls), ['A002', 'A001']);
  assert.deepEqual(numbers(state.last), ['A002', 'A001']);
  assert.equal(state.queues[0].waiting, 2);
  assert.equal(state.queues[0].wait, 240);
  assert.deepEqual(news.map((one) => [one.kind, one.number, one.counter]), [['call', 'A002', 'Counter 2']]);
  ({ state, news } = fold([event(12, 'ticket.recalled', { number: 'A002', state: 'called', ...at(2) })], state));
  assert.equal(state.calls[0].recalls, 1);
  assert.equal(state.calls[0].at, '2026-01-01T09:00:12Z');
  assert.deepEqual(news.map((one) => one.kind), ['recall']);
  ({ state, news } = fold([event(13, 'ticket.serving', { number: 'A002', state: 'serving', ...at(2) })], state));
  assert.equal(state.calls[0].state, 'serving');
  assert.equal(state.calls[0].at, '2026-01-01T09:00:12Z', 'the moment of the call stays');
  assert.equal(state.calls[0].recalls, 1);
  assert.deepEqual(news, []);
  ({ state } = fold([event(14, 'ticket.completed', { number: 'A002', state: 'completed', ...at(2) })], state));
  assert.deepEqual(numbers(state.calls), ['A001']);
  assert.deepEqual(numbers(state.last), ['A002', 'A001']);
});

test('every end takes the ticket from the counter', () => {
  for (const [kind, state] of [['no_show', 'no_show'], ['cancelled', 'cancelled'], ['expired', 'expired'], ['held', 'on_hold'], ['transferred', 'waiting'], ['requeued', 'waiting'], ['something_new', 'gone']]) {
    const after = fold([snapshot(), event(11, `ticket.${kind}`, { number: 'A001', state, ...at(1) })]).state;
    assert.deepEqual(after.calls, [], kind);
  }
});

test('a call taken back is no earlier call', () => {
  for (const kind of ['ticket.requeued', 'ticket.undone']) {
    const { state } = fold([snapshot(), event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(2) }), event(12, kind, { number: 'A002', state: 'waiting', ...at(2) })]);
    assert.deepEqual(numbers(state.calls), ['A001'], kind);
    assert.deepEqual(numbers(state.last), ['A001'], kind);
  }
});

test('undo puts a ticket back without a sound', () => {
  const { state, news } = fold([snapshot(), event(11, 'ticket.completed', { number: 'A001', state: 'completed', ...at(1) }), event(12, 'ticket.undone', { number: 'A001', state: 'serving', ...at(1) })]);
  assert.deepEqual(numbers(state.calls), ['A001']);
  assert.deepEqual(news, []);
});

test('a counter has one ticket, and a ticket one counter', () => {
  const { state } = fold([snapshot(), event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(1) }), event(12, 'ticket.called', { number: 'A003', state: 'called', ...at(2) }),
    event(13, 'ticket.called', { number: 'A003', state: 'called', ...at(1) })]);
  assert.deepEqual(state.calls.map((one) => [one.number, one.counter_id]), [['A003', 1]]);
});

test('walk-up: served without having been called', () => {
  const { state, news } = fold([snapshot(), event(11, 'ticket.serving', { number: 'A009', state: 'serving', ...at(3) })]);
  assert.deepEqual(numbers(state.calls), ['A009', 'A001']);
  assert.deepEqual(numbers(state.last), ['A001']);
  assert.deepEqual(news, []);
});

test('what is old, twice, of another epoch, or nonsense changes nothing', () => {
  const { state } = fold([snapshot(), event(15, 'ticket.called', { number: 'A002', state: 'called', ...at(2) })]);
  for (const message of [event(15, 'ticket.called', { number: 'A003', state: 'called', ...at(3) }), event(9, 'ticket.completed', { number: 'A002', state: 'completed' }),
    snapshot({ position: 12 }), null, undefined, 7, 'x', [], {}, { kind: 'ticket.called' }, { ...event(16, 'x.y'), position: '16' }, { ...event(16, 'x.y'), position: 2 ** 60 }, { ...event(16, 'x.y'), epoch: null }]) {
    const result = apply(state, message);
    assert.equal(result.state, state, JSON.stringify(message));
    assert.equal(result.resync, false);
  }
  const foreign = apply(state, { ...event(16, 'ticket.called', { number: 'A003', state: 'called', ...at(3) }), epoch: 'e2' });
  assert.equal(foreign.state, state);
  assert.equal(foreign.resync, true);
});

test('a snapshot of a new epoch counts, whatever its position', () => {
  const { state } = fold([snapshot({ position: 1000 }), { ...snapshot({ position: 5 }), epoch: 'e2' }]);
  assert.equal(state.epoch, 'e2');
  assert.equal(state.position, 5);
});

test('calls that a new snapshot brings are told, those that were known are not', () => {
  const one = (number, counter, more) => ({ number, ...at(counter), queue_id: 1, state: 'called', called_at: '2026-01-01T09:00:00Z', recalls: 0, ...more });
  const first = fold([snapshot({ now_serving: [one('A001', 1), one('A002', 2)] })]);
  assert.deepEqual(first.news, [], 'not at the beginning');
  const { news } = fold([{ ...snapshot({ position: 2, now_serving: [one('A001', 1), one('A002', 2, { called_at: '2026-01-01T09:01:00Z', recalls: 1 }), one('A003', 3), one('A004', 4, { state: 'serving' })] }), epoch: 'e2' }], first.state);
  assert.deepEqual(news.map((n) => [n.kind, n.number]), [['recall', 'A002'], ['call', 'A003']]);
});

test('queues: figures, status, opening hours', () => {
  let { state } = fold([snapshot(), event(11, 'queue.closed', { state: 'closed', data: { waiting: 0, waiting_exact: true, wait_p50: null, status: 'open' } })]);
  assert.deepEqual([state.queues[0].status, state.queues[0].waiting, state.queues[0].wait], ['closed', 0, null]);
  ({ state } = fold([event(12, 'queue.opened', { state: 'open', data: undefined })], state));
  assert.deepEqual([state.queues[0].status, state.queues[0].waiting], ['open', 0]);
  ({ state } = fold([event(13, 'ticket.joined', { number: 'A010', state: 'waiting', data: { waiting: 1234, waiting_exact: false, wait_p50: 7200, status: 'open' } })], state));
  assert.deepEqual([state.queues[0].waiting, state.queues[0].exact], [1234, false]);
});

test('an event may change the line of another queue as well', () => {
  const two = snapshot({ queues: [{ queue_id: 1, name: 'Q', status: 'open', waiting: 3, wait_p50: 60 }, { queue_id: 2, name: 'R', status: 'open', waiting: 5, wait_p50: 60 }] });
  const { state } = fold([two, event(11, 'ticket.transferred', { number: 'A001', state: 'waiting', data: { waiting: 4, waiting_exact: true, wait_p50: 120, status: 'open', queues: [{ queue_id: 2, waiting: 6, waiting_exact: true, wait_p50: 90, status: 'paused' }, { queue_id: 99, waiting: 1 }, 7] } })]);
  assert.deepEqual(state.queues.map((queue) => [queue.waiting, queue.wait, queue.status]), [[4, 120, 'open'], [6, 90, 'paused']]);
});

test('changed configuration, and figures that are missing, ask for a new snapshot', () => {
  for (const [kind, more] of [['queue.created', { queue_id: 2 }], ['queue.updated', {}], ['counter.updated', at(1)], ['branch.updated', {}], ['zone.deleted', {}], ['ticket.joined', { queue_id: 77, number: 'Z001', state: 'waiting' }], ['ticket.called', { number: 'A002', state: 'called', ...at(2), data: undefined }]]) {
    assert.equal(apply(fold([snapshot()]).state, event(11, kind, more)).resync, true, kind);
  }
  assert.equal(apply(fold([snapshot()]).state, event(11, 'staff.created', { queue_id: null })).resync, false);
  assert.equal(apply(fold([snapshot()]).state, event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(2) })).resync, false);
});

test('a counter that closes has nobody', () => {
  assert.deepEqual(fold([snapshot(), event(11, 'counter.closed', { ...at(1), queue_id: null, state: 'closed' })]).state.calls, []);
  assert.deepEqual(numbers(fold([snapshot(), event(11, 'counter.paused', { ...at(1), queue_id: null, state: 'paused' })]).state.calls), ['A001']);
});

test('notices come and go', () => {
  let { state } = fold([snapshot({ notices: [{ notice_id: 1, text: 'One' }] }), event(11, 'notice.posted', { queue_id: null, data: { notice_id: 2, text: 'Two', texts: { de: 'Zwei' } } })]);
  assert.deepEqual(state.notices.map((n) => n.text), ['Two', 'One']);
  ({ state } = fold([event(12, 'notice.removed', { queue_id: null, data: { notice_id: 1 } })], state));
  assert.deepEqual(state.notices.map((n) => n.text), ['Two']);
});

test('a snapshot full of nonsense does no harm', () => {
  const { state } = fold([{ kind: 'snapshot', position: 1, epoch, branch: 7, zones: 'x', now_serving: [null, 1, { number: {} }, { number: 5, counter_id: '3', called_at: 4 }], last_called: {}, queues: [{ queue_id: -1, waiting: 'many', wait_p50: 'soon', names: [] }], notices: [{}, { text: 1 }] }]);
  assert.equal(state.ready, true);
  assert.deepEqual(state.calls.map((one) => [one.number, one.counter_id]), [['5', 3]]);
  assert.equal(state.queues[0].waiting, null);
});

test('any order of duplicates within what is sent again ends in the same state', () => {
  const events = [event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(2) }), event(12, 'ticket.serving', { number: 'A002', state: 'serving', ...at(2) }),
    event(13, 'ticket.completed', { number: 'A002', state: 'completed', ...at(2) }), event(14, 'ticket.called', { number: 'A003', state: 'called', ...at(2) })];
  const once = fold([snapshot(), ...events]);
  const again = fold([snapshot(), events[0], events[1], events[0], events[1], events[2], ...events]);
  assert.deepEqual(again.state, once.state);
  assert.deepEqual(again.news, once.news);
});

test('the state that was is never changed', () => {
  const freeze = (value) => {
    if (value && typeof value === 'object') {
      Object.values(value).forEach(freeze);
      Object.freeze(value);
    }
    return value;
  };
  let state = freeze(fold([snapshot()]).state);
  for (const message of [event(11, 'ticket.called', { number: 'A002', state: 'called', ...at(2), data: { waiting: 1, status: 'open' } }), event(12, 'ticket.requeued', { number: 'A002', state: 'waiting' }), event(13, 'queue.paused', { state: 'paused' })]) {
    state = freeze(apply(state, freeze(message)).state);
  }
  assert.equal(state.position, 13);
});

test('durations', () => {
  for (const [given, wanted] of [[90, 90], ['PT1M30S', 90], ['00:01:30', 90], ['00:01:30.5', 90.5], ['1 day 00:00:10', 86410], ['P1DT2H', 93600], ['2 days', 172800], ['PT0S', 0], [null, null], ['', null], ['P', null], ['soon', null], [-1, null]]) {
    assert.equal(seconds(given), wanted, String(given));
  }
});

test('a snapshot that is older than the last event still tells what events did not', () => {
  const bare = (position, queue) => event(position, 'ticket.completed', { queue_id: queue, data: {} });
  const queues = (first, second) => [{ queue_id: 1, name: 'A', waiting: first }, { queue_id: 2, name: 'B', waiting: second }];
  const waiting = (state) => state.queues.map((queue) => queue.waiting);
  const before = fold([snapshot({ queues: queues(5, 9) }), bare(12, 1), bare(13, 2)]);

  assert.equal(before.state.stale, 13);
  const after = fold([event(14, 'ticket.joined', { data: { waiting: 7 } })], before.state);
  assert.deepEqual(waiting(after.state), [7, 9]);
  /* Too old: another one is needed. */
  const early = apply(after.state, snapshot({ position: 12, queues: queues(6, 9) }));
  assert.equal(early.state, after.state);
  assert.equal(early.resync, true);
  /* Old enough for the second queue; the first one has been heard of since. */
  const late = apply(after.state, snapshot({ position: 13, queues: queues(6, 10) }));
  assert.equal(late.resync, false);
  assert.deepEqual(waiting(late.state), [7, 10]);
  assert.equal(late.state.position, 14);
  assert.equal(late.state.stale, 0);
  assert.deepEqual(late.state.calls, after.state.calls);
  /* Nothing is wanted: an old one is nothing. */
  assert.equal(apply(late.state, snapshot({ position: 13, queues: queues(0, 0) })).state, late.state);
  /* The event comes once more, as it does after a snapshot. */
  assert.equal(apply(late.state, event(14, 'ticket.joined', { data: { waiting: 7 } })).state, late.state);
});

test('a name that was changed is in an older snapshot too', () => {
  const first = fold([snapshot({ branch: { branch_id: 7, name: 'Old' } }), event(12, 'branch.updated', { queue_id: null }), event(13, 'ticket.joined')]);

  assert.equal(first.state.stale, 12);
  assert.equal(apply(first.state, snapshot({ position: 12, branch: { branch_id: 7, name: 'New' } })).state.branch.name, 'New');
});
