/*
 * display-state.js
 *   What a display knows, as a pure function of what the gateway told it: a snapshot, then events.
 *
 * apply(state, message) answers { state, news, resync }:
 *   state   the new state; the same object if nothing changed
 *   news    calls that somebody should see and hear: [{ kind: 'call' | 'recall', ...call }]
 *   resync  true if only a fresh snapshot can say what is true now
 *
 * Messages are not believed to be in order or to come once: within an epoch only a position beyond
 * the last one counts.  Events carry resulting values, so what a ticket's state is decides where it
 * is shown, whatever the kind of the event; kinds that are not known do no harm.
 *
 * What no event tells (names, figures after events that were missed) needs a snapshot that is not
 * older than the last such event: its position is "stale" until one comes. The snapshot may be older
 * than other events, for one serves whoever comes within a second: then those stay as they are.
 *
 * No page, no clock and no network here: test/web/state.test.mjs runs it in Node.
 */

/* As many as the gateway's snapshot has. */
/* More than are shown: a call that is taken back leaves the list, and no event names the one that comes in. */
const LAST_CALLS = 20;

/* Things whose names or settings are in the snapshot only. */
const SETUP = /^(organization|branch|zone|queue|counter|service|service_offer)\.(created|updated|deleted)$/;

export const nothing = Object.freeze({
  ready: false, epoch: '', position: 0, branch: null, zones: [], counters: {}, queues: [], calls: [], last: [], notices: [],
  stale: 0, figured: {},
});

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function list(value) {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function text(value) {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/* An id, or null. */
function id(value) {
  const n = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  return Number.isSafeInteger(n) && n > 0 ? n : null;
}

function count(value) {
  return typeof value === 'number' && value >= 0 ? Math.floor(value) : null;
}

function names(value) {
  const result = {};
  if (isObject(value)) {
    for (const language of Object.keys(value)) {
      if (typeof value[language] === 'string' && value[language] !== '') result[language.toLowerCase()] = value[language];
    }
  }
  return result;
}

/* { name, names } of anything that people read. */
function titled(thing) {
  return { name: text(thing.name), names: names(thing.names) };
}

/* Seconds of a number, 'PT1H2M3.5S', '01:02:03' or '1 day 01:02:03'; null if it is none of them. */
export function seconds(value) {
  if (typeof value === 'number') return value >= 0 ? value : null;
  if (typeof value !== 'string') return null;
  const iso = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(value);
  const clock = /^(?:(\d+) days? ?)?(?:(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/.exec(value);
  const parts = value === '' || value === 'P' ? null : iso || clock;
  if (!parts) return null;
  const [days, hours, minutes, rest] = parts.slice(1).map((part) => Number(part || 0));
  return ((days * 24 + hours) * 60 + minutes) * 60 + rest;
}

function figures(source) {
  return {
    waiting: count(source.waiting),
    exact: source.waiting_exact !== false,
    wait: seconds(source.wait_p50),
  };
}

function call(source) {
  return {
    number: text(source.number),
    counter_id: id(source.counter_id),
    counter: text(source.counter_name),
    zone_id: id(source.zone_id),
    queue_id: id(source.queue_id),
    state: source.state === 'serving' ? 'serving' : 'called',
    at: text(source.called_at),
    recalls: count(source.recalls) || 0,
  };
}

/* Text for everybody: { id, text, texts }. */
function notice(source) {
  const words = text(source.text) || text(source.title) || text(source.name);
  return { id: id(source.notice_id), text: words, texts: names(source.texts || source.names) };
}

function fromSnapshot(message) {
  const branch = isObject(message.branch) ? message.branch : {};
  const counters = {};
  for (const counter of list(message.counters)) {
    if (id(counter.counter_id)) counters[id(counter.counter_id)] = titled(counter);
  }
  return {
    ready: true,
    epoch: message.epoch,
    position: message.position,
    branch: {
      id: id(branch.branch_id),
      slug: text(branch.slug),
      ...titled(branch),
      organization: { name: text(branch.organization_name), names: names(branch.organization_names) },
      time_zone: text(branch.time_zone),
      languages: Array.isArray(branch.languages) ? branch.languages.filter((l) => typeof l === 'string') : [],
    },
    zones: list(message.zones).map((zone) => ({ id: id(zone.zone_id), ...titled(zone) })),
    counters,
    queues: list(message.queues).map((queue) => ({
      id: id(queue.queue_id), slug: text(queue.slug), prefix: text(queue.prefix), status: text(queue.status) || 'open',
      ...titled(queue), ...figures(queue),
    })),
    calls: list(message.now_serving).map(call).filter((one) => one.number !== ''),
    last: list(message.last_called).map(call).filter((one) => one.number !== '').slice(0, LAST_CALLS),
    notices: list(message.notices).map(notice).filter((one) => one.text !== '' || Object.keys(one.texts).length > 0),
    stale: 0,
    figured: {},
  };
}

/* A snapshot that is older than the last event, but not than what is wanted of it. */
function fromOlder(state, message) {
  const older = fromSnapshot(message);
  const queues = older.queues.map((queue) => {
    const known = state.queues.find((one) => one.id === queue.id);
    if (!known || !(state.figured[queue.id] > message.position)) return queue;
    return { ...queue, status: known.status, waiting: known.waiting, exact: known.exact, wait: known.wait };
  });
  return { ...state, branch: older.branch, zones: older.zones, counters: older.counters, queues, stale: 0 };
}

/* Calls of a fresh snapshot that were not known before: those who waited out a lost connection hear them. */
function newsOfSnapshot(before, after) {
  if (!before.ready || before.branch.id !== after.branch.id) return [];
  const known = new Map(before.calls.map((one) => [one.number, one]));
  return after.calls
    .filter((one) => one.state === 'called')
    .filter((one) => !known.has(one.number) || known.get(one.number).counter_id !== one.counter_id || known.get(one.number).at < one.at ||
      known.get(one.number).recalls < one.recalls)
    .map((one) => ({ ...one, kind: one.recalls > 0 ? 'recall' : 'call' }));
}

/* The queue of an event with its figures as they are after it, and others that it has changed. */
function withFigures(queues, event) {
  const data = isObject(event.data) ? event.data : {};
  const about = id(event.queue_id);
  const others = list(data.queues);
  return queues.map((queue) => {
    const said = queue.id === about ? data : others.find((other) => id(other.queue_id) === queue.id);
    if (!said) return queue;
    const status = queue.id === about && /^queue\./.test(event.kind) && text(event.state) ? event.state : text(said.status) || queue.status;
    return { ...queue, status, ...(count(said.waiting) === null ? {} : figures(said)) };
  });
}

/* A ticket that is at a counter now, or is not there any more. */
function withTicket(state, event) {
  const number = text(event.number);
  const counterId = id(event.counter_id);
  const before = state.calls.find((one) => one.number === number);
  const isAtCounter = (event.state === 'called' || event.state === 'serving') && counterId !== null;
  const isCall = isAtCounter && (event.kind === 'ticket.called' || event.kind === 'ticket.recalled');

  if (!isAtCounter) {
    const isTakenBack = event.state === 'waiting' && (event.kind === 'ticket.requeued' || event.kind === 'ticket.undone');
    return {
      calls: before ? state.calls.filter((one) => one !== before) : state.calls,
      last: isTakenBack ? state.last.filter((one) => one.number !== number) : state.last,
      news: [],
    };
  }
  const isSame = before && before.counter_id === counterId;
  const now = {
    /* Who was never called has no moment of a call. */
    ...call({ ...event, called_at: isCall ? event.at : isSame ? before.at : '' }),
    recalls: event.kind === 'ticket.recalled' ? (isSame ? before.recalls : 0) + 1 : isSame && !isCall ? before.recalls : 0,
  };
  return {
    calls: [now, ...state.calls.filter((one) => one !== before && one.counter_id !== counterId)],
    last: event.kind === 'ticket.called' ? [now, ...state.last.filter((one) => one.number !== number)].slice(0, LAST_CALLS) : state.last,
    news: isCall ? [{ ...now, kind: event.kind === 'ticket.called' ? 'call' : 'recall' }] : [],
  };
}

function withNotice(notices, event) {
  const data = isObject(event.data) ? event.data : {};
  const one = notice(isObject(data.notice) ? data.notice : data);
  const others = notices.filter((other) => other.id === null || other.id !== one.id);
  return event.kind === 'notice.posted' && (one.text !== '' || Object.keys(one.texts).length > 0) ? [one, ...others] : others;
}

/* An event that is the next one. */
function fromEvent(state, event) {
  const after = { ...state, position: event.position, queues: withFigures(state.queues, event) };
  let news = [];

  if (/^ticket\./.test(event.kind) && text(event.number) !== '') {
    const change = withTicket(state, event);
    after.calls = change.calls;
    after.last = change.last;
    news = change.news;
  } else if (event.kind === 'counter.closed') {
    after.calls = state.calls.filter((one) => one.counter_id !== id(event.counter_id));
  } else if (/^notice\./.test(event.kind)) {
    after.notices = withNotice(state.notices, event);
  }
  const about = id(event.queue_id);
  const isForeign = about !== null && !state.queues.some((queue) => queue.id === about);
  /* Events that were missed and come later do not say how many wait now. */
  const isBare = about !== null && (!isObject(event.data) || count(event.data.waiting) === null);
  const resync = SETUP.test(event.kind) || isForeign || isBare;
  if (resync) after.stale = event.position;
  const said = isObject(event.data) ? [{ ...event.data, queue_id: about }, ...list(event.data.queues)] : [];
  after.figured = { ...state.figured };
  for (const one of said) {
    if (id(one.queue_id) !== null && count(one.waiting) !== null) after.figured[id(one.queue_id)] = event.position;
  }
  return { state: after, news, resync };
}

export function apply(state, message) {
  const unchanged = { state, news: [], resync: false };

  if (!isObject(message) || typeof message.kind !== 'string' || typeof message.epoch !== 'string' ||
      !Number.isSafeInteger(message.position)) return unchanged;
  if (message.kind === 'snapshot') {
    if (state.ready && message.epoch === state.epoch && message.position < state.position) {
      if (state.stale === 0) return unchanged;
      if (message.position < state.stale) return { ...unchanged, resync: true };
      return { state: fromOlder(state, message), news: [], resync: false };
    }
    const after = fromSnapshot(message);
    return { state: after, news: newsOfSnapshot(state, after), resync: false };
  }
  if (!state.ready || message.epoch !== state.epoch) return { ...unchanged, resync: true };
  if (message.position <= state.position) return unchanged;
  return fromEvent(state, message);
}
