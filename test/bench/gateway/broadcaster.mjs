// broadcaster.mjs: the least that pushes what NOTIFY says to WebSocket clients, with `ws` and `pg`: what
// the gateway is compared with.  PORT, connection string, channel.
import pg from 'pg';
import { WebSocketServer } from 'ws';

const [port, conninfo, channel] = process.argv.slice(2);
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false, backlog: 4096 });
const database = new pg.Client(conninfo);
await database.connect();
database.on('notification', ({ payload }) => {
  for (const client of server.clients) client.send(payload);
});
await database.query(`LISTEN ${channel}`);
/* As the gateway: a ping to each every 25 seconds. */
setInterval(() => server.clients.forEach((client) => client.ping()), 25000);
console.log('ready');
