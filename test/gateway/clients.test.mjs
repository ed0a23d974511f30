// The official SDK against a real server and gateway: connecting, subscribing, who may what, tokens.
// QMS_FORM=protobuf: its other build.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Follower, Truth, client, settle, unwrap, verify, wrap } from './lib/follower.mjs';
import { until, sleep } from './lib/cluster.mjs';
import { setup, teardown } from './lib/setup.mjs';
import { login, sign } from './lib/town.mjs';

let all;
let cluster;
let office;
let other;

before(async () => {
  all = await setup({ people: { branches: 2 } });
  cluster = all.cluster;
  [office, other] = all.town.branches;
});
after(() => teardown(all));

const connect = (options) => client(all.gateway.socket, options);
const follow = (channel, options, subOptions) => new Follower(connect(options), channel, subOptions);
const join = async (queue = office.queues[0]) => (await cluster.ask('SELECT ticket_id, visit_id, number::text, token FROM qms.join_queue($1)', [queue]))[0];
const call = async (counter = office.counters[0]) => (await cluster.ask('SELECT number::text FROM qms.call_next($1, finish_current => \'completed\')', [counter]))[0];
const kinds = (follower) => follower.segments.flatMap((segment) => segment.events.map(([, what]) => what.split(' ')[1]));
/* How a subscription is refused: [code, message]. */
async function refusal(channel, options, subOptions) {
  const follower = follow(channel, options, subOptions);
  await until(`${channel} is refused`, () => follower.news.some(([what]) => what === 'unsubscribed'), 15);
  const [, code, reason] = follower.news.find(([what]) => what === 'unsubscribed');
  assert.equal(follower.segments.length, 0);
  follower.end();
  return [code, reason];
}

test('a display is painted by one round trip, by number and by name', async () => {
  await join();
  await call();
  for (const channel of [`display:${office.id}`, `display:${office.slug}`]) {
    const one = follow(channel);
    await one.ready();
    assert.equal(one.data.branch.branch_id, office.id);
    assert.equal(one.data.branch.name, 'Office 1');
    assert.deepEqual(one.data.branch.names, { de: 'Amt 1' });
    assert.equal(one.data.branch.time_zone, 'Europe/Berlin');
    assert.equal(one.data.queues.length, 2);
    assert.equal(one.data.now_serving.length, 1);
    const { number } = await join();
    await until('the event comes', () => one.last && one.last.number === number, 10);
    assert.deepEqual(Object.keys(one.last).filter((key) => !['v', 'position', 'epoch', 'at', 'kind', 'queue_id', 'number', 'state', 'counter_id', 'counter_name', 'zone_id', 'data'].includes(key)), [], 'only what is public');
    assert.equal(typeof one.last.data.waiting, 'number');
    one.end();
  }
});

test('whatever is committed after "subscribed" is delivered', async () => {
  for (let i = 0; i < 20; i++) {
    const one = follow(`display:${office.id}`);
    const number = await new Promise((resolve) => one.sub.once('subscribed', () => join().then((ticket) => resolve(ticket.number))));
    await until('it came', () => one.segments.some((segment) => segment.events.some(([, what]) => what.includes(number))), 10);
    one.end();
  }
});

test('the last event of a burst comes as soon as the first', async () => {
  const one = follow(`display:${other.id}`);
  await one.ready();
  const session = await cluster.session();
  let slowest = 0;
  for (let i = 0; i < 150; i++) {
    await session.query('SELECT FROM qms.join_queue($1)', [other.queues[i % 2]]);
    /* The second when the gateway may be reading the first. */
    await sleep(i % 5);
    const { rows: [{ number }] } = await session.query('SELECT number::text FROM qms.join_queue($1)', [other.queues[0]]);
    const began = Date.now();
    await until('it comes', () => one.last && one.last.number === number, 5);
    slowest = Math.max(slowest, Date.now() - began);
  }
  await session.end();
  one.end();
  assert.ok(slowest < 3000, `${slowest} ms`);
});

test('events in order, each once, in every kind of channel', async () => {
  const token = await login(cluster, 'ada');
  const ticket = await join();
  const channels = [`staff:${office.id}`, `admin:${all.town.organization}`, `display:${office.id}`, `display:${office.id}:${office.zone}`, `queue:${office.queues[0]}`];
  const followers = channels.map((channel) => follow(channel, { token }));
  const own = follow(`visit:${ticket.visit_id}`, {}, { data: { token: ticket.token } });
  await Promise.all([...followers, own].map((one) => one.ready()));
  const truths = channels.map((channel) => new Truth(cluster, channel));
  await settle(cluster, truths);
  truths.forEach((truth, i) => assert.equal(followers[i].epoch, truth.epoch));
  for (let i = 0; i < 30; i++) {
    await join(office.queues[i % 2]);
    await call(office.counters[i % 4]);
    if (i % 7 === 0) await cluster.ask('SELECT qms.recall_ticket($1)', [office.counters[i % 4]]).catch(() => undefined);
  }
  await settle(cluster, truths);
  for (const [i, truth] of truths.entries()) {
    await until(`${truth.channel} has come to the end`, () => followers[i].position >= truth.last(truth.epoch), 20);
    assert.deepEqual(verify(followers[i], truth), [], truth.channel);
    assert.ok(followers[i].events > 0, truth.channel);
  }
  assert.equal(own.data.kind, 'snapshot');
  await until('his visit tells him of the call', () => kinds(own).includes('ticket.called'), 10);
  [...followers, own].forEach((one) => one.end());
});

test('who may not is refused, with the codes of the protocol', async () => {
  const ada = await login(cluster, 'ada');
  const bob = await login(cluster, 'bob');
  const ticket = await join();
  assert.deepEqual(await refusal(`staff:${office.id}`), [103, 'permission denied']);
  assert.deepEqual(await refusal(`admin:${all.town.organization}`), [103, 'permission denied']);
  assert.deepEqual(await refusal(`staff:${other.id}`, { token: bob }), [103, 'permission denied'], 'another branch');
  assert.deepEqual(await refusal(`admin:${all.town.organization}`, { token: bob }), [103, 'permission denied']);
  assert.deepEqual(await refusal(`visit:${ticket.visit_id}`), [103, 'permission denied']);
  assert.deepEqual(await refusal(`visit:${ticket.visit_id}`, {}, { data: { token: 'x'.repeat(43) } }), [103, 'permission denied']);
  for (const channel of ['display:999999', 'display:city/nowhere', 'nonsense:1', 'display', 'x', 'staff:0', 'display:-1', `display:${office.id}:999999`, 'display:1 ', 'queue:999999999999999999999999']) {
    const [code] = await refusal(channel, { token: ada });
    assert.equal(code, 102, channel);
  }
});

test('what this server has no use for: publish, rpc, presence; and what it has: history, presence_stats', async () => {
  const one = follow(`display:${office.id}`);
  await one.ready();
  await join();
  await assert.rejects(one.sub.publish(wrap({ a: 1 })), (error) => error.code === 103);
  await assert.rejects(one.sub.presence(), (error) => error.code === 108);
  await assert.rejects(one.centrifuge.rpc('join_queue', wrap({})), (error) => error.code === 108);
  const history = await one.sub.history({ limit: 5 });
  assert.ok(history.publications.length > 0 && history.publications.length <= 5);
  assert.equal(history.epoch, one.epoch);
  assert.equal(unwrap(history.publications[0].data).position, history.publications[0].offset);
  const stats = await one.sub.presenceStats();
  assert.ok(stats.numClients >= 1);
  assert.equal(one.sub.state, 'subscribed');
  one.end();
});

test('subscriptions of the server, named in the token', async () => {
  const now = Math.floor(Date.now() / 1000);
  const token = await sign(cluster, { role: 'qms_admin', sub: `staff:${all.town.ada}`, organization_id: all.town.organization, iat: now, exp: now + 60, channels: [`staff:${office.id}`, `display:${other.id}`, 'staff:999999'] });
  const one = connect({ token });
  const seen = { subscribed: [], events: [] };
  one.on('subscribed', (context) => seen.subscribed.push(context.channel));
  one.on('publication', (context) => seen.events.push(`${context.channel} ${unwrap(context.data).kind}`));
  one.connect();
  await one.ready(10000);
  await until('both', () => seen.subscribed.length >= 2, 10);
  assert.deepEqual(seen.subscribed.sort(), [`display:${other.id}`, `staff:${office.id}`]);
  await join();
  await join(other.queues[0]);
  await until('events of both', () => seen.events.includes(`staff:${office.id} ticket.joined`) && seen.events.includes(`display:${other.id} ticket.joined`), 10);
  one.disconnect();
});

test('tokens: forged, of no algorithm, nonsense: told to go and not to come back', async () => {
  const good = await login(cluster, 'ada');
  const [head, body, signature] = good.split('.');
  const none = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${body}.`;
  const flipped = `${head}.${body}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`;
  const other = `${head}.${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url')), role: 'qms_super_admin' })).toString('base64url')}.${signature}`;
  for (const token of [none, flipped, other, 'x', 'a.b.c', '..', `${good}x`]) {
    const one = connect({ token });
    one.connect();
    await until('disconnected for good', () => one.state === 'disconnected', 10);
    const [, code] = one.seen.find(([name]) => name === 'disconnected');
    assert.equal(code, 3500, token.slice(0, 30));
  }
});

test('tokens: one that has expired is asked for anew', async () => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { role: 'qms_admin', sub: `staff:${all.town.ada}`, organization_id: all.town.organization, iat: now - 7200 };
  const old = await sign(cluster, { ...claims, exp: now - 3600 });
  let asked = 0;
  const one = new Follower(connect({ token: old, getToken: async () => { asked += 1; return login(cluster, 'ada'); } }), `staff:${office.id}`);
  await one.ready();
  assert.equal(asked, 1);
  one.end();
});

test('tokens: refreshed before they expire, without a gap', async () => {
  const now = Math.floor(Date.now() / 1000);
  const short = () => sign(cluster, { role: 'qms_admin', sub: `staff:${all.town.ada}`, organization_id: all.town.organization, iat: now, exp: Math.floor(Date.now() / 1000) + 8 });
  let asked = 0;
  const one = new Follower(connect({ token: await short(), getToken: () => { asked += 1; return short(); } }), `staff:${office.id}`);
  await one.ready();
  await until('refreshed twice', () => asked >= 2, 30);
  assert.equal(one.centrifuge.state, 'connected');
  assert.equal(one.subscribes, 1);
  one.end();
});

test('rights that end stop delivery within a second', async () => {
  const staff = await cluster.value('SELECT staff_id FROM qms.create_staff($1, \'carl\', branch_ids => $2)', [all.town.organization, [office.id]]);
  await cluster.ask('SELECT qms.set_password($1, \'correct horse battery\')', [staff]);
  const one = follow(`staff:${office.id}`, { token: await login(cluster, 'carl') });
  await one.ready();
  await join();
  await until('an event', () => one.events > 0, 10);
  await cluster.ask('SELECT qms.delete_staff($1)', [staff]);
  await sleep(1000);
  const had = one.events;
  await join();
  await sleep(1000);
  assert.equal(one.events, had, 'nothing after that');
  assert.notEqual(one.sub.state, 'subscribed');
  one.end();
});

test('a queue that is not public any more: its display goes on without it, its channel ends', async () => {
  const queue = await cluster.value('SELECT queue_id FROM qms.create_queue(\'Secret\', $1)', [office.id]);
  const one = follow(`queue:${queue}`);
  const display = follow(`display:${office.id}`);
  await Promise.all([one.ready(), display.ready()]);
  await cluster.ask('SELECT name FROM qms.update_queue($1, settings => \'{"public": false}\')', [queue]);
  await until('it ends', () => one.news.some(([what, code]) => what === 'unsubscribed' || code === 103), 5);
  const { number } = await join(queue);
  const last = await join();
  await until('the display goes on', () => display.last && display.last.number === last.number, 10);
  assert.ok(!display.segments.some((segment) => segment.events.some(([, what]) => what.includes(` ${number} `))));
  one.end();
  display.end();
});

test('many channels of one client, and one channel of many', async () => {
  const one = connect();
  const channels = [`display:${office.id}`, `display:${other.id}`, ...office.queues.map((id) => `queue:${id}`), ...other.queues.map((id) => `queue:${id}`)];
  const followers = channels.map((channel) => new Follower(one, channel));
  const crowd = Array.from({ length: 50 }, () => follow(`display:${office.id}`));
  await Promise.all([...followers, ...crowd].map((each) => each.ready()));
  const { number } = await join();
  await until('all have it', () => [followers[0], ...crowd].every((each) => each.last && each.last.number === number), 10);
  one.disconnect();
  crowd.forEach((each) => each.end());
});

test('the same over a plain WebSocket and over server-sent events', async () => {
  const channel = `display:${office.id}`;
  const said = [];
  const socket = new WebSocket(`ws://127.0.0.1:${all.gateway.port}/connection/uni_websocket?channel=${encodeURIComponent(channel)}`);
  socket.on('message', (data) => String(data).split('\n').filter(Boolean).forEach((line) => said.push(JSON.parse(line))));
  const abort = new AbortController();
  const answer = await fetch(`${all.gateway.url}/events?channel=${encodeURIComponent(channel)}`, { signal: abort.signal, headers: { accept: 'text/event-stream' } });
  assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
  let text = '';
  (async () => { for await (const piece of answer.body) text += Buffer.from(piece).toString(); })().catch(() => undefined);
  await until('both have begun', () => said.length > 0 && text.includes('"snapshot"'), 10);
  const { number } = await join();
  await until('both have it', () => said.some((one) => JSON.stringify(one).includes(`"${number}"`)) && text.includes(`"${number}"`), 10);
  abort.abort();
  socket.close();
  /* Again from the last id: what happened meanwhile, and no more. */
  const last = /^id: ?(.*)$/gm.exec(text.slice(text.lastIndexOf('\nid:') + 1))[1];
  const missed = await join();
  const again = new AbortController();
  const second = await fetch(`${all.gateway.url}/events?channel=${encodeURIComponent(channel)}`, { signal: again.signal, headers: { 'last-event-id': last } });
  let later = '';
  (async () => { for await (const piece of second.body) later += Buffer.from(piece).toString(); })().catch(() => undefined);
  await until('what was missed', () => later.includes(`"${missed.number}"`), 10);
  assert.ok(!later.includes(`"${number}"`), 'and nothing twice');
  again.abort();
});

test('the server has nothing to complain about', async () => {
  assert.deepEqual(cluster.badLines(), []);
  assert.ok(all.gateway.isAlive());
});
