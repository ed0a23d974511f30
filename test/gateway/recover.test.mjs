// Whatever happens to clients, gateway and servers: everybody has every event once and in order, or is
// told that he has not (recovered: false) and has a snapshot.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Follower, Truth, caughtUp, client, settle, verify } from './lib/follower.mjs';
import { Proxy } from './lib/gateway.mjs';
import { sleep, until } from './lib/cluster.mjs';
import { setup, teardown } from './lib/setup.mjs';
import { Writer, login } from './lib/town.mjs';

let all;
let proxy;
let office;
let token;
let primary;
const others = [];
const failed = [];

before(async () => {
  all = await setup({ people: { counters: 4 }, settings: ['max_wal_senders = 5'] });
  primary = all.cluster;
  [office] = all.town.branches;
  token = await login(primary, 'ada');
  proxy = await Proxy.make(all.gateway.port);
});
after(async () => {
  if (proxy) await proxy.close();
  await teardown(all, { clusters: others, keep: failed.length > 0 });
});

/*
 * Twelve follow while two write and something happens.  Answers how often they recovered and how often
 * they were told that they could not.
 */
async function through(what, event, { seconds = 3 } = {}) {
  const channels = [`staff:${office.id}`, `display:${office.id}`, `queue:${office.queues[0]}`, `admin:${all.town.organization}`];
  const truths = new Map(channels.map((channel) => [channel, new Truth(() => primary, channel)]));
  const followers = Array.from({ length: 12 }, (_, i) => new Follower(client(proxy.socket, { token }), channels[i % 4]));
  const writers = [];
  const reader = { stopped: false };
  try {
    await Promise.all(followers.map((one) => one.ready()));
    for (const truth of truths.values()) await truth.read();
    writers.push(...[0, 1].map((i) => new Writer(() => primary, office, office.counters.slice(2 * i, 2 * i + 2), 10).start()));
    reader.running = (async () => {
      while (!reader.stopped) {
        for (const truth of truths.values()) await truth.read().catch(() => undefined);
        await sleep(50);
      }
    })();
    await sleep(seconds * 500);
    await event();
    await sleep(seconds * 500);
    await until('somebody writes again', async () => (await primary.value('SELECT 1')) === 1, 60);
    await Promise.all(writers.map((one) => one.stop()));
    reader.stopped = true;
    await reader.running;
    await settle(primary, Array.from(truths.values()));
    assert.equal(await caughtUp(followers, truths, 60), 0, `${what}: all come to the end`);
    /* What somebody was told did happen, even if a crash has taken its position back. */
    for (const one of followers) {
      for (const segment of one.segments) {
        for (const [position, mark] of segment.events) if (segment.epoch !== truths.get(one.channel).epoch) truths.get(one.channel).add(segment.epoch, position, mark);
      }
    }
    for (const truth of truths.values()) assert.deepEqual(truth.wrong, [], `${what}: a position names one event`);
    for (const one of followers) assert.deepEqual(verify(one, truths.get(one.channel)), [], `${what}: ${one.channel}`);
    for (const writer of writers) {
      assert.deepEqual(writer.errors.slice(0, 3), []);
      assert.ok(writer.count > 0);
    }
    const sum = (name) => followers.reduce((n, one) => n + one[name], 0);
    return { events: sum('events'), recoveries: sum('recoveries'), losses: sum('losses'), resets: sum('resets'), followers };
  } catch (error) {
    failed.push(what);
    throw error;
  } finally {
    reader.stopped = true;
    writers.forEach((one) => { one.stopped = true; });
    followers.forEach((one) => one.centrifuge.disconnect());
  }
}

test('cut connections: all recover', async (t) => {
  const result = await through('cut', async () => {
    for (let i = 0; i < 5; i++) {
      assert.ok(proxy.cut() > 0);
      await sleep(300);
    }
  });
  assert.ok(result.recoveries >= 12 && result.losses === 0, JSON.stringify({ ...result, followers: 0 }));
  t.diagnostic(`${result.events} events, ${result.recoveries} recoveries`);
});

for (const [signal, expected] of [['SIGTERM', 0], ['SIGKILL', 'SIGKILL'], ['SIGSEGV', 'SIGSEGV']]) {
  test(`the gateway ends by ${signal} and is started again: all recover, no SQL session notices`, async (t) => {
    const session = await primary.session();
    const { rows: [{ pid }] } = await session.query('SELECT pg_backend_pid() AS pid');
    let reasons = [];
    const result = await through(signal, async () => {
      assert.equal(await all.gateway.end(signal), expected);
      await sleep(500);
      await all.gateway.start();
      await all.gateway.ready();
    });
    reasons = result.followers.map((one) => one.centrifuge.seen.find(([name, code]) => name === 'connecting' && code > 1));
    if (signal === 'SIGTERM') assert.ok(reasons.every((seen) => seen && seen[1] === 3001), `told "shutdown": ${JSON.stringify(reasons[0])}`);
    assert.ok(result.recoveries >= 12 && result.losses === 0, JSON.stringify({ ...result, followers: 0 }));
    assert.equal((await session.query('SELECT pg_backend_pid() AS pid')).rows[0].pid, pid);
    await session.end();
    t.diagnostic(`${result.events} events, ${result.recoveries} recoveries`);
  });
}

test('the server restarts: clients keep their connections, and all is there', async (t) => {
  let cut = 0;
  const result = await through('restart', async () => {
    await primary.stop('fast');
    await sleep(500);
    await primary.start();
  }, { seconds: 4 });
  cut = result.followers.filter((one) => one.centrifuge.seen.filter(([name]) => name === 'connected').length > 1).length;
  assert.equal(cut, 0, 'no connection was closed for that');
  assert.ok(all.gateway.isAlive());
  t.diagnostic(`${result.events} events, ${result.recoveries} recoveries, ${result.losses} told`);
});

test('a session of the server crashes: the server starts over', async (t) => {
  const result = await through('backend crash', async () => {
    const session = await primary.session();
    const { rows: [{ pid }] } = await session.query('SELECT pg_backend_pid() AS pid');
    process.kill(pid, 'SIGKILL');
    await until('the server is back', () => primary.value('SELECT 1'), 60);
  }, { seconds: 4 });
  t.diagnostic(`${result.events} events, ${result.recoveries} recoveries, ${result.losses} told`);
});

test('the server crashes (kill -9 of the postmaster): a new epoch, and all are told', async (t) => {
  const epoch = await primary.value('SELECT epoch FROM qms.stream_position()');
  const result = await through('crash', async () => {
    await primary.crash();
    await primary.start();
  }, { seconds: 4 });
  assert.notEqual(await primary.value('SELECT epoch FROM qms.stream_position()'), epoch);
  assert.ok(result.losses + result.resets >= 12, `all were told: ${JSON.stringify({ ...result, followers: 0 })}`);
  assert.ok(all.gateway.isAlive());
  t.diagnostic(`${result.events} events, ${result.recoveries} recoveries, ${result.losses} told`);
});

test('a standby is promoted: the gateway finds it, and all are told', async (t) => {
  const standby = await primary.standby('standby');
  others.push(standby);
  all.gateway.databases = [`host=127.0.0.1,127.0.0.1 port=${primary.port},${standby.port} dbname=town user=gateway target_session_attrs=read-write connect_timeout=2`];
  await all.gateway.end();
  await all.gateway.start();
  await all.gateway.ready();
  const old = primary;
  const result = await through('promotion', async () => {
    await until('the standby has all', async () => (await old.value('SELECT count(*)::int FROM pg_stat_replication WHERE replay_lag IS NULL OR replay_lag < interval \'1 s\'')) > 0, 30);
    await old.crash();
    await standby.promote();
    primary = standby;
  }, { seconds: 4 });
  assert.ok(result.losses + result.resets >= 12, `all were told: ${JSON.stringify({ ...result, followers: 0 })}`);
  assert.ok(all.gateway.isAlive());
  t.diagnostic(`${result.events} events, ${result.recoveries} recoveries, ${result.losses} told`);
});

test('nobody complained', () => {
  assert.deepEqual(primary.badLines(), []);
});
