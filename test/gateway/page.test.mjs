// The display in Chromium before a real gateway and server: it shows what happens, and comes back from
// everything that can happen to either.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, shown, until as shows } from './browser.mjs';
import { Follower, client } from './lib/follower.mjs';
import { sleep, until } from './lib/cluster.mjs';
import { setup, teardown } from './lib/setup.mjs';
import { Writer } from './lib/town.mjs';

let all;
let browser;
let cluster;
let office;
let page;

before(async () => {
  all = await setup({ people: { counters: 6 } });
  cluster = all.cluster;
  [office] = all.town.branches;
  browser = await launch({ sound: true });
});
after(async () => {
  if (browser) await browser.close();
  await teardown(all);
});

const join = (queue = office.queues[0]) => cluster.value('SELECT number::text FROM qms.join_queue($1)', [queue]);
const call = (counter) => cluster.value('SELECT number::text FROM qms.call_next($1, finish_current => \'completed\')', [counter]);

/* What the page has made of events, against what a newcomer is shown. */
async function asNew() {
  /* One snapshot serves everybody who comes within a second. */
  await sleep(1300);
  const one = new Follower(client(all.gateway.socket), `display:${office.id}`);
  try {
    await one.ready();
    /* Somebody may still be on the way to both. */
    return await until('the page is as a new one', async () => {
      const state = await page.evaluate(() => JSON.parse(JSON.stringify(window.qms.state)));
      if (state.epoch !== one.epoch || state.position < one.data.position) return false;
      const brief = (calls) => calls.map((each) => `${each.number} ${each.counter_id} ${each.state || ''}`).sort();
      assert.deepEqual(brief(state.calls), brief(one.data.now_serving));
      const shown = (calls) => calls.slice(0, 10).map((each) => `${each.number} ${each.counter_id}`);
      assert.deepEqual(shown(state.last), shown(one.data.last_called));
      assert.deepEqual(state.queues.map((each) => `${each.id} ${each.waiting} ${each.status}`), one.data.queues.map((each) => `${each.queue_id} ${each.waiting} ${each.status}`));
      return true;
    }, 15);
  } finally {
    one.end();
  }
}

test('the page and its files come with the right types and a strict policy', async () => {
  for (const [file, type] of [[`/display/${office.id}`, 'text/html'], ['/display/city/office-1', 'text/html'], ['/display.js', 'text/javascript'], ['/display.css', 'text/css'], ['/display-theme.css', 'text/css'], ['/centrifuge.js', 'text/javascript'], ['/display.svg', 'image/svg+xml']]) {
    const answer = await fetch(all.gateway.url + file);
    assert.equal(answer.status, 200, file);
    assert.ok(answer.headers.get('content-type').startsWith(type), `${file} ${answer.headers.get('content-type')}`);
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
    assert.ok(answer.headers.get('etag'), file);
    const policy = answer.headers.get('content-security-policy') || '';
    if (type === 'text/html') assert.ok(/script-src 'self'|default-src 'self'/.test(policy) && !/unsafe/.test(policy), policy);
    const again = await fetch(all.gateway.url + file, { headers: { 'if-none-match': answer.headers.get('etag') } });
    assert.equal(again.status, 304, file);
  }
});

test('a call is on the screen when it is committed', async () => {
  page = await open(browser, `${all.gateway.url}/display/city/office-1`);
  await shows(page, 'painted', (now) => now.branch === 'Office 1');
  const first = await join();
  const second = await join();
  await shows(page, 'they wait', (now) => now.queues[0][1] === '2');
  const began = Date.now();
  assert.equal(await call(office.counters[0]), first);
  await page.waitForFunction((number) => Array.from(document.querySelectorAll('#rows .fresh .number')).some((node) => node.textContent === number), first, { polling: 'raf', timeout: 5000 });
  assert.ok(Date.now() - began < 2000);
  await call(office.counters[1]);
  const now = await shows(page, 'the second', (one) => one.calls.length === 2 && one.calls[0][0] === second);
  assert.equal(now.calls[0][1], 'Counter 2');
  assert.equal(now.lost, '');
  await asNew();
});

test('a call is taken back: an older one is among the last ones again', async () => {
  for (let i = 0; i < 12; i++) {
    await join();
    await call(office.counters[0]);
  }
  await asNew();
  await cluster.ask('SELECT FROM qms.undo($1)', [office.counters[0]]);
  await asNew();
});

test('a hundred random calls and events: the page is as a new one', async () => {
  const writers = [0, 1, 2].map((i) => new Writer(cluster, office, office.counters.slice(2 * i, 2 * i + 2), 10).start());
  await until('they wrote', () => writers.reduce((n, one) => n + one.count, 0) > 100, 60);
  await Promise.all(writers.map((one) => one.stop()));
  await asNew();
});

test('changed names are shown', async () => {
  await cluster.ask('SELECT name FROM qms.update_branch($1, name => \'Town hall\')', [office.id]);
  await shows(page, 'renamed', (now) => now.branch === 'Town hall', 15);
  await asNew();
});

for (const [what, happen] of [
  ['the gateway ends by SIGTERM', async () => { await all.gateway.end('SIGTERM'); await happenings(); await all.gateway.start(); }],
  ['the gateway is killed', async () => { await all.gateway.end('SIGKILL'); await happenings(); await all.gateway.start(); }],
  ['the server restarts', async () => { await cluster.stop(); await cluster.start(); await happenings(); }],
  ['the server crashes', async () => { await cluster.crash(); await cluster.start(); await happenings(); }],
]) {
  test(`${what}: the page comes back by itself with all that happened`, async () => {
    await happen();
    await until('the page is live', () => page.evaluate(() => window.qms.status.phase === 'live' && window.qms.centrifuge.state === 'connected'), 30);
    const number = await join().then(() => call(office.counters[2]));
    await shows(page, 'a new call', (now) => now.calls.some(([one]) => one === number) && now.lost === '', 30);
    await asNew();
  });
}
async function happenings() {
  for (let i = 0; i < 5; i++) {
    await join(office.queues[i % 2]);
    await call(office.counters[i]);
  }
}

test('while there is no gateway the page says so, and keeps what it has', async () => {
  const before = await shown(page);
  await all.gateway.end('SIGTERM');
  const now = await shows(page, 'lost', (one) => one.lost !== '', 20);
  assert.deepEqual(now.calls, before.calls);
  await all.gateway.start();
  await shows(page, 'back', (one) => one.lost === '', 40);
  await asNew();
});

test('a branch that is not there', async () => {
  const lost = await open(browser, `${all.gateway.url}/display/city/nowhere`);
  await shows(lost, 'unknown', (now) => now.blank.includes('city/nowhere'));
  assert.deepEqual(lost.complaints, []);
  await lost.context().close();
});

test('nothing was wrong in the page', async () => {
  await sleep(500);
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(cluster.badLines(), []);
});
