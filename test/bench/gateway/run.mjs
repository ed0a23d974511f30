// run.mjs: the figures of the gateway, beside a Node broadcaster in the same run, by turns.  See run.sh.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { Cluster, freePort, run, sleep, spawn, until } from '../../gateway/lib/cluster.mjs';
import { Gateway } from '../../gateway/lib/gateway.mjs';
import { town } from '../../gateway/lib/town.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const SHORT = Boolean(process.env.QMS_SHORT);
const SIZES = (process.env.QMS_CLIENTS || (SHORT ? '100,1000' : '100,1000,10000')).split(',').map(Number);
const ROUNDS = Number(process.env.QMS_ROUNDS || (SHORT ? 10 : 30));
const out = [];
const children = [];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'qgb-'));

function note(line) {
  console.log(line);
  out.push(line);
}

/* Nanoseconds that all threads of a process have run. */
function cpu(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    try {
      return sum + Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch (error) {
      return sum;
    }
  }, 0);
}
/* It has done what it had to do: next to nothing since the look before, pings apart. */
async function quiet(pid, seconds = 60) {
  let before = -Infinity;
  await until(`process ${pid} is quiet`, () => {
    const now = cpu(pid);
    const done = now - before < 5e6;
    before = now;
    return done;
  }, seconds);
}
const rss = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
/* What the kernel holds for TCP, in kB. */
const kernel = () => Number(/TCP:.* mem (\d+)/.exec(fs.readFileSync('/proc/net/sockstat', 'utf8'))[1]) * 4;
const sorted = (list) => list.slice().sort((a, b) => a - b);
const at = (list, share) => sorted(list)[Math.min(Math.floor(list.length * share), list.length - 1)];
const median = (list) => at(list, 0.5);
const ms = (us) => (us / 1000).toFixed(us < 10000 ? 2 : 1);
const ratio = (a, b) => (b > 0 ? (a / b).toFixed(2) : '-');

/* Clients of one contender, driven line by line. */
class Load {
  constructor(args) {
    this.child = spawn(path.join(folder, 'load'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(this.child);
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async say(line) {
    this.child.stdin.write(`${line}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the load client ended at "${line}"`);
    return value.split(' ');
  }

  async round(sql) {
    const [, ack, first, last, got] = (await this.say(`round ${sql}`)).map(Number);
    return { ack, first, last, got };
  }

  end() { this.child.stdin.end(); }
}

async function main() {
  const { stdout } = await run(process.env.PG_CONFIG || '/usr/lib/postgresql/15/bin/pg_config', ['--includedir']);
  await run('cc', ['-O2', '-D_GNU_SOURCE', `-I${stdout.trim()}`, ...['load.c', 'client.c', 'commit.c'].map((file) => path.join(here, file)), '-o', path.join(folder, 'load'), '-lpq', '-lpthread']);
  const cluster = await Cluster.make(folder, 'main', ['qms.gateway = off', 'fsync = on', 'wal_sync_method = fdatasync', 'shared_buffers = 256MB', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h']);
  await cluster.start();
  const { branches: [office] } = await town(cluster, { queues: 1, counters: 1 });
  await cluster.ask('CREATE TABLE public.bench (id bigserial PRIMARY KEY, body text)');
  const join = `SELECT FROM qms.join_queue(${office.queues[0]})`;
  const gateway = await Gateway.make(folder, [cluster.conninfo('town', 'gateway')], { 'ping-interval': 25, 'pong-timeout': 10, 'max-connections': 40000, 'max-connections-per-address': 40000, 'history-size': 1000 });
  const nodePort = await freePort();
  const conninfo = cluster.conninfo('town', 'postgres');
  /* A payload as long as the gateway's message. */
  const notify = (size) => `INSERT INTO public.bench (body) VALUES (repeat('x', 100)); SELECT pg_notify('bench', repeat('x', ${size}))`;
  let size = 350;

  const startNode = async () => {
    const child = spawn(process.execPath, [path.join(here, 'broadcaster.mjs'), String(nodePort), `postgres://postgres@127.0.0.1:${cluster.port}/town`], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return child;
  };

  note(`clients  contender  connect/s  kB/conn  first ms  last ms  p99 last  us CPU/msg   (median of ${ROUNDS} rounds by turns; from COMMIT sent)`);
  for (const n of SIZES) {
    await gateway.start();
    await gateway.ready();
    children.push(gateway.child);
    const node = await startNode();
    const who = { qms: { pid: gateway.pid, load: new Load([String(gateway.port), '/connection/websocket', 'centrifuge', `display:${office.id}`, conninfo]) },
      node: { pid: node.pid, load: new Load([String(nodePort), '/', 'plain', '-', conninfo]) } };
    /* One client first: what is loaded once does not count. */
    for (const one of Object.values(who)) {
      await one.load.say('open 1');
      one.rss = rss(one.pid);
      const [, , shaken, all] = (await one.load.say(`open ${n - 1}`)).map(Number);
      one.rate = (n - 1) / (all / 1000);
      one.shaken = (n - 1) / (shaken / 1000);
      await quiet(one.pid);
      one.memory = (rss(one.pid) - one.rss) / (n - 1);
      Object.assign(one, { first: [], last: [], ack: [], cpu: 0 });
    }
    for (const warm of [0, 1, 2]) {
      await who.qms.load.round(join);
      const [, , , before] = (await who.qms.load.say('counts')).map(Number);
      if (warm === 1) await who.qms.load.round(join);
      const [, , , later] = (await who.qms.load.say('counts')).map(Number);
      if (warm === 1) size = Math.round((later - before) / n) - 4;
      await who.node.load.round(notify(size));
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, one] of Object.entries(who)) {
        const began = cpu(one.pid);
        const result = await one.load.round(name === 'qms' ? join : notify(size));
        if (result.got < n) note(`${name}: ${result.got} of ${n} got it`);
        await quiet(one.pid);
        one.cpu += cpu(one.pid) - began;
        for (const key of ['ack', 'first', 'last']) one[key].push(result[key]);
      }
    }
    for (const [name, one] of Object.entries(who)) {
      note([String(n).padStart(7), name.padEnd(9), `${Math.round(one.rate)}`.padStart(10), one.memory.toFixed(1).padStart(8), ms(median(one.first)).padStart(9), ms(median(one.last)).padStart(8), ms(at(one.last, 0.99)).padStart(9), (one.cpu / 1000 / ROUNDS / n).toFixed(2).padStart(11)].join('  '));
    }
    note(`         ratio      ${ratio(who.qms.rate, who.node.rate).padStart(9)} ${ratio(who.qms.memory, who.node.memory).padStart(9)} ${ratio(median(who.qms.first), median(who.node.first)).padStart(10)} ${ratio(median(who.qms.last), median(who.node.last)).padStart(9)} ${ratio(at(who.qms.last, 0.99), at(who.node.last, 0.99)).padStart(10)} ${ratio(who.qms.cpu, who.node.cpu).padStart(12)}`);
    note(`         handshakes alone ${Math.round(who.qms.shaken)}/s and ${Math.round(who.node.shaken)}/s; a message has ${size} bytes; COMMIT acknowledged after ${ms(median(who.qms.ack))} and ${ms(median(who.node.ack))} ms (the Node contender's NOTIFY is in the transaction), the first client ${ms(median(who.qms.first.map((t, i) => t - who.qms.ack[i])))} and ${ms(median(who.node.first.map((t, i) => t - who.node.ack[i])))} ms later`);
    if (n === Math.max(...SIZES)) await idle(who, n, cluster, gateway);
    Object.values(who).forEach((one) => one.load.end());
    node.kill();
    await gateway.end();
  }
  await stopped(cluster, gateway, startNode, { join, notify: notify(size), office, nodePort, conninfo });
  await cluster.stop('immediate');
}

/* Nobody writes: what the heartbeats of so many cost. */
async function idle(who, n, cluster, gateway) {
  const seconds = SHORT ? 30 : 60;
  const sql = () => cluster.value(`SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'gateway' AND query_start > now() - interval '${seconds} s'`);
  for (const one of Object.values(who)) await quiet(one.pid);
  const began = Object.fromEntries(Object.entries(who).map(([name, one]) => [name, cpu(one.pid)]));
  await sleep(seconds * 1000);
  const [q, m] = ['qms', 'node'].map((name) => (cpu(who[name].pid) - began[name]) / 1e7 / seconds);
  const pings = (await who.qms.load.say('counts'))[4];
  note(`idle     ${n} clients with a ping every 25 s, ${seconds} s: ${q.toFixed(2)} % of a core, Node ${m.toFixed(2)} %, ratio ${ratio(q, m)}; ${pings} pings answered; sessions of the gateway with a statement: ${await sql()}; gateway ${Math.round(rss(gateway.pid) / 1024)} MB`);
}

/* 500 that do not read any more, and what that is to others and to the memory. */
async function stopped(cluster, gateway, startNode, { join, notify, office, nodePort, conninfo }) {
  const lazy = 500;
  const busy = 100;
  const events = SHORT ? 5000 : 20000;
  await gateway.start();
  await gateway.ready();
  children.push(gateway.child);
  const node = await startNode();
  const who = { qms: { pid: gateway.pid, sql: join, load: new Load([String(gateway.port), '/connection/websocket', 'centrifuge', `display:${office.id}`, conninfo]),
    many: (n) => `SELECT count(*) FROM generate_series(1, ${n}) g, LATERAL qms.join_queue(${office.queues[0]} + 0 * g)` },
  node: { pid: node.pid, sql: notify, load: new Load([String(nodePort), '/', 'plain', '-', conninfo]), many: (n) => `SELECT pg_notify('bench', g || repeat('x', 350)) FROM generate_series(1, ${n}) g` } };
  for (const [name, one] of Object.entries(who)) {
    await one.load.say(`open ${busy + lazy}`);
    const before = (await one.load.say(`latency ${ROUNDS} ${one.sql}`)).slice(1).map(Number);
    await one.load.say(`stall ${lazy}`);
    const memory = rss(one.pid);
    const tcp = kernel();
    await one.load.say('reset');
    for (let i = 0; i < events / 500; i++) await one.load.say(`write ${one.many(500)}`);
    const [, reached] = (await one.load.say(`wait ${events} 30000`)).map(Number);
    const [, least, most] = (await one.load.say('counts')).map(Number);
    /* Node may be busy for minutes: that is told below. */
    await quiet(one.pid, 5).catch(() => undefined);
    const grown = rss(one.pid) - memory;
    const held = kernel() - tcp;
    /* Somebody who is still busy with the old ones would seem to be ahead of time. */
    const after = least < events && name === 'node' ? null : (await one.load.say(`latency ${ROUNDS} ${one.sql}`)).slice(1).map(Number);
    note(`stopped  ${name}: ${lazy} do not read, ${events} events: memory +${grown} kB (${(grown / lazy).toFixed(1)} kB each), kernel +${held} kB (${(held / lazy).toFixed(0)} kB each); last of the other ${busy}: median ${ms(median(before))} then ${after ? ms(median(after)) : '-'} ms, p99 ${ms(at(before, 0.99))} then ${after ? ms(at(after, 0.99)) : '(still busy after 30 s)'} ms; those who read got ${least} to ${most} messages, ${reached} of them all${name === 'qms' ? ' (a display that is behind gets one snapshot instead)' : ''}`);
    one.load.end();
  }
  const drops = await gateway.metric('qms_gateway_drops_total').catch(() => null);
  note(`         the gateway's counter of drops: ${drops}`);
  node.kill();
  await gateway.end();
}

let rc = 0;
try {
  await main();
} catch (error) {
  console.error(error.stack);
  rc = 1;
} finally {
  children.forEach((child) => child.kill('SIGKILL'));
  for (const f of fs.readdirSync(folder)) {
    if (fs.existsSync(path.join(folder, f, 'postmaster.pid'))) await run(`${(await run(process.env.PG_CONFIG || '/usr/lib/postgresql/15/bin/pg_config', ['--bindir'])).stdout.trim()}/pg_ctl`, ['-D', path.join(folder, f), '-m', 'immediate', 'stop']).catch(() => undefined);
  }
  if (rc === 0) fs.rmSync(folder, { recursive: true, force: true });
  else console.error(`kept for a look: ${folder}`);
}
process.exit(rc);
