// The protocol's Protobuf form, as the SDKs for Flutter, Swift and Java speak it: the official SDK's Protobuf
// build beside the other one, recovery, what is refused, and frames byte by byte.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Follower, Truth, caughtUp, client, settle, unwrap, verify } from './lib/follower.mjs';
import { sleep, until } from './lib/cluster.mjs';
import { setup, teardown } from './lib/setup.mjs';
import { Writer, login, sign } from './lib/town.mjs';

let all;
let cluster;
let office;

before(async () => {
  all = await setup({ people: { counters: 4 } });
  cluster = all.cluster;
  [office] = all.town.branches;
});
after(() => teardown(all));

const follow = (channel, options, subOptions) => new Follower(client(all.gateway.socket, { protobuf: true, ...options }), channel, subOptions);
/* {"id":1,"connect":{}} */
const CONNECT = '0408012200';
const join = async () => (await cluster.ask('SELECT ticket_id, visit_id, number::text, token FROM qms.join_queue($1)', [office.queues[0]]))[0];

/* A plain socket: what it was told, as hexadecimal bytes or text, and how it was closed. */
function plain(path, protocols) {
  const self = { heard: [], socket: new WebSocket(`ws://127.0.0.1:${all.gateway.port}${path}`, protocols) };
  self.socket.on('message', (data, isBinary) => self.heard.push(isBinary ? data.toString('hex') : String(data)));
  self.socket.on('close', (code, reason) => { self.closed = [code, String(reason)]; });
  self.socket.on('unexpected-response', (request, response) => { self.closed = [response.statusCode, '']; });
  self.open = () => until('it is open', () => self.socket.readyState === WebSocket.OPEN || self.closed, 10);
  return self;
}

test('a snapshot, then events in order; unsubscribe; subscribe again and recover', async () => {
  const one = follow(`display:${office.id}`);
  await one.ready();
  assert.equal(one.data.branch.branch_id, office.id);
  const first = await join();
  await until('the event', () => one.last && one.last.number === first.number, 10);
  one.sub.unsubscribe();
  const missed = await join();
  await sleep(300);
  assert.equal(one.last.number, first.number, 'nothing after unsubscribe');
  one.sub.subscribe();
  await until('it recovers', () => one.last.number === missed.number, 10);
  assert.deepEqual([one.recoveries, one.losses, one.wrong], [1, 0, []]);
  one.end();
});

test('both forms on one channel, 120 clients, cut at random: the same events, once, in order', async (t) => {
  const token = await login(cluster, 'ada');
  const channels = [`display:${office.id}`, `staff:${office.id}`];
  const followers = Array.from({ length: 120 }, (_, i) => follow(channels[i >> 1 & 1], { token, protobuf: i % 2 === 0 }));
  await Promise.all(followers.map((one) => one.ready()));
  assert.equal(await all.gateway.metric('qms_gateway_clients{form="protobuf"}'), 60);
  assert.equal(await all.gateway.metric('qms_gateway_clients{form="json"}'), 60);
  const truths = new Map(channels.map((channel) => [channel, new Truth(cluster, channel)]));
  const writer = new Writer(cluster, office, office.counters, 20).start();
  for (let i = 0; i < 20; i++) {
    await sleep(200);
    followers.filter(() => Math.random() < 0.05).forEach((one) => one.centrifuge.cut());
  }
  await writer.stop();
  await settle(cluster, Array.from(truths.values()));
  assert.equal(await caughtUp(followers, truths, 60), 0);
  for (const one of followers) assert.deepEqual(verify(one, truths.get(one.channel)), [], `${one.channel} ${one.centrifuge.protobuf}`);
  const sum = (name, protobuf) => followers.filter((one) => one.centrifuge.protobuf === protobuf).reduce((n, one) => n + one[name], 0);
  assert.ok(sum('recoveries', true) > 0 && sum('losses', true) === 0);
  t.diagnostic(`${sum('events', true)} and ${sum('events', false)} events, ${sum('recoveries', true)} and ${sum('recoveries', false)} recoveries`);
  followers.forEach((one) => one.end());
});

test('the gateway ends and is started again: all recover', async () => {
  const one = follow(`display:${office.id}`);
  await one.ready();
  await all.gateway.end();
  const { number } = await join();
  await all.gateway.start();
  await all.gateway.ready();
  await until('it recovers', () => one.last && one.last.number === number, 20);
  assert.deepEqual([one.recoveries, one.losses], [1, 0]);
  assert.ok(one.centrifuge.seen.some(([name, code]) => name === 'connecting' && code === 3001), 'told "shutdown"');
  one.end();
});

test('tokens: refreshed without a gap; a bad one is told 3500, one that has expired is asked for anew', async () => {
  const now = () => Math.floor(Date.now() / 1000);
  const claims = { role: 'qms_admin', sub: `staff:${all.town.ada}`, organization_id: all.town.organization };
  let asked = 0;
  const getToken = async () => { asked += 1; return sign(cluster, { ...claims, iat: now(), exp: now() + 6 }); };
  const one = follow(`staff:${office.id}`, { token: await sign(cluster, { ...claims, iat: now() - 60, exp: now() - 30 }), getToken });
  await one.ready();
  await until('refreshed', () => asked >= 3, 30);
  assert.deepEqual([one.subscribes, one.centrifuge.state], [1, 'connected']);
  one.end();
  const bad = client(all.gateway.socket, { protobuf: true, token: 'a.b.c' });
  bad.connect();
  await until('disconnected for good', () => bad.state === 'disconnected', 10);
  assert.deepEqual(bad.seen.find(([name]) => name === 'disconnected').slice(1), [3500, 'invalid token']);
});

test('a visit by its token as bytes; refusals, history, presence_stats', async () => {
  const ticket = await join();
  const own = follow(`visit:${ticket.visit_id}`, {}, { data: { token: ticket.token } });
  await own.ready();
  assert.equal(own.data.tickets[0].number, ticket.number);
  assert.deepEqual({ ...(await own.sub.presenceStats()) }, { numClients: 1, numUsers: 1 });
  const history = await own.sub.history({ limit: 10, reverse: true });
  assert.equal(unwrap(history.publications[0].data).kind, 'ticket.joined');
  assert.equal(history.offset >= history.publications[0].offset, true);
  await assert.rejects(own.sub.history({ limit: 10, since: { offset: 1, epoch: 'another' } }), (error) => error.code === 112);
  own.end();
  for (const [channel, code, data] of [[`visit:${ticket.visit_id}`, 103, { token: 'x'.repeat(43) }], [`staff:${office.id}`, 103], ['display:999999', 102]]) {
    const one = follow(channel, {}, { data });
    await until(`${channel} is refused`, () => one.news.some(([what]) => what === 'unsubscribed'), 10);
    assert.equal(one.news.find(([what]) => what === 'unsubscribed')[1], code);
    one.end();
  }
});

test('byte by byte: the subprotocol, the address, empty messages, several in one frame', async () => {
  const ways = [['/connection/websocket', ['centrifuge-protobuf']], ['/connection/websocket', ['foo', 'centrifuge-protobuf', 'centrifuge-json']],
    ['/connection/websocket?format=protobuf', []], ['/connection/websocket?a=b&cf_protocol=protobuf', []]];
  await Promise.all(ways.map(async ([path, protocols]) => {
    const one = plain(path, protocols);
    await one.open();
    assert.equal(one.socket.protocol, protocols.length > 0 ? 'centrifuge-protobuf' : '');
    /* {"id":1,"connect":{}} {"id":2,"ping":{}} {} {"id":3,"rpc":{}} and a command that nobody knows: member 16. */
    one.socket.send(Buffer.from(`${CONNECT}0408025a00000408036a00050804820100`, 'hex'));
    await until('four replies', () => one.heard.length >= 4, 10);
    assert.match(one.heard[0], /^[0-9a-f]{2}08012a/, 'connect: id 1, member 5');
    assert.equal(one.heard[1], '0408026200', 'ping: id 2, member 12, empty');
    assert.equal(one.heard[2], `1508031211086c120d${Buffer.from('not available').toString('hex')}`, 'rpc: id 3, error 108');
    assert.equal(one.heard[3], `180804121408681210${Buffer.from('method not found').toString('hex')}`, 'id 4, error 104');
    await until('a ping, which is an empty message', () => one.heard[4] === '00', 10);
    one.socket.send(Buffer.from('00', 'hex'));
    await sleep(3500);
    assert.equal(one.closed, undefined, 'the pong was understood');
    one.socket.close();
  }));
});

test('what is refused: text on a Protobuf connection, bytes on a JSON one, bytes that are no commands', async () => {
  const before = await all.gateway.metric('qms_gateway_bad_requests_total');
  const cases = ['', 'ff', '0508', 'ffffffffffffffffff7f', '0100', '02080a', `${CONNECT}${CONNECT}`, `${CONNECT}04080a2a05`, '0308012b',
    /* subscribe before connect; a channel that is not UTF-8; data that is not JSON; a zero byte */
    '0f08022a0b0a09646973706c61793a31', `${CONNECT}0808022a040a02c328`, `${CONNECT}0a08022a060a0261004200`, `${CONNECT}0b08022a070a01614202017b`];
  for (const bytes of cases) {
    const one = plain('/connection/websocket', ['centrifuge-protobuf']);
    await one.open();
    one.socket.send(Buffer.from(bytes, 'hex'));
    await until(`closed: ${bytes}`, () => one.closed, 10);
    assert.deepEqual(one.closed, [3501, 'bad request'], bytes);
  }
  const text = plain('/connection/websocket', ['centrifuge-protobuf']);
  await text.open();
  text.socket.send('{"id":1,"connect":{}}');
  await until('closed', () => text.closed, 10);
  assert.deepEqual(text.closed, [3501, 'bad request']);
  assert.equal(await all.gateway.metric('qms_gateway_bad_requests_total'), before + cases.length + 1);
  const bytes = plain('/connection/websocket', []);
  await bytes.open();
  bytes.socket.send(Buffer.from(CONNECT, 'hex'));
  await until('closed', () => bytes.closed, 10);
  assert.equal(bytes.closed[0], 1003);
  const uni = plain(`/connection/uni_websocket?channel=display:${office.id}`, ['centrifuge-protobuf']);
  uni.socket.on('error', () => undefined);
  await until('refused', () => uni.closed, 10);
  assert.equal(uni.closed[0], 400);
});

test('nobody complained', () => {
  assert.deepEqual(cluster.badLines(), []);
  assert.ok(all.gateway.isAlive());
});
