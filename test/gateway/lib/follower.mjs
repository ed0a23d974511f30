// follower.mjs: somebody who follows a channel with the official SDK, unmodified, and writes down all he
// is told; and the check that nothing is missing, twice or out of order.
import { Centrifuge } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { sleep, until } from './cluster.mjs';

/* What identifies an event, as far as the channel tells. */
const mark = (event) => `${event.id || ''} ${event.kind} ${event.number || ''} ${event.state || ''} ${event.counter_id || ''}`;

const everybody = new Set();

/* However a test ends: nobody is left who connects again and again. */
export function goHome() {
  everybody.forEach((one) => one.disconnect());
  everybody.clear();
}

/* Which of its two forms the SDK speaks where a test does not say. */
const PROTOBUF = process.env.QMS_FORM === 'protobuf';

/* What an application gives to the SDK as data, and gets from it: values in JSON, bytes in Protobuf. */
export const wrap = (value, protobuf = PROTOBUF) => (protobuf && value !== undefined ? new TextEncoder().encode(JSON.stringify(value)) : value);
export const unwrap = (data) => (!(data instanceof Uint8Array) ? data : data.length > 0 ? JSON.parse(new TextDecoder().decode(data)) : undefined);

/* A client; cut() closes its connection as a lost network does. */
export function client(url, { protobuf = PROTOBUF, ...options } = {}) {
  const sockets = new Set();
  class Socket extends WebSocket {
    constructor(...args) {
      super(...args, { perMessageDeflate: false });
      sockets.add(this);
      this.addEventListener('close', () => sockets.delete(this));
    }
  }
  const centrifuge = new (protobuf ? CentrifugeProtobuf : Centrifuge)(url, { websocket: Socket, minReconnectDelay: 50, maxReconnectDelay: 500, timeout: 10000, ...options });
  centrifuge.cut = () => sockets.forEach((socket) => socket.terminate());
  centrifuge.seen = [];
  centrifuge.protobuf = protobuf;
  everybody.add(centrifuge);
  for (const name of ['connecting', 'connected', 'disconnected', 'error']) centrifuge.on(name, (context) => centrifuge.seen.push([name, context.code || (context.error && context.error.code), context.reason || (context.error && context.error.message)]));
  return centrifuge;
}

export class Follower {
  constructor(centrifuge, channel, options = {}) {
    Object.assign(this, { centrifuge, channel, segments: [], wrong: [], subscribes: 0, recoveries: 0, losses: 0, resets: 0, news: [] });
    this.sub = centrifuge.newSubscription(channel, { minResubscribeDelay: 50, maxResubscribeDelay: 500, ...options, data: wrap(options.data, centrifuge.protobuf) });
    this.sub.on('subscribed', (context) => this.subscribed({ ...context, data: unwrap(context.data) }));
    this.sub.on('publication', (context) => this.publication({ ...context, data: unwrap(context.data) }));
    this.sub.on('unsubscribed', (context) => this.news.push(['unsubscribed', context.code, context.reason]));
    this.sub.on('error', (context) => this.news.push(['error', context.error.code, context.error.message]));
    this.sub.subscribe();
    centrifuge.connect();
  }

  subscribed(context) {
    this.subscribes += 1;
    if (context.data) this.snapshot(context.data, context.streamPosition);
    if (context.wasRecovering && context.recovered) {
      this.recoveries += 1;
      if (context.data) this.wrong.push('recovered, and a snapshot as well');
      return;
    }
    if (context.wasRecovering) this.losses += 1;
    if (!context.data) this.wrong.push('neither recovered nor a snapshot');
  }

  snapshot(data, place) {
    if (data.kind !== 'snapshot') this.wrong.push(`not a snapshot: ${JSON.stringify(data).slice(0, 200)}`);
    if (place && place.epoch !== data.epoch) this.wrong.push(`snapshot of epoch ${data.epoch} at ${place.epoch}`);
    this.data = data;
    this.segments.push({ epoch: data.epoch, from: place ? place.offset : data.position, snapshot: data.position, events: [] });
  }

  publication({ data, offset }) {
    const segment = this.segments[this.segments.length - 1];
    if (data.kind === 'snapshot') {
      this.resets += 1;
      this.snapshot(data, { epoch: data.epoch, offset });
      return;
    }
    if (!segment) return void this.wrong.push('an event before any snapshot');
    if (data.position !== offset) this.wrong.push(`event ${data.position} at offset ${offset}`);
    if (data.epoch !== segment.epoch) this.wrong.push(`event of ${data.epoch} in ${segment.epoch}`);
    segment.events.push([data.position, mark(data)]);
    this.last = data;
  }

  get position() {
    const segment = this.segments[this.segments.length - 1];
    return !segment ? 0 : segment.events.length > 0 ? segment.events[segment.events.length - 1][0] : segment.from;
  }

  get epoch() {
    return this.segments.length > 0 ? this.segments[this.segments.length - 1].epoch : '';
  }

  get events() {
    return this.segments.reduce((all, segment) => all + segment.events.length, 0);
  }

  ready() {
    return until(`${this.channel} is subscribed`, () => this.sub.state === 'subscribed' && this.segments.length > 0, 30);
  }

  end() {
    this.sub.unsubscribe();
    this.centrifuge.disconnect();
  }
}

/* What the server says happened in a channel: read again and again, because an epoch's end is not announced. */
export class Truth {
  constructor(cluster, channel) {
    Object.assign(this, { cluster, channel, epochs: new Map(), position: 0, epoch: null, wrong: [] });
  }

  add(epoch, position, what) {
    if (!this.epochs.has(epoch)) this.epochs.set(epoch, new Map());
    const events = this.epochs.get(epoch);
    if (events.has(position) && events.get(position) !== what) this.wrong.push(`${epoch} ${position} is "${events.get(position)}" and "${what}"`);
    events.set(position, what);
  }

  /* All events of the present epoch that were not read yet. */
  async read() {
    const cluster = typeof this.cluster === 'function' ? this.cluster() : this.cluster;
    const epoch = await cluster.value('SELECT epoch FROM qms.stream_position()');
    if (epoch !== this.epoch) Object.assign(this, { epoch, position: 0 });
    for (;;) {
      const rows = await cluster.ask('SELECT position, event_id, kind, number::text AS number, state, counter_id FROM qms.events_since($1, $2, 5000, $3)', [this.channel, this.position, epoch]);
      for (const row of rows) {
        /* Public channels do not tell which event it was. */
        this.add(epoch, row.position, mark({ ...row, id: row.event_id }));
        this.position = row.position;
      }
      if (rows.length < 5000) return this;
    }
  }

  last(epoch) {
    const events = this.epochs.get(epoch);
    return events && events.size > 0 ? Math.max(...events.keys()) : 0;
  }
}

/* Everything that was published, and read by the truth. */
export async function settle(cluster, truths) {
  await until('all events are published', async () => await cluster.value('SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)'), 60);
  for (const truth of truths) await truth.read();
}

/* Follower's wrongs against what happened in his channel, in words; nothing is as it should be. */
export function verify(follower, truth, final = true) {
  const wrong = follower.wrong.slice();
  follower.segments.forEach((segment, i) => {
    const events = truth.epochs.get(segment.epoch) || new Map();
    const end = segment.events.length > 0 ? segment.events[segment.events.length - 1][0] : segment.from;
    const isLast = final && i === follower.segments.length - 1;
    const upTo = isLast && segment.epoch === truth.epoch ? Math.max(truth.last(segment.epoch), end) : end;
    /* What happened after the snapshot, or is said to come after it. */
    const begin = Math.min(segment.from, segment.snapshot);
    const got = segment.events.map(([position]) => position);
    const have = new Set(got);
    const missing = Array.from(events.keys()).filter((position) => position > begin && position <= upTo && !have.has(position)).sort((a, b) => a - b);
    const strange = got.filter((position) => !events.has(position));
    for (let k = 1; k < got.length; k++) if (got[k] <= got[k - 1]) wrong.push(`${got[k]} after ${got[k - 1]}`);
    if (missing.length > 0) wrong.push(`segment ${i} (${begin}..${upTo}] misses ${missing.length}: ${missing.slice(0, 5)}`);
    if (strange.length > 0) wrong.push(`segment ${i} has ${strange.length} that nobody knows: ${strange.slice(0, 5)}`);
    for (const [position, what] of segment.events) if (events.has(position) && events.get(position) !== what) wrong.push(`${position} is "${what}", not "${events.get(position)}"`);
  });
  if (final && follower.segments.length > 0 && follower.epoch !== truth.epoch) wrong.push(`still in epoch ${follower.epoch}`);
  return wrong.slice(0, 10);
}

/* Waits until the followers have come to the end, as long as they go on. */
export async function caughtUp(followers, truths, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  const behind = () => followers.filter((one) => one.epoch !== truths.get(one.channel).epoch || one.position < truths.get(one.channel).last(one.epoch));
  while (behind().length > 0 && Date.now() < end) await sleep(100);
  return behind().length;
}
