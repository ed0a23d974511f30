// 1,000 clients with random cuts while others write: each is compared with events_since afterwards.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Follower, Truth, caughtUp, client, settle, verify } from './lib/follower.mjs';
import { sleep } from './lib/cluster.mjs';
import { Proxy } from './lib/gateway.mjs';
import { SHORT, setup, teardown } from './lib/setup.mjs';
import { Writer, login } from './lib/town.mjs';

const CLIENTS = Number(process.env.QMS_CLIENTS || 1000);
const SECONDS = Number(process.env.QMS_SECONDS || (SHORT ? 10 : 60));
let all;
let proxy;
let bad = false;

before(async () => {
  all = await setup({ people: { branches: 4, counters: 4 } });
  proxy = await Proxy.make(all.gateway.port);
});
after(async () => {
  if (proxy) await proxy.close();
  await teardown(all, { keep: bad });
});

test(`${CLIENTS} clients, random cuts during ${SECONDS} s of writes, the gateway killed once: no silent hole`, async (t) => {
  const { cluster, town: { branches } } = all;
  bad = true;
  const token = await login(cluster, 'ada');
  const channels = branches.flatMap((one) => [`display:${one.id}`, `staff:${one.id}`]);
  /* Half of them through a proxy that cuts, half cut by themselves. */
  const followers = Array.from({ length: CLIENTS }, (_, i) => new Follower(client(i % 2 ? proxy.socket : all.gateway.socket, { token, timeout: 20000 }), channels[(i >> 1) % channels.length]));
  await Promise.all(followers.map((one) => one.ready()));
  const truths = new Map(channels.map((channel) => [channel, new Truth(cluster, channel)]));
  const writers = branches.map((branch) => new Writer(cluster, branch, branch.counters, 60).start());
  const end = Date.now() + SECONDS * 1000;
  let cuts = 0;
  let killed = false;
  while (Date.now() < end) {
    await sleep(200);
    cuts += proxy.cut(0.04);
    for (const one of followers) {
      if (Math.random() < 0.02) {
        one.centrifuge.cut();
        cuts += 1;
      }
    }
    if (!killed && Date.now() > end - SECONDS * 500) {
      killed = true;
      await all.gateway.end('SIGKILL');
      await all.gateway.start();
    }
  }
  await Promise.all(writers.map((one) => one.stop()));
  await settle(cluster, Array.from(truths.values()));
  assert.equal(await caughtUp(followers, truths, 120), 0, 'all come to the end');
  const holes = followers.map((one) => verify(one, truths.get(one.channel))).filter((wrong) => wrong.length > 0);
  const sum = (name) => followers.reduce((n, one) => n + one[name], 0);
  t.diagnostic(`${cuts} cuts, ${writers.reduce((n, one) => n + one.count, 0)} writes, ${sum('events')} events received, ${sum('recoveries')} recovered, ${sum('losses')} told, ${holes.length} holes`);
  assert.deepEqual(holes.slice(0, 5), []);
  assert.ok(sum('recoveries') > CLIENTS / 2);
  assert.deepEqual(cluster.badLines(), []);
  bad = false;
});
