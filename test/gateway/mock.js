/*
 * mock.js
 *   A stand-in for the gateway: pages, and as much of the Centrifuge protocol (JSON) as the display
 *   needs, with snapshots and events that a test makes up.  For what the page looks like; whether
 *   the real gateway is right is tested with the real gateway.
 *
 *   node mock.js [PORT]     a lively branch at http://127.0.0.1:PORT/display/1
 */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';

const PAGES = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../src/web');
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8' };
/* As strict as the gateway's. */
const POLICY = "default-src 'self'; connect-src 'self' ws: wss:";

export class Mock {
  constructor() {
    this.epoch = 'mock1';
    this.position = 100;
    this.channels = new Map();
    this.clients = new Set();
    this.isDeaf = false;
    this.http = http.createServer((request, response) => this.page(request, response));
    this.sockets = new WebSocketServer({ noServer: true });
    this.http.on('upgrade', (request, socket, head) => {
      if (this.isDeaf) return socket.destroy();
      return this.sockets.handleUpgrade(request, socket, head, (ws) => this.open(ws));
    });
  }

  listen(port = 0) {
    return new Promise((resolve) => this.http.listen(port, '127.0.0.1', () => {
      this.port = this.http.address().port;
      this.url = `http://127.0.0.1:${this.port}`;
      resolve(this);
    }));
  }

  close() {
    for (const client of this.clients) client.ws.terminate();
    return new Promise((resolve) => {
      this.http.closeAllConnections();
      this.http.close(resolve);
    });
  }

  page(request, response) {
    const name = new URL(request.url, 'http://x').pathname;
    const file = path.join(PAGES, name.startsWith('/display/') ? 'display.html' : path.basename(name));
    if (!fs.existsSync(file) || !TYPES[path.extname(file)]) return response.writeHead(404).end();
    const body = fs.readFileSync(file);
    response.writeHead(200, { 'content-type': TYPES[path.extname(file)], 'content-security-policy': POLICY, etag: `"${body.length}"`, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
    return response.end(request.method === 'HEAD' ? undefined : body);
  }

  /* What a channel shows, under as many names as it has. */
  set(names, snapshot) {
    const channel = { snapshot, ring: [] };
    for (const name of [].concat(names)) this.channels.set(name, channel);
    return channel;
  }

  body(channel) {
    return { ...channel.snapshot, v: 1, kind: 'snapshot', position: this.position, epoch: this.epoch };
  }

  open(ws) {
    const client = { ws, channels: new Set() };
    this.clients.add(client);
    ws.on('message', (data) => {
      const replies = String(data).split('\n').filter(Boolean).map((line) => this.command(client, JSON.parse(line))).filter(Boolean);
      if (replies.length > 0) ws.send(replies.map((reply) => JSON.stringify(reply)).join('\n'));
    });
    ws.on('close', () => this.clients.delete(client));
  }

  command(client, command) {
    const answer = (what) => ({ id: command.id, ...what });
    if (command.connect) return answer({ connect: { client: 'mock', version: 'mock', ping: 25, pong: true } });
    if (command.unsubscribe) {
      client.channels.delete(command.unsubscribe.channel);
      return answer({ unsubscribe: {} });
    }
    if (!command.subscribe) return command.id ? answer({ error: { code: 108, message: 'not available' } }) : null;
    const { channel: name, recover, offset = 0, epoch } = command.subscribe;
    const channel = this.channels.get(name);
    if (!channel) return answer({ error: { code: 102, message: 'unknown channel' } });
    if (channel.error) return answer({ error: channel.error });
    client.channels.add(name);
    const recovered = Boolean(recover) && epoch === this.epoch && !channel.forgetful;
    return answer({ subscribe: {
      recoverable: true, positioned: true, epoch: this.epoch, offset: this.position, was_recovering: Boolean(recover), recovered,
      ...(recovered ? { publications: channel.ring.filter((one) => one.offset > offset) } : { data: this.body(channel) }) } });
  }

  send(client, what) {
    client.ws.send(JSON.stringify(what));
  }

  /* An event on every name of a channel. */
  publish(name, event) {
    this.position += 1;
    const channel = this.channels.get(name);
    const queue = (channel.snapshot.queues || []).find((one) => one.queue_id === event.queue_id);
    const figures = queue && { waiting: queue.waiting, waiting_exact: queue.waiting_exact, wait_p50: queue.wait_p50, status: queue.status };
    const pub = { offset: this.position, data: { v: 1, position: this.position, epoch: this.epoch, at: new Date().toISOString(), ...(figures ? { data: figures } : {}), ...event } };
    channel.ring.push(pub);
    for (const client of this.clients) {
      for (const other of client.channels) if (this.channels.get(other) === channel) this.send(client, { push: { channel: other, pub } });
    }
    return this.position;
  }

  /* All connections are gone; deaf: and nobody comes back. */
  cut(isDeaf = false) {
    this.isDeaf = isDeaf;
    for (const client of this.clients) client.ws.terminate();
  }

  /* As after a promotion: a new epoch, and whoever has subscribed is told to start over. */
  newEpoch(epoch) {
    this.epoch = epoch;
    for (const client of this.clients) {
      for (const channel of client.channels) this.send(client, { push: { channel, unsubscribe: { code: 2500, reason: 'insufficient state' } } });
      client.channels.clear();
    }
  }
}

const minutesAgo = (n) => new Date(Date.now() - n * 60000).toISOString();

/* A town office as the demo has it; options make it fuller, longer, or empty. */
export function office(change = {}) {
  const counters = [1, 2, 3, 4].map((n) => ({ counter_id: n, name: `Counter ${n}`, names: { de: `Schalter ${n}`, ar: `شباك ${n}` }, zone_id: n < 3 ? 1 : 2 }));
  const queues = [
    { queue_id: 1, slug: 'papers', name: 'Citizen services', names: { de: 'Bürgerservice', ar: 'خدمات المواطنين' }, prefix: 'A', status: 'open', waiting: 12, waiting_exact: true, wait_p50: 1080 },
    { queue_id: 2, slug: 'vehicles', name: 'Vehicle registration', names: { de: 'Kfz-Zulassung', ar: 'تسجيل المركبات' }, prefix: 'B', status: 'open', waiting: 4, waiting_exact: true, wait_p50: 'PT7M10S' },
    { queue_id: 3, slug: 'marriage', name: 'Registry office', names: { de: 'Standesamt', ar: 'السجل المدني' }, prefix: 'C', status: 'paused', waiting: 1, waiting_exact: true, wait_p50: null },
    { queue_id: 4, slug: 'cash', name: 'Cash desk', names: { de: 'Kasse', ar: 'الصندوق' }, prefix: 'K', status: 'closed', waiting: 0, waiting_exact: true, wait_p50: null },
  ];
  const serving = [
    { number: 'A024', counter_id: 3, counter_name: 'Counter 3', zone_id: 2, queue_id: 1, state: 'called', called_at: minutesAgo(0.2), recalls: 0 },
    { number: 'B007', counter_id: 4, counter_name: 'Counter 4', zone_id: 2, queue_id: 2, state: 'called', called_at: minutesAgo(1.5), recalls: 1 },
    { number: 'A022', counter_id: 1, counter_name: 'Counter 1', zone_id: 1, queue_id: 1, state: 'serving', called_at: minutesAgo(4), recalls: 0 },
  ];
  return {
    branch: { branch_id: 1, slug: 'citizens', name: 'Citizens\' office', names: { de: 'Bürgeramt', ar: 'مكتب المواطنين' }, organization_name: 'City of Auenfeld', organization_names: { de: 'Stadt Auenfeld', ar: 'مدينة أوينفيلد' }, time_zone: 'Europe/Berlin' },
    zones: [{ zone_id: 1, name: 'Ground floor', names: { de: 'Erdgeschoss', ar: 'الطابق الأرضي' } }, { zone_id: 2, name: 'Upper floor', names: { de: 'Obergeschoss', ar: 'الطابق العلوي' } }],
    counters, queues, now_serving: serving,
    last_called: serving.map((one) => ({ ...one })).concat(['A023', 'A021', 'B006', 'A020', 'A019', 'B005', 'A018'].map((number, i) => ({
      number, counter_id: i % 4 + 1, counter_name: `Counter ${i % 4 + 1}`, zone_id: i % 4 < 2 ? 1 : 2, queue_id: number[0] === 'A' ? 1 : 2, called_at: minutesAgo(5 + 3 * i) }))),
    notices: [], ...change,
  };
}

/* A lively branch, until somebody ends it. */
async function live(port) {
  const mock = await new Mock().listen(port);
  mock.set(['display:1', 'display:auenfeld/citizens', 'display:1:2'], office());
  let n = 24;
  setInterval(() => {
    const counter = 1 + Math.floor(Math.random() * 4);
    n += 1;
    const number = `A${String(n).padStart(3, '0')}`;
    const at = { counter_id: counter, counter_name: `Counter ${counter}`, zone_id: counter < 3 ? 1 : 2, queue_id: 1, number };
    mock.publish('display:1', { kind: 'ticket.called', state: 'called', ...at, data: { waiting: Math.floor(Math.random() * 20), waiting_exact: true, wait_p50: Math.random() * 3000, status: 'open' } });
    setTimeout(() => mock.publish('display:1', { kind: 'ticket.serving', state: 'serving', ...at }), 4000);
  }, 5000);
  console.log(`${mock.url}/display/1`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) live(Number(process.argv[2] || 8090));
