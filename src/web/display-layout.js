/*
 * display-layout.js
 *   What of a state goes where on a screen: pure functions, tested in Node as well.
 */

/* Columns and rows for the calls below the newest one, from few and large to many and small. */
const GRIDS = {
  wide: [[1, 3], [1, 4], [1, 5], [2, 4], [2, 5], [2, 6], [3, 5], [3, 6]],
  tall: [[1, 4], [1, 5], [1, 6], [2, 5], [2, 6], [2, 8]],
};

/* wide, tall, or small: then the page scrolls like any other. */
export function shapeOf(width, height) {
  if (width < 700 || height < 400) return 'small';
  return width >= height ? 'wide' : 'tall';
}

/* The first grid that has room for so many calls, the newest one apart; else the largest. */
export function gridFor(shape, calls) {
  const grids = GRIDS[shape];
  if (!grids) return { columns: 1, rows: Math.max(calls - 1, 0), level: 0 };
  let level = grids.findIndex(([columns, rows]) => columns * rows >= calls - 1);
  if (level < 0) level = grids.length - 1;
  return { columns: grids[level][0], rows: grids[level][1], level };
}

/* Grows at once and shrinks when it has been too large for a while, so that nothing jumps to and fro. */
export function steadyGrid(before, shape, calls, now, patience) {
  const wanted = gridFor(shape, calls);
  if (!before || before.shape !== shape || wanted.level >= before.level) return { ...wanted, shape, since: now };
  if (now - before.since < patience) return before;
  return { ...wanted, shape, since: now };
}

/* Those who shall come first, then those who are there; the latest call first. */
export function inOrder(calls) {
  const rank = (one) => (one.state === 'called' ? 0 : 1);
  return calls.slice().sort((a, b) => rank(a) - rank(b) || (a.at < b.at ? 1 : a.at > b.at ? -1 : 0) || (a.number < b.number ? -1 : 1));
}

/*
 * Page number turn of what does not fit.  The first `pinned` ones stay, the others take turns.
 */
export function pageOf(items, room, pinned, turn) {
  if (items.length <= room) return { items, page: 0, pages: 1 };
  const fixed = Math.min(pinned, Math.max(room - 1, 0));
  const rest = items.slice(fixed);
  const size = Math.max(room - fixed, 1);
  const pages = Math.ceil(rest.length / size);
  const page = turn % pages;
  return { items: items.slice(0, fixed).concat(rest.slice(page * size, (page + 1) * size)), page, pages };
}

/* 'a, b' to ['a', 'b'] */
function words(value) {
  return (value || '').split(',').map((word) => word.trim()).filter((word) => word !== '');
}

function numberIn(value, low, high, otherwise) {
  const n = value === null || value === '' ? NaN : Number(value);
  return Number.isFinite(n) ? Math.min(Math.max(n, low), high) : otherwise;
}

/* The settings in the page's address; see contrib-docs/gateway.md. */
export function settingsOf(search) {
  const query = new URLSearchParams(search);
  const isOff = (name) => ['off', '0', 'no', 'false'].includes((query.get(name) || '').toLowerCase());
  const oneOf = (name, allowed) => (allowed.includes(query.get(name)) ? query.get(name) : allowed[0]);
  return {
    languages: words(query.get('lang')).map((language) => language.toLowerCase()),
    theme: oneOf('theme', ['auto', 'light', 'dark']),
    zones: words(query.get('zone')),
    queues: words(query.get('queue')),
    hidden: words(query.get('hide')).filter((part) => ['last', 'queues', 'clock', 'wait', 'notices'].includes(part)),
    volume: isOff('chime') ? 0 : numberIn(query.get('volume'), 0, 100, 60) / 100,
    turn: numberIn(query.get('turn'), 1, 600, 10),
    rotate: Number(oneOf('rotate', ['0', '90', '180', '270'])),
    dim: !isOff('dim'),
    hours: Number(oneOf('clock', ['24', '12'])),
  };
}

/* /display/12 and /display/city/office; the page may be below a prefix. */
export function branchOf(pathname) {
  const match = /\/display\/(.+?)\/*$/.exec(pathname);
  if (!match) return '';
  try {
    return decodeURIComponent(match[1]);
  } catch (error) {
    return match[1];
  }
}

function isNamed(thing, wanted) {
  const lower = wanted.toLowerCase();
  return String(thing.id) === wanted || [thing.name, thing.slug, thing.prefix].concat(Object.values(thing.names))
    .some((name) => typeof name === 'string' && name.toLowerCase() === lower);
}

/* Ids of those things that the words name. */
export function idsOf(things, wanted) {
  return things.filter((thing) => wanted.some((word) => isNamed(thing, word))).map((thing) => thing.id);
}

/* A state with that only which the settings want shown. */
export function shown(state, settings) {
  const zones = idsOf(state.zones, settings.zones);
  const queues = idsOf(state.queues, settings.queues);
  const inZone = (one) => zones.length === 0 || one.zone_id === null || zones.includes(one.zone_id);
  const ofQueue = (one) => queues.length === 0 || queues.includes(one.queue_id);
  const wanted = (one) => inZone(one) && ofQueue(one);
  return {
    ...state,
    calls: state.calls.filter(wanted),
    last: state.last.filter(wanted),
    queues: queues.length === 0 ? state.queues : state.queues.filter((queue) => queues.includes(queue.id)),
  };
}

/* The name in a language: de-AT, then de, then what it is called otherwise. */
export function nameIn(thing, language) {
  if (!thing) return '';
  const known = thing.names || {};
  return known[language] || known[language.split('-')[0]] || thing.name;
}

/* Minutes as people say them: { hours, minutes }, rounded the more the longer; null if not known. */
export function waitOf(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return null;
  const step = seconds <= 15 * 60 ? 1 : 5;
  const minutes = Math.ceil(seconds / 60 / step) * step;
  return { hours: minutes >= 90 ? Math.floor(minutes / 60) : 0, minutes: minutes >= 90 ? minutes % 60 : minutes };
}

/* Does it look closed?  No queue is open and nobody is at a counter. */
export function isClosed(state) {
  return state.ready && state.calls.length === 0 && state.queues.length > 0 && state.queues.every((queue) => queue.status === 'closed');
}
