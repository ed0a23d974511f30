// 16 write on 4 branches, 20 follow: all events, once, in order; the publisher, the scheduler, sessions of
// writers and the gateway's sessions are ended meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Follower, Truth, caughtUp, client, settle, verify } from './lib/follower.mjs';
import { sleep } from './lib/cluster.mjs';
import { SHORT, setup, teardown } from './lib/setup.mjs';
import { Writer, login } from './lib/town.mjs';

let all;
let bad = false;

before(async () => { all = await setup({ people: { branches: 4, counters: 4 } }); });
after(() => teardown(all, { keep: bad }));

test('16 writers on 4 branches, 20 subscribers, killed workers', async (t) => {
  const { cluster, town: { branches, organization } } = all;
  bad = true;
  const token = await login(cluster, 'ada');
  /* Of each branch: staff twice, display twice, and the whole organization four times. */
  const channels = [...branches.flatMap((one) => [`staff:${one.id}`, `staff:${one.id}`, `display:${one.id}`, `display:${one.id}`]), ...Array(4).fill(`admin:${organization}`)];
  const followers = channels.map((channel) => new Follower(client(all.gateway.socket, { token }), channel));
  assert.equal(followers.length, 20);
  await Promise.all(followers.map((one) => one.ready()));
  const truths = new Map(channels.map((channel) => [channel, new Truth(cluster, channel)]));
  const writers = branches.flatMap((branch) => [0, 1, 2, 3].map((i) => new Writer(cluster, branch, [branch.counters[i]], 15).start()));
  assert.equal(writers.length, 16);
  const end = Date.now() + (SHORT ? 12000 : 60000);
  let kills = 0;
  while (Date.now() < end) {
    await sleep(1000);
    const victims = [`SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'publisher' AND pid > 0 AND database = 'town'`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway' ORDER BY random() LIMIT 1`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND query LIKE '%qms.call_next%' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1`,
      `SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'scheduler' AND pid > 0 AND database = 'town'`];
    await cluster.ask(victims[kills % victims.length]).catch(() => undefined);
    kills += 1;
  }
  await Promise.all(writers.map((one) => one.stop()));
  await settle(cluster, Array.from(truths.values()));
  assert.equal(await caughtUp(followers, truths, 60), 0, 'all come to the end');
  for (const one of followers) assert.deepEqual(verify(one, truths.get(one.channel)), [], one.channel);
  const sum = (name) => followers.reduce((n, one) => n + one[name], 0);
  assert.equal(sum('losses') + sum('resets'), 0, 'and nobody had to start over');
  assert.ok(sum('events') > 1000);
  assert.deepEqual(writers.flatMap((one) => one.errors).slice(0, 3), []);
  assert.deepEqual(cluster.badLines(), []);
  assert.ok(all.gateway.isAlive());
  bad = false;
  t.diagnostic(`${writers.reduce((n, one) => n + one.count, 0)} calls of writers, ${sum('events')} events received, ${kills} killed`);
});
