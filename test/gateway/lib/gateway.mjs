// gateway.mjs: the program qms_gateway as somebody starts it by hand, and a proxy in front of it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { alive, bindir, freePort, sleep, until } from './cluster.mjs';

const pages = path.join(path.dirname(new URL(import.meta.url).pathname), '../../../src/web');

export class Gateway {
  /* databases: connection strings; options: more settings by name. */
  static async make(folder, databases, options = {}) {
    const self = new Gateway();
    Object.assign(self, { folder, databases, port: await freePort(), log: path.join(folder, 'gateway.log'), program: process.env.QMS_GATEWAY || `${await bindir()}/qms_gateway`,
      options: { pages, 'max-connections-per-address': 20000, 'max-commands-per-second': 1000, 'ping-interval': 5, 'pong-timeout': 3, 'history-size': 5000, ...options }, starts: 0 });
    return self;
  }

  get url() { return `http://127.0.0.1:${this.port}`; }
  get socket() { return `ws://127.0.0.1:${this.port}/connection/websocket`; }
  get pid() { return this.child ? this.child.pid : 0; }

  async start() {
    const flags = [`--listen=127.0.0.1:${this.port}`, ...this.databases.map((one) => `--database=${one}`), ...Object.entries(this.options).map(([name, value]) => `--${name}=${value}`)];
    const log = fs.openSync(this.log, 'a');
    this.child = spawn(this.program, flags, { stdio: ['ignore', log, log] });
    fs.closeSync(log);
    this.starts += 1;
    const own = this.child;
    own.ended = new Promise((resolve) => {
      own.on('error', (error) => resolve(error.message));
      own.on('exit', (code, signal) => resolve(signal || code));
    });
    own.ended.then((how) => { own.how = how; });
    await until('the gateway listens', () => {
      if (own.how !== undefined) throw new Error(`it ended: ${own.how}\n${this.tail()}`);
      return fetch(`${this.url}/healthz`).then((answer) => answer.ok);
    }, 20);
    return this;
  }

  ready(seconds = 30) {
    return until('the gateway is ready', () => fetch(`${this.url}/readyz`).then((answer) => answer.ok), seconds);
  }

  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const values = text.split('\n').filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length])).map((line) => Number(line.split(' ').pop()));
    return values.length > 0 ? values.reduce((all, one) => all + one, 0) : null;
  }

  /* Ends it with a signal, and tells how it ended. */
  async end(signal = 'SIGTERM', seconds = 10) {
    if (!this.child || this.child.how !== undefined) return this.child && this.child.how;
    this.child.kill(signal);
    const how = await Promise.race([this.child.ended, sleep(seconds * 1000).then(() => 'alive')]);
    if (how === 'alive') this.child.kill('SIGKILL');
    return how;
  }

  isAlive() { return this.child !== undefined && this.child.how === undefined && alive(this.child.pid); }

  tail(lines = 20) {
    return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8').trim().split('\n').slice(-lines).join('\n') : '';
  }

  rss() {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]);
  }
}

/* Between clients and a port: cuts connections, all or some. */
export class Proxy {
  static async make(port) {
    const self = new Proxy();
    self.pairs = new Set();
    self.isDeaf = false;
    self.server = net.createServer((near) => {
      if (self.isDeaf) return near.destroy();
      const far = net.connect(port, '127.0.0.1');
      const pair = { near, far };
      self.pairs.add(pair);
      const end = () => {
        near.destroy();
        far.destroy();
        self.pairs.delete(pair);
      };
      for (const side of [near, far]) side.on('error', end).on('close', end).setNoDelay(true);
      near.pipe(far);
      return far.pipe(near);
    });
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.port = self.server.address().port;
    return self;
  }

  get socket() { return `ws://127.0.0.1:${this.port}/connection/websocket`; }

  /* A share of the connections is gone, without a word. */
  cut(share = 1) {
    let n = 0;
    for (const { near, far } of Array.from(this.pairs)) {
      if (Math.random() >= share) continue;
      near.destroy();
      far.destroy();
      n += 1;
    }
    return n;
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
