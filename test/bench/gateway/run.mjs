// run.mjs: the figures of the gateway, beside a Node broadcaster and a bare sender in the same run, by
// turns.  See run.sh.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { Cluster, freePort, run, sleep, spawn, until } from '../../gateway/lib/cluster.mjs';
import { Gateway } from '../../gateway/lib/gateway.mjs';
import { login, town } from '../../gateway/lib/town.mjs';

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
const sorted = (list) => list.slice().sort((a, b) => a - b);
const at = (list, share) => sorted(list)[Math.min(Math.floor(list.length * share), list.length - 1)];
const median = (list) => at(list, 0.5);
const ms = (us) => (us / 1000).toFixed(us < 10000 ? 2 : 1);
const ratio = (a, b) => (b > 0.05 ? (a / b).toFixed(2) : '-');

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

  /* Microseconds from COMMIT sent; "watched" are the last of those whose times are told apart. */
  async round(sql, how = 'round') {
    const [, ack, first, last, watched, got] = (await this.say(`${how} ${sql}`)).map(Number);
    return { ack, first, last, watched, got };
  }

  end() { this.child.stdin.end(); }
}

/* Everything there is, from the server up. */
async function setUp() {
  const { stdout } = await run(process.env.PG_CONFIG || '/usr/lib/postgresql/15/bin/pg_config', ['--includedir']);
  const compile = (name, ...files) => run('cc', ['-O2', '-D_GNU_SOURCE', `-I${stdout.trim()}`, ...files.map((file) => path.join(here, file)), '-o', path.join(folder, name), '-lpq', '-lpthread']);
  await compile('load', 'load.c', 'client.c', 'commit.c', 'memory.c');
  await compile('floor', 'floor.c');
  const cluster = await Cluster.make(folder, 'main', ['qms.gateway = off', 'fsync = on', 'wal_sync_method = fdatasync', 'shared_buffers = 256MB', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h']);
  await cluster.start();
  const { branches: [office] } = await town(cluster, { queues: 1, counters: 1 });
  await cluster.ask('CREATE TABLE public.bench (id bigserial PRIMARY KEY, body text)');
  const gateway = await Gateway.make(folder, [cluster.conninfo('town', 'gateway')], { 'ping-interval': 25, 'pong-timeout': 10, 'max-connections': 40000, 'max-connections-per-address': 40000, 'history-size': 1000 });
  return { cluster, office, gateway, queue: office.queues[0], conninfo: cluster.conninfo('town', 'postgres'), size: 350 };
}

/* A contender that is told by NOTIFY, and sends the payload, which is as long as the gateway's message. */
async function listener(bench, name, program, args) {
  const port = await freePort();
  const child = spawn(program, args(String(port), `bench_${name}`), { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { name, pid: child.pid, load: new Load([String(port), '/', 'plain', '-', bench.conninfo]), end: () => child.kill(),
    sql: () => `INSERT INTO public.bench (body) VALUES (repeat('x', 100)); SELECT pg_notify('bench_${name}', repeat('x', ${bench.size}))`,
    many: (n) => `SELECT pg_notify('bench_${name}', g || repeat('x', ${bench.size - 5})) FROM generate_series(1, ${n}) g` };
}
const node = (bench) => listener(bench, 'node', process.execPath, (port, channel) => [path.join(here, 'broadcaster.mjs'), port, `postgres://postgres@127.0.0.1:${bench.cluster.port}/town`, channel]);
const floor = (bench) => listener(bench, 'floor', path.join(folder, 'floor'), (port, channel) => [port, bench.conninfo, channel]);

/* The gateway, and clients of one of its channels. */
async function qms(bench, channel = `display:${bench.office.id}`) {
  const { gateway, queue } = bench;
  await gateway.start();
  await gateway.ready();
  children.push(gateway.child);
  return { name: 'qms', pid: gateway.pid, load: new Load([String(gateway.port), '/connection/websocket', 'centrifuge', channel, bench.conninfo]), end: () => gateway.end(),
    sql: () => `SELECT FROM qms.join_queue(${queue})`, many: (n) => `SELECT count(*) FROM generate_series(1, ${n}) g, LATERAL qms.join_queue(${queue} + 0 * g)` };
}

async function finish(all) {
  all.forEach((one) => one.load.end());
  for (const one of all) await one.end();
}

/* A message of the gateway has so many bytes: those of the others get as many. */
async function measureSize(bench, one, n) {
  await one.load.round(one.sql());
  const [, , , before] = (await one.load.say('counts')).map(Number);
  await one.load.round(one.sql());
  const [, , , later] = (await one.load.say('counts')).map(Number);
  bench.size = Math.round((later - before) / n) - 4;
}

/* One commit, seen by n. */
async function fanOut(bench, n) {
  const all = [await qms(bench), await node(bench), await floor(bench)];
  const [first, second, third] = all;
  /* One client first: what is loaded once does not count. */
  for (const one of all) {
    await one.load.say('open 1');
    one.rss = rss(one.pid);
    const [, , shaken, whole] = (await one.load.say(`open ${n - 1}`)).map(Number);
    one.rate = (n - 1) / (whole / 1000);
    one.shaken = (n - 1) / (shaken / 1000);
    await quiet(one.pid);
    one.memory = (rss(one.pid) - one.rss) / (n - 1);
    Object.assign(one, { first: [], last: [], ack: [], cpu: 0 });
  }
  await measureSize(bench, first, n);
  for (let warm = 0; warm < 3; warm++) for (const one of all) await one.load.round(one.sql());
  for (let round = 0; round < ROUNDS; round++) {
    for (const one of all) {
      const began = cpu(one.pid);
      const result = await one.load.round(one.sql());
      if (result.got < n) note(`${one.name}: ${result.got} of ${n} got it`);
      await quiet(one.pid);
      one.cpu += cpu(one.pid) - began;
      for (const key of ['ack', 'first', 'last']) one[key].push(result[key]);
    }
  }
  for (const one of all) {
    note([String(n).padStart(7), one.name.padEnd(9), `${Math.round(one.rate)}`.padStart(10), one.memory.toFixed(1).padStart(8), ms(median(one.first)).padStart(9), ms(median(one.last)).padStart(8), ms(at(one.last, 0.99)).padStart(9), (one.cpu / 1000 / ROUNDS / n).toFixed(2).padStart(11)].join('  '));
  }
  for (const other of [second, third]) {
    note(`         qms/${other.name.padEnd(7)} ${ratio(first.rate, other.rate).padStart(7)} ${ratio(first.memory, other.memory).padStart(9)} ${ratio(median(first.first), median(other.first)).padStart(10)} ${ratio(median(first.last), median(other.last)).padStart(9)} ${ratio(at(first.last, 0.99), at(other.last, 0.99)).padStart(10)} ${ratio(first.cpu, other.cpu).padStart(12)}`);
  }
  note(`         handshakes alone ${all.map((one) => Math.round(one.shaken)).join(', ')}/s; a message has ${bench.size} bytes; COMMIT acknowledged after ${all.map((one) => ms(median(one.ack))).join(', ')} ms (the NOTIFY of node and floor is in the transaction), the first client ${all.map((one) => ms(median(one.first.map((t, i) => t - one.ack[i])))).join(', ')} ms later`);
  if (n === Math.max(...SIZES)) await idle(bench, all, n);
  await finish(all);
}

/* Nobody writes: what the heartbeats of so many cost. */
async function idle(bench, all, n) {
  const [first, second] = all;
  const seconds = SHORT ? 30 : 60;
  const sql = () => bench.cluster.value(`SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'gateway' AND query_start > now() - interval '${seconds} s'`);
  for (const one of all) await quiet(one.pid);
  const began = all.map((one) => cpu(one.pid));
  await sleep(seconds * 1000);
  const [q, m] = [first, second].map((one, i) => (cpu(one.pid) - began[i]) / 1e7 / seconds);
  const pings = (await first.load.say('counts'))[4];
  note(`idle     ${n} clients with a ping every 25 s, ${seconds} s: ${q.toFixed(2)} % of a core, Node ${m.toFixed(2)} %, ratio ${ratio(q, m)}; ${pings} pings answered; sessions of the gateway with a statement: ${await sql()}; gateway ${Math.round(rss(first.pid) / 1024)} MB`);
}

/* Displays and consoles among very many phones: when the last of them has it, after COMMIT was acknowledged. */
async function screens(bench, n) {
  const displays = 50;
  const consoles = 10;
  const all = [await qms(bench, `queue:${bench.queue}`), await node(bench)];
  const [first, second] = all;
  await first.load.say(`more ${displays} display:${bench.office.id} -`);
  await first.load.say(`more ${consoles} staff:${bench.office.id} ${await login(bench.cluster, 'bob')}`);
  await second.load.say(`more ${displays + consoles} - -`);
  for (const one of all) {
    await one.load.say(`open ${n}`);
    await quiet(one.pid);
    Object.assign(one, { round: [], chase: [] });
    for (let warm = 0; warm < 3; warm++) await one.load.round(one.sql());
  }
  for (let i = 0; i < ROUNDS * 3; i++) {
    for (const how of ['round', 'chase']) {
      for (const one of all) {
        const result = await one.load.round(one.sql(), how);
        if (result.got < n + displays + consoles) note(`${one.name}: only ${result.got} got it`);
        one[how].push(result.watched - result.ack);
        await quiet(one.pid);
      }
    }
  }
  for (const [how, what] of [['round', 'nothing else going on'], ['chase', 'while a fifth of the phones have the commit before']]) {
    const figure = (share) => all.map((one) => at(one[how], share));
    const [[q50, m50], [q99, m99]] = [figure(0.5), figure(0.99)];
    note(`screens  ${displays} displays and ${consoles} consoles at random places among ${n} phones, ${what}: the last has it ${ms(q50)} ms (p99 ${ms(q99)}) after COMMIT was acknowledged, Node's ${ms(m50)} (${ms(m99)}), ratio ${ratio(q50, m50)} (${ratio(q99, m99)}); ${ROUNDS * 3} rounds`);
  }
  await finish(all);
}

/* 500 that do not read any more, and what that is to others and to the memory. */
async function stopped(bench, one) {
  const lazy = 500;
  const busy = 100;
  const events = SHORT ? 5000 : 20000;
  const seen = { all: [], stopped: [], alone: [] };
  const spent = { all: 0, stopped: 0, alone: 0 };
  const measure = async (which) => {
    const began = cpu(one.pid);
    for (let i = 0; i < ROUNDS * 3; i++) seen[which].push((await one.load.round(one.sql())).watched);
    spent[which] += cpu(one.pid) - began;
  };
  const flood = async (n) => {
    await one.load.say('reset');
    for (let i = 0; i < n / 500; i++) await one.load.say(`write ${one.many(500)}`);
    return one.load.say(`wait ${n} 30000`);
  };
  let first;
  /* History and the line of people are full before anybody stops, so that they are the same for all that is compared. */
  await one.load.say(`more ${busy} ${one.name === 'qms' ? `display:${bench.office.id}` : '-'} -`);
  await one.load.say('open 0');
  const empty = rss(one.pid);
  await flood(events);
  await quiet(one.pid);
  const history = rss(one.pid) - empty;
  for (let turn = 0; turn < 3; turn++) {
    await one.load.say(`open ${lazy}`);
    await quiet(one.pid);
    await measure('all');
    await one.load.say('stall');
    const before = rss(one.pid);
    const [, reached, how] = await flood(turn === 0 ? events : 2000);
    const [, least, most] = (await one.load.say('counts')).map(Number);
    /* Node may be busy for minutes: that is told below. */
    await quiet(one.pid, 5).catch(() => undefined);
    if (turn === 0) {
      const [, left, own, , theirs, theirMost] = (await one.load.say('memory')).map(Number);
      const grown = rss(one.pid) - before;
      first = `memory +${grown} kB (${(grown / lazy).toFixed(1)} kB each; the history before that +${history} kB); the kernel holds ${(theirs / 1024).toFixed(0)} kB for the ${one.name} end of each (at most ${(theirMost / 1024).toFixed(0)}) and ${(own / 1024).toFixed(0)} kB for the end that does not read, ${left} still connected; those who read got ${least} to ${most} messages, ${reached} of ${busy} all${one.name === 'qms' ? ' (a display that is far behind gets one snapshot instead)' : ''}`;
    }
    /* Somebody who is still busy with the old ones would seem to be ahead of time. */
    if (how === 'busy') break;
    await measure('stopped');
    await one.load.say('drop');
    await quiet(one.pid);
    await measure('alone');
  }
  const told = (which) => (seen[which].length > 0 ? `${ms(median(seen[which]))} ms (p99 ${ms(at(seen[which], 0.99))}, ${(spent[which] / 1000 / seen[which].length).toFixed(0)} us CPU a commit)` : '- (still busy with the old ones after 30 s)');
  note(`stopped  ${one.name}: ${lazy} of ${lazy + busy} do not read, ${events} events: ${first}`);
  note(`         the last of the ${busy} that read: ${told('stopped')}; alone ${told('alone')}; beside ${lazy} that read too ${told('all')}; ${seen.all.length} rounds each`);
  await finish([one]);
}

async function main() {
  const bench = await setUp();
  const parts = (process.env.QMS_PARTS || 'fan-out,screens,stopped,stopped-node').split(',');
  if (parts.includes('fan-out')) {
    note(`clients  contender  connect/s  kB/conn  first ms  last ms  p99 last  us CPU/msg   (median of ${ROUNDS} rounds by turns; from COMMIT sent)`);
    for (const n of SIZES) await fanOut(bench, n);
  }
  if (parts.includes('screens')) await screens(bench, Math.max(...SIZES));
  if (parts.includes('stopped')) await stopped(bench, await qms(bench));
  if (parts.includes('stopped-node')) await stopped(bench, await node(bench));
  await bench.cluster.stop('immediate');
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
