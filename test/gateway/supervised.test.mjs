// Without any set-up: the server keeps the gateway running.  Two databases behind one port, by host name;
// the program crashes, the server reloads and restarts.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { Cluster, alive, freePort, sleep, until } from './lib/cluster.mjs';
import { Follower, client, goHome } from './lib/follower.mjs';

let folder;
let cluster;
let port;
const office = {};
let bad = true;

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'qg-'));
  port = await freePort();
  cluster = await Cluster.make(folder, 'main', [`qms.gateway_listen = '127.0.0.1:${port}'`, 'qms.gateway_hosts = \'north.example=north, south.example=south\'', 'qms.gateway_ping_interval = 5']);
  await cluster.start();
  for (const name of ['north', 'south']) {
    await cluster.ask(`CREATE DATABASE ${name}`, [], 'postgres');
    await cluster.ask('CREATE EXTENSION qms', [], name);
    const organization = await cluster.value('SELECT organization_id FROM qms.create_organization($1, $2)', [name, name], name);
    const branch = await cluster.value('SELECT branch_id FROM qms.create_branch($1, $2, slug => \'hall\')', [organization, `Hall of ${name}`], name);
    office[name] = { branch, queue: await cluster.value('SELECT queue_id FROM qms.create_queue(\'Q\', $1)', [branch], name) };
  }
  await until('it listens', async () => (await status()).state === 'listening', 30);
});
after(async () => {
  goHome();
  if (cluster) await cluster.stop('immediate');
  if (bad) console.log(`kept for a look: ${folder}`);
  else fs.rmSync(folder, { recursive: true, force: true });
});

const status = async () => (await cluster.ask('SELECT * FROM qms.gateway_status WHERE name = \'local\'', [], 'north'))[0];
const join = (name) => cluster.value('SELECT number::text FROM qms.join_queue($1)', [office[name].queue], name);

/* As a browser that asks for a host name; the address is this machine's all the same. */
function follow(name, channel = `display:${office[name].branch}`) {
  const made = client(`ws://127.0.0.1:${port}/connection/websocket`);
  const Plain = made._config.websocket;
  made._config.websocket = class extends Plain {
    constructor(url) {
      super(url, undefined, { headers: { host: `${name}.example` } });
    }
  };
  return new Follower(made, channel);
}

test('two databases, two host names, one port: nobody sees the other', async () => {
  assert.equal(office.north.branch, office.south.branch, 'the same number in both');
  const followers = { north: follow('north'), south: follow('south') };
  await Promise.all(Object.values(followers).map((one) => one.ready()));
  for (const name of ['north', 'south']) assert.equal(followers[name].data.branch.name, `Hall of ${name}`);
  await join('north');
  await until('north has it', () => followers.north.events === 1, 10);
  await sleep(300);
  assert.equal(followers.south.events, 0);
  await join('south');
  await until('south has it', () => followers.south.events === 1, 10);
  assert.equal(followers.north.events, 1);
  const strange = follow('north', 'display:south/hall');
  await until('unknown there', () => strange.news.some(([what, code]) => what === 'unsubscribed' && code === 102), 10);
  goHome();
});

for (const signal of ['SIGSEGV', 'SIGKILL', 'SIGTERM']) {
  test(`the program ends by ${signal}: SQL sessions live on, clients miss nothing`, async (t) => {
    const session = await cluster.session('north');
    await session.query('BEGIN');
    const one = follow('north');
    await one.ready();
    const { pid, restarts } = await status();
    const began = Date.now();
    process.kill(pid, signal);
    await until('it is gone', () => !alive(pid), 10);
    const number = await join('north');
    await until('he has what happened meanwhile', () => one.last && one.last.number === number, 30);
    t.diagnostic(`${Date.now() - began} ms until the client had the event again`);
    assert.equal(one.recoveries, 1);
    assert.equal(one.losses, 0);
    assert.deepEqual((await session.query('SELECT 1 AS one')).rows, [{ one: 1 }], 'the transaction is still there');
    await session.query('COMMIT');
    await session.end();
    const now = await status();
    assert.notEqual(now.pid, pid);
    assert.equal(now.restarts, restarts + 1);
    goHome();
  });
}

test('a reload with another limit closes no connection', async () => {
  const one = follow('south');
  await one.ready();
  const { pid } = await status();
  fs.appendFileSync(path.join(cluster.data, 'postgresql.conf'), 'qms.gateway_max_subscriptions = 7\n');
  await cluster.reload();
  await sleep(1000);
  assert.equal((await status()).pid, pid);
  assert.equal(one.centrifuge.seen.filter(([name]) => name === 'connected').length, 1);
  goHome();
});

test('the server restarts: the gateway ends and comes with it, clients recover', async () => {
  const one = follow('north');
  await one.ready();
  const { pid } = await status();
  await cluster.stop();
  await until('it has ended', () => !alive(pid), 10);
  await cluster.start();
  const number = await join('north');
  await until('he has it', () => one.last && one.last.number === number, 60);
  assert.deepEqual(one.wrong, []);
  goHome();
});

test('the postmaster is killed: the gateway is gone at once', async () => {
  await until('it listens', async () => (await status()).state === 'listening', 30);
  const { pid } = await status();
  const began = Date.now();
  await cluster.crash();
  await until('it has ended', () => !alive(pid), 5);
  assert.ok(Date.now() - began < 5000);
  await cluster.start();
  await until('it listens again', async () => (await status()).state === 'listening', 60);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.terminate();
  bad = false;
});
