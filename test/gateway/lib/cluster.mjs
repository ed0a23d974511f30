// cluster.mjs: throw-away PostgreSQL servers with qms, on loopback.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);
const PG_CONFIG = process.env.PG_CONFIG || '/usr/lib/postgresql/15/bin/pg_config';

/* Numbers of this size are ids and positions: they are exact in JavaScript. */
pg.types.setTypeParser(20, Number);

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Asks until the answer is true; an error counts as no. */
export async function until(what, ask, seconds = 60) {
  const end = Date.now() + seconds * 1000;
  let last;
  for (;;) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s (${JSON.stringify(last)})`);
    await sleep(50);
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function bindir() {
  return (await run(PG_CONFIG, ['--bindir'])).stdout.trim();
}

export class Cluster {
  static async make(folder, name, settings = []) {
    const self = new Cluster(folder, name, await bindir(), await freePort());
    await run(`${self.bin}/initdb`, ['-D', self.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']);
    self.configure(['shared_preload_libraries = \'qms\'', 'listen_addresses = \'127.0.0.1\'', `unix_socket_directories = '${folder}'`, 'max_connections = 120', 'max_worker_processes = 20',
      'fsync = off', 'jit = off', 'wal_level = replica', 'restart_after_crash = on', 'qms.password_cost = 4', 'log_line_prefix = \'%m [%p] %b \'', ...settings]);
    return self;
  }

  constructor(folder, name, bin, port) {
    Object.assign(this, { folder, name, bin, port, data: path.join(folder, name), log: path.join(folder, `${name}.log`), pools: new Map() });
  }

  configure(settings) {
    fs.appendFileSync(path.join(this.data, 'postgresql.conf'), `${settings.join('\n')}\nport = ${this.port}\n`);
  }

  async start() {
    await run(`${this.bin}/pg_ctl`, ['-D', this.data, '-l', this.log, '-w', '-t', '60', 'start'], { stdio: 'ignore' });
    return this;
  }

  async stop(mode = 'fast') {
    await this.letGo();
    await run(`${this.bin}/pg_ctl`, ['-D', this.data, '-m', mode, '-w', '-t', '60', 'stop']).catch(() => undefined);
  }

  async reload() {
    await run(`${this.bin}/pg_ctl`, ['-D', this.data, 'reload']);
  }

  get postmaster() {
    return Number(fs.readFileSync(path.join(this.data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /* As when the power goes: the postmaster first, and whoever is left, those too that it made meanwhile. */
  async crash() {
    const { postmaster } = this;
    await this.letGo();
    const ours = () => fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).filter((pid) => {
      try {
        return alive(pid) && fs.readlinkSync(`/proc/${pid}/cwd`) === this.data;
      } catch (error) {
        return false;
      }
    });
    process.kill(postmaster, 'SIGKILL');
    await until('the processes of the server end', () => ours().length === 0, 30);
    /* Where nobody waits for orphans, a postmaster that is dead still counts as there. */
    for (const file of [path.join(this.data, 'postmaster.pid'), path.join(this.folder, `.s.PGSQL.${this.port}`), path.join(this.folder, `.s.PGSQL.${this.port}.lock`)]) fs.rmSync(file, { force: true });
  }

  async standby(name) {
    const self = new Cluster(this.folder, name, this.bin, await freePort());
    await run(`${this.bin}/pg_basebackup`, ['-D', self.data, '-h', '127.0.0.1', '-p', String(this.port), '-U', 'postgres', '-R', '-X', 'stream', '-c', 'fast', '--no-sync']);
    self.configure([]);
    return self.start();
  }

  async promote() {
    await run(`${this.bin}/pg_ctl`, ['-D', this.data, '-w', 'promote']);
  }

  address(database, user = 'postgres') {
    return { host: '127.0.0.1', port: this.port, database, user };
  }

  conninfo(database, user) {
    return `host=127.0.0.1 port=${this.port} dbname=${database} user=${user}`;
  }

  pool(database) {
    if (!this.pools.has(database)) {
      const pool = new pg.Pool({ ...this.address(database), max: 4 });
      pool.on('error', () => undefined);
      this.pools.set(database, pool);
    }
    return this.pools.get(database);
  }

  async letGo() {
    const pools = Array.from(this.pools.values());
    this.pools.clear();
    await Promise.all(pools.map((pool) => pool.end().catch(() => undefined)));
  }

  /* Rows of a statement, as the superuser. */
  async ask(sql, values = [], database = 'town') {
    return (await this.pool(database).query(sql, values)).rows;
  }

  async value(sql, values, database) {
    const [row] = await this.ask(sql, values, database);
    return row && Object.values(row)[0];
  }

  /* A session of its own; whoever takes it ends it. */
  async session(database = 'town', user = 'postgres') {
    const client = new pg.Client(this.address(database, user));
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /* Lines of the log that no test may cause. */
  badLines() {
    return fs.readFileSync(this.log, 'utf8').split('\n').filter((line) => /PANIC|TRAP:|terminated by signal (4|6|7|8|11)\b|Sanitizer|invalid memory|could not find|cache lookup/.test(line));
  }
}

export function alive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  /* One that nobody has waited for is none. */
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    return false;
  }
}

export { run, spawn };
