/*
 * display.js
 *   The display of a branch: /display/12 or /display/city/citizens-office.
 *
 * Connects with the official `centrifuge` SDK (centrifuge.js, as npm has it), keeps what it is told
 * in a state (display-state.js) and shows it (display-view.js).  A screen on a wall has nobody who
 * reloads it: whatever goes wrong, it says so and tries again.
 */
import { apply, nothing } from './display-state.js';
import { branchOf, idsOf, settingsOf } from './display-layout.js';
import { languagesFor } from './display-words.js';
import { Chime } from './display-sound.js';
import { View } from './display-view.js';

/* A connection that comes back sooner was never lost, as far as people see. */
const LOST_MS = 4000;
/* Until the next try after an answer that will not change by itself. */
const REFUSED_MS = 20000;
/* Between looks at the server's clock and at its version of this page. */
const LOOK_MS = 3600000;

/* What the page is made of, itself first: others than these tell of a new version. */
const FILES = ['', 'display.css', 'display-small.css', 'display-theme.css', 'display.js', 'display-state.js', 'display-layout.js', 'display-view.js', 'display-words.js', 'display-sound.js', 'centrifuge.js'];

/* Codes of the protocol. */
const UNKNOWN_CHANNEL = 102;
const PERMISSION_DENIED = 103;

const settings = settingsOf(location.search);
const branch = branchOf(location.pathname);
const prefix = location.pathname.slice(0, Math.max(location.pathname.indexOf('/display/'), 0));
/* A token may stand behind the #, which is never sent to a server nor kept in its logs. */
const token = new URLSearchParams(location.hash.slice(1)).get('token') || '';

const view = new View(settings);
const chime = new Chime(settings.volume);
const status = { phase: 'connecting', name: branch, news: 0, skew: 0 };
let state = nothing;
let languages = languagesFor(settings.languages, [], navigator.languages || [navigator.language || 'en']);
let subscription = null;
let channel = '';
let goneSince = performance.now();
let resyncTimer = null;
let lookedAt = -LOOK_MS;
let version = null;

function show() {
  view.show(state, status);
}

/* A WebSocket that remembers when the last word came, pings included. */
class TimedSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    this.addEventListener('message', () => { status.news = Date.now(); });
  }
}

const centrifuge = new window.Centrifuge(`${location.origin.replace(/^http/, 'ws')}${prefix}/connection/websocket`, {
  websocket: TimedSocket,
  token,
  name: 'qms-display',
  minReconnectDelay: 300,
  maxReconnectDelay: 8000,
});

/* One thing that the gateway said of the channel. */
function take(message) {
  const result = apply(state, message);
  if (result.resync) resync();
  if (result.state === state) return;
  state = result.state;
  if (state.branch) languages = languagesFor(settings.languages, state.branch.languages, navigator.languages || [navigator.language || 'en']);
  if (result.news.length > 0) tell(result.news);
  if (message.kind === 'snapshot') narrow();
  show();
}

/* Several messages of one moment are told together. */
let untold = [];
function tell(news) {
  untold = untold.concat(news);
  if (untold.length > news.length) return;
  setTimeout(() => {
    /* Of those that are still called: a recovery may bring calls that are over. */
    const current = untold.filter((one, i) => state.calls.some((call) => call.number === one.number && call.state === 'called') &&
      !untold.slice(i + 1).some((later) => later.number === one.number));
    untold = [];
    const wanted = current.filter((one) => isWanted(one));
    if (wanted.length === 0) return;
    view.setLanguage(view.language);
    view.announce(wanted, performance.now());
    chime.ring(wanted.some((one) => one.kind === 'call') ? 'call' : 'recall');
    show();
  }, 50);
}

function isWanted(one) {
  const zones = idsOf(state.zones, settings.zones);
  const queues = idsOf(state.queues, settings.queues);
  return (zones.length === 0 || one.zone_id === null || zones.includes(one.zone_id)) && (queues.length === 0 || queues.includes(one.queue_id));
}

/* The channel in the address; one zone has a channel of its own, which is known by its number. */
function firstChannel() {
  const [zone] = settings.zones;
  return /^[0-9]+$/.test(branch) && settings.zones.length === 1 && /^[0-9]+$/.test(zone) ? `display:${branch}:${zone}` : `display:${branch}`;
}

/* Now that the names of the zones are known, follow that of the address only. */
function narrow() {
  if (settings.zones.length !== 1 || /^display:[0-9]+:[0-9]+$/.test(channel)) return;
  const [zone] = idsOf(state.zones, settings.zones);
  if (zone) follow(`display:${state.branch.id}:${zone}`);
  else console.warn(`qms: no zone "${settings.zones[0]}" in this branch, so all of it is shown`);
}

/* Start over with a fresh snapshot; a little later and not all displays at once. */
function resync() {
  if (resyncTimer !== null) return;
  resyncTimer = setTimeout(() => {
    resyncTimer = null;
    follow(channel);
  }, 200 + Math.random() * 1800);
}

function setPhase(phase) {
  if (status.phase === phase) return;
  status.phase = phase;
  show();
}

function refused(code, own) {
  setPhase(code === PERMISSION_DENIED ? 'denied' : code === UNKNOWN_CHANNEL ? 'unknown' : 'lost');
  setTimeout(() => {
    if (subscription === own) own.subscribe();
  }, REFUSED_MS);
}

function follow(name) {
  const old = subscription;
  subscription = null;
  if (old) {
    old.unsubscribe();
    centrifuge.removeSubscription(old);
  }
  channel = name;
  const own = centrifuge.newSubscription(name);
  subscription = own;
  own.on('subscribed', (context) => {
    if (subscription !== own) return;
    goneSince = null;
    setPhase('live');
    if (context.data) take(context.data);
    else if (!context.recovered) resync();
  });
  own.on('publication', (context) => {
    if (subscription === own) take(context.data);
  });
  own.on('subscribing', () => {
    if (subscription === own && goneSince === null) goneSince = performance.now();
  });
  own.on('unsubscribed', (context) => {
    if (subscription !== own) return;
    if (goneSince === null) goneSince = performance.now();
    refused(context.code, own);
  });
  own.subscribe();
}

/* The header has whole seconds; what is less than two is not worth a correction. */
function setClock(date, asked, answered) {
  const skew = Date.parse(date || '') + 500 - (asked + answered) / 2;
  if (!Number.isNaN(skew) && answered - asked < 2000) status.skew = Math.abs(skew) < 2000 ? 0 : skew;
}

/* The server's clock, which the wall clock follows, and whether it has another version of this page. */
async function look() {
  lookedAt = performance.now();
  let tags = '';
  try {
    for (const file of FILES) {
      const asked = Date.now();
      const answer = await fetch(file ? `${prefix}/${file}` : location.pathname, { method: 'HEAD', cache: 'no-store' });
      if (!answer.ok) return;
      setClock(answer.headers.get('date'), asked, Date.now());
      tags += `${answer.headers.get('etag') || ''} `;
    }
  } catch (error) {
    return;
  }
  if (version !== null && tags !== version) setTimeout(() => location.reload(), Math.random() * 5000);
  version = tags;
}

centrifuge.on('connected', look);
centrifuge.on('disconnected', () => {
  /* The gateway will not have us: a wrong token, or too many connections. */
  setPhase('lost');
  setTimeout(() => centrifuge.connect(), REFUSED_MS);
});

function tick() {
  const now = performance.now();
  if (goneSince !== null && now - goneSince > LOST_MS && (status.phase === 'live' || status.phase === 'connecting')) setPhase('lost');
  if (now - lookedAt > LOOK_MS) look();
  view.tick(now, Math.floor(now / 1000 / settings.turn), languages);
  view.drawSound(chime.isSilent());
}

/* A tablet on a wall shall not fall asleep, where the browser can say so; it forgets when the page is hidden. */
function stayAwake() {
  if (!navigator.wakeLock || document.hidden) return;
  navigator.wakeLock.request('screen').catch(() => undefined);
}
document.addEventListener('visibilitychange', stayAwake);
stayAwake();

/* Nobody needs a pointer on a wall; whoever moves one sees it for a while. */
let pointerTimer = null;
function hidePointer() {
  document.body.classList.remove('no-pointer');
  clearTimeout(pointerTimer);
  pointerTimer = setTimeout(() => document.body.classList.add('no-pointer'), 4000);
}
window.addEventListener('pointermove', hidePointer);
hidePointer();

/* For tests, and for whoever stands before the screen with a keyboard. */
window.qms = { get state() { return state; }, get status() { return status; }, get channel() { return channel; }, chime, centrifuge };

view.setLanguage(languages[0]);
if (branch === '') {
  status.phase = 'unknown';
} else {
  follow(firstChannel());
  centrifuge.connect();
}
show();
tick();
setInterval(tick, 1000);
