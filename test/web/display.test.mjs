// The display in Chromium, before a gateway that is made up (test/gateway/mock.js): what it looks
// like in every state, and that it comes back by itself.  Run by test/web/run.sh.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { createRequire } from 'node:module';
import { launch, open, shown, until } from '../gateway/browser.mjs';
import { Mock, office } from '../gateway/mock.js';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LANDSCAPE = { viewport: { width: 1920, height: 1080 } };
const PORTRAIT = { viewport: { width: 1080, height: 1920 } };
const PHONE = { viewport: { width: 390, height: 844 } };
const at = (n) => ({ counter_id: n, counter_name: `Counter ${n}`, zone_id: n < 3 ? 1 : 2, queue_id: 1 });
const call = (number, counter, more) => ({ kind: 'ticket.called', state: 'called', number, ...at(counter), ...more });
let browser;
let mock;
let next = 100;

before(async () => {
  browser = await launch({ sound: true });
  mock = await new Mock().listen();
});
after(async () => {
  await browser.close();
  await mock.close();
});

/* A page before an office of its own. */
async function display(change, options, query = '') {
  next += 1;
  const channel = `display:${next}`;
  mock.isDeaf = false;
  mock.set(channel, office(change));
  const page = await open(browser, `${mock.url}/display/${next}${query}`, options);
  await until(page, 'painted', (now) => now.branch !== '');
  return { page, channel, say: (event) => mock.publish(channel, event) };
}

async function done(page) {
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(await page.evaluate(() => window.violations), [], 'content security policy');
  await page.context().close();
}

/* Nothing is cut off, nothing covers anything else, nothing scrolls sideways. */
function misfits(page) {
  return page.evaluate(() => {
    const wrong = [];
    const seen = (node) => !node.closest('[hidden]') && node.getClientRects().length > 0 && getComputedStyle(node).visibility !== 'hidden';
    if (document.documentElement.scrollWidth > window.innerWidth) wrong.push(`page is ${document.documentElement.scrollWidth} wide`);
    for (const fit of document.querySelectorAll('.row .fit')) {
      const box = fit.parentNode.getBoundingClientRect();
      const own = fit.getBoundingClientRect();
      if (own.right > box.right + 2 || own.left < box.left - 2 || own.bottom > box.bottom + 2 || own.top < box.top - 2 || fit.scrollWidth > fit.clientWidth + 2) wrong.push(`cut: ${fit.textContent}`);
    }
    const parts = Array.from(document.querySelectorAll('.top, .row, .queue-item, .last-item, .title, .notice')).filter(seen);
    parts.forEach((a, i) => parts.slice(i + 1).forEach((b) => {
      const p = a.getBoundingClientRect();
      const q = b.getBoundingClientRect();
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 2 && y > 2) wrong.push(`${a.className} covers ${b.className}`);
    }));
    if (document.documentElement.dataset.shape !== 'small') {
      for (const part of parts) if (part.getBoundingClientRect().bottom > window.innerHeight) wrong.push(`${part.className} is below the screen`);
    }
    return wrong;
  });
}

const many = (n) => Array.from({ length: n }, (_, i) => ({
  number: `${'ABC'[i % 3]}${100 + i}`, counter_id: 100 + i, counter_name: `Counter ${i + 1}`, zone_id: 1 + i % 2, queue_id: 1 + i % 3, state: i % 3 ? 'serving' : 'called',
  called_at: new Date(Date.now() - i * 20000).toISOString(), recalls: i % 5 === 0 ? 1 : 0 }));
const long = () => {
  const result = office();
  result.branch.name = 'Department of Public Order, Registration of Residents and Vehicle Licensing, Branch North-East';
  result.now_serving = [['ABCDE999999', 'Counter for international documents and certified translations 12'], ['VIP-042', 'Zimmer 4.017 Ausländerangelegenheiten'],
    ['A1', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft']].map(([number, counter_name], i) => ({
    number, counter_name, counter_id: 50 + i, zone_id: i + 1, queue_id: 1, state: i < 2 ? 'called' : 'serving', called_at: new Date(Date.now() - i * 60000).toISOString(), recalls: i }));
  Object.assign(result.queues[0], { name: 'Registration of residents, passports and identity cards for minors', prefix: 'ABCDE', waiting: 1234567, waiting_exact: false });
  result.notices = [{ notice_id: 1, text: 'On Friday the office closes at noon. Passports can be collected at the information desk on the ground floor without a number.' }];
  return result;
};
const closed = () => {
  const result = office({ now_serving: [], last_called: [] });
  result.queues.forEach((queue) => Object.assign(queue, { status: 'closed', waiting: 0 }));
  return result;
};
const SCENES = { office: {}, nobody: { now_serving: [] }, closed: closed(), long: long(), 6: { now_serving: many(6) }, 14: { now_serving: many(14) }, 45: { now_serving: many(45) },
  queues: { queues: Array.from({ length: 12 }, (_, i) => ({ queue_id: i + 1, name: `Queue ${i + 1}`, prefix: 'ABCDEFGHIJKL'[i], status: 'open', waiting: i * 100, waiting_exact: i < 10, wait_p50: i * 1000 })) } };

test('a snapshot is painted', async () => {
  const { page } = await display();
  const now = await shown(page);
  assert.equal(now.organization, 'City of Auenfeld');
  assert.equal(now.branch, 'Citizens\' office');
  assert.deepEqual(now.calls, [['A024', 'Counter 3', 'called'], ['B007', 'Counter 4', 'called'], ['A022', 'Counter 1', 'serving']]);
  assert.deepEqual(now.queues, [['Citizen services', '12', 'Wait about 20 min'], ['Vehicle registration', '4', 'Wait about 8 min'], ['Registry office', '1', 'Paused'], ['Cash desk', '–', 'Closed']]);
  assert.deepEqual(now.last.slice(0, 2), ['A023', 'A021']);
  assert.deepEqual(now.fresh, []);
  assert.equal(now.sound, '');
  await done(page);
});

test('the clock is that of the branch', async () => {
  const { page } = await display({ branch: { ...office().branch, time_zone: 'Asia/Kathmandu' } }, { timezoneId: 'America/New_York' });
  const wanted = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'Asia/Kathmandu' });
  await until(page, 'time', (now) => now.time === wanted.format(new Date()), 5);
  await done(page);
  const { page: twelve } = await display({}, {}, '?clock=12&lang=en-us');
  assert.match((await shown(twelve)).time, /^\d{1,2}:\d\d\s[AP]M$/);
  await done(twelve);
});

test('a call stands first, flashes, is read out and rung; a second call too; then it ends', async () => {
  const { page, say } = await display();
  say(call('A025', 2, { data: { waiting: 11, waiting_exact: true, wait_p50: 900, status: 'open' } }));
  let now = await until(page, 'call', (one) => one.calls[0][0] === 'A025' && one.fresh.length > 0);
  assert.deepEqual(now.fresh, ['A025']);
  assert.equal(now.spoken, 'A025: please come to Counter 2');
  assert.deepEqual(now.queues[0], ['Citizen services', '11', 'Wait about 15 min']);
  assert.equal(await page.evaluate(() => window.qms.chime.count), 1);
  say({ kind: 'ticket.recalled', state: 'called', number: 'B007', ...at(4) });
  now = await until(page, 'second call', (one) => one.calls[0][0] === 'B007' && one.fresh.includes('B007'));
  assert.equal(now.calls[0][2], 'called');
  say({ kind: 'ticket.serving', state: 'serving', number: 'A025', ...at(2) });
  now = await until(page, 'served', (one) => one.calls.some(([number, , state]) => number === 'A025' && state === 'serving'));
  assert.deepEqual(now.fresh, ['B007'], 'who is there flashes no more');
  say({ kind: 'ticket.completed', state: 'completed', number: 'A025', ...at(2) });
  now = await until(page, 'gone', (one) => !one.calls.some(([number]) => number === 'A025'));
  assert.equal(now.last[0], 'A025');
  await done(page);
});

test('rows keep their places: nothing else moves when somebody is called', async () => {
  const { page, say } = await display();
  const places = () => page.evaluate(() => Array.from(document.querySelectorAll('.top, .title, .queue-item, #rows, .last .list')).map((node) => {
    const box = node.getBoundingClientRect();
    return [Math.round(box.x), Math.round(box.y), Math.round(box.width)].join();
  }));
  const then = await places();
  say(call('A025', 2));
  say(call('A026', 1));
  await until(page, 'calls', (now) => now.calls.length === 4);
  assert.deepEqual(await places(), then);
  await done(page);
});

test('connection lost and back, with what happened meanwhile', async () => {
  const { page, say } = await display();
  mock.cut(true);
  const now = await until(page, 'lost', (one) => one.lost !== '', 12);
  assert.match(now.lost, /^No connection\. Last news at \d\d:\d\d$/);
  assert.equal(now.calls.length, 3, 'what was known is still shown');
  say(call('A031', 2));
  say({ kind: 'ticket.completed', state: 'completed', number: 'A022', ...at(1) });
  mock.isDeaf = false;
  const back = await until(page, 'back', (one) => one.lost === '' && one.calls[0][0] === 'A031' && one.fresh.length > 0, 20);
  assert.ok(!back.calls.some(([number]) => number === 'A022'));
  assert.deepEqual(back.fresh, ['A031']);
  await done(page);
});

test('a short interruption is not shown', async () => {
  const { page } = await display();
  mock.cut();
  const end = Date.now() + 6000;
  while (Date.now() < end) {
    assert.equal((await shown(page)).lost, '');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.equal(await page.evaluate(() => window.qms.status.phase), 'live');
  await done(page);
});

test('no recovery, or a new epoch: the new snapshot replaces everything', async () => {
  const { page, channel } = await display();
  const shape = mock.channels.get(channel);
  shape.forgetful = true;
  shape.snapshot = office({ now_serving: [{ number: 'A090', ...at(2), state: 'called', called_at: new Date().toISOString(), recalls: 0 }] });
  mock.cut();
  await until(page, 'snapshot', (now) => now.calls.length === 1 && now.calls[0][0] === 'A090' && now.fresh[0] === 'A090', 15);
  shape.snapshot = office({ now_serving: [] });
  mock.position = 5;
  mock.newEpoch('mock2');
  await until(page, 'epoch', (now) => now.calls.length === 0 && now.blank === 'Please wait for your number', 15);
  mock.position = 5000;
  await done(page);
});

test('a publication with a snapshot replaces everything', async () => {
  const { page, say } = await display();
  say({ ...office({ now_serving: [{ number: 'C001', ...at(1), state: 'serving', called_at: new Date().toISOString() }] }), kind: 'snapshot' });
  await until(page, 'snapshot', (now) => now.calls.length === 1 && now.calls[0][0] === 'C001');
  await done(page);
});

test('changed configuration: the page asks for a new snapshot', async () => {
  const { page, channel, say } = await display();
  mock.channels.get(channel).snapshot = office({ branch: { ...office().branch, name: 'New name' } });
  say({ kind: 'branch.updated', queue_id: null });
  await until(page, 'new name', (now) => now.branch === 'New name');
  assert.equal((await shown(page)).lost, '');
  await done(page);
});

test('an unknown branch says so and is found when it is there', async () => {
  const page = await open(browser, `${mock.url}/display/nowhere/at-all`);
  const now = await until(page, 'unknown', (one) => one.blank.includes('nowhere/at-all'));
  assert.equal(now.queues.length, 0);
  mock.set('display:nowhere/at-all', office());
  await until(page, 'found', (one) => one.calls.length === 3, 30);
  await done(page);
});

test('a display that is not public says so', async () => {
  mock.set('display:secret', office()).error = { code: 103, message: 'permission denied' };
  const page = await open(browser, `${mock.url}/display/secret`);
  await until(page, 'denied', (now) => now.blank === 'This display is not public');
  await done(page);
});

test('names are text, whatever is in them', async () => {
  const evil = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>';
  const all = office({ notices: [{ notice_id: 1, text: evil }] });
  Object.assign(all.branch, { name: evil, organization_name: evil });
  all.zones[0].name = evil;
  all.queues[0].name = evil;
  all.queues[0].names = {};
  all.counters = [];
  all.now_serving[0].counter_name = evil;
  all.now_serving[0].number = evil;
  const { page, say } = await display(all);
  say(call(evil, 2, { counter_name: evil }));
  await until(page, 'evil', (now) => now.calls.length > 2 && now.queues[0][0] === evil && now.notice === evil);
  assert.equal(await page.evaluate(() => window.evil), undefined);
  assert.equal(await page.evaluate(() => document.querySelectorAll('img, .screen script').length), 0);
  await done(page);
});

test('languages: one, by turns, right to left', async () => {
  let { page } = await display({}, {}, '?lang=de');
  assert.equal((await shown(page)).branch, 'Bürgeramt');
  assert.equal((await shown(page)).calls[0][1], 'Schalter 3');
  await done(page);
  ({ page } = await display({}, {}, '?lang=de,en&turn=1'));
  await until(page, 'German', (now) => now.branch === 'Bürgeramt' && now.language === 'de');
  await until(page, 'English', (now) => now.branch === 'Citizens\' office' && now.language === 'en');
  await done(page);
  ({ page } = await display({}, {}, '?lang=ar'));
  const now = await shown(page);
  assert.equal(now.direction, 'rtl');
  assert.equal(now.calls[0][0], 'A024');
  assert.deepEqual(await misfits(page), []);
  await done(page);
});

test('a zone has its own channel, by number or by name', async () => {
  next += 1;
  mock.set(`display:${next}`, office({ branch: { ...office().branch, branch_id: next } }));
  mock.set(`display:${next}:2`, office({ branch: { ...office().branch, branch_id: next }, now_serving: office().now_serving.slice(0, 2) }));
  for (const zone of ['2', 'upper%20FLOOR', 'Obergeschoss']) {
    const page = await open(browser, `${mock.url}/display/${next}?zone=${zone}`);
    await until(page, 'zone', (now) => now.branch === 'Citizens\' office · Upper floor' && now.calls.length === 2);
    assert.equal(await page.evaluate(() => window.qms.channel), `display:${next}:2`);
    await done(page);
  }
});

test('pages: everybody is shown in turn, calls are always there', async () => {
  const calls = many(45);
  const { page } = await display({ now_serving: calls }, {}, '?turn=1');
  const seen = new Set();
  const end = Date.now() + 15000;
  while (seen.size < 45 && Date.now() < end) {
    const now = await shown(page);
    now.calls.forEach(([number]) => seen.add(number));
    assert.equal(now.calls[0][0], 'A100');
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  assert.equal(seen.size, 45);
  await done(page);
});

test('the browser forbids sound until it is touched: a hint, and then it rings', async () => {
  const shy = await launch();
  mock.set('display:shy', office());
  const page = await open(shy, `${mock.url}/display/shy`);
  await until(page, 'hint', (now) => now.sound !== '' && now.calls.length === 3);
  mock.publish('display:shy', call('A040', 2));
  await until(page, 'call', (now) => now.calls[0][0] === 'A040');
  assert.equal(await page.evaluate(() => window.qms.chime.count), 0);
  await page.locator('#sound').click();
  await until(page, 'no hint', (now) => now.sound === '');
  mock.publish('display:shy', call('A041', 1));
  await until(page, 'call', (now) => now.calls[0][0] === 'A041');
  assert.equal(await page.evaluate(() => window.qms.chime.count), 1);
  await done(page);
  const quiet = await open(shy, `${mock.url}/display/shy?chime=off`);
  assert.equal((await until(quiet, 'painted', (now) => now.calls.length > 0)).sound, '');
  await done(quiet);
  await shy.close();
});

for (const [shape, options] of Object.entries({ landscape: LANDSCAPE, portrait: PORTRAIT, phone: PHONE, '4k': { viewport: { width: 3840, height: 2160 } }, '1366x768': { viewport: { width: 1366, height: 768 } } })) {
  test(`nothing is cut off or covered: ${shape}`, async () => {
    for (const [name, scene] of Object.entries(SCENES)) {
      const { page } = await display(scene, options);
      assert.deepEqual(await misfits(page), [], name);
      /* The check itself: it finds what is cut off. */
      if (name === 'office') {
        await page.evaluate(() => { document.querySelector('.row .fit').style.fontSize = '80rem'; });
        assert.ok((await misfits(page)).length > 0);
      }
      await done(page);
    }
  });
}

test('turned screens show all of it', async () => {
  const { page } = await display({}, LANDSCAPE, '?rotate=90');
  const box = await page.evaluate(() => {
    const { left, top, right, bottom } = document.getElementById('screen').getBoundingClientRect();
    return { left, top, right, bottom, shape: document.documentElement.dataset.shape };
  });
  assert.equal(box.shape, 'tall');
  assert.ok(box.left >= -1 && box.top >= -1 && box.right <= 1921 && box.bottom <= 1081, JSON.stringify(box));
  await done(page);
});

for (const colorScheme of ['light', 'dark']) {
  test(`accessible (axe, WCAG 2.2 AA): ${colorScheme}`, async () => {
    for (const [name, options] of Object.entries({ landscape: LANDSCAPE, portrait: PORTRAIT, phone: PHONE })) {
      for (const scene of ['office', 'closed', 'long', '14']) {
        const { page, say } = await display(SCENES[scene], { ...options, colorScheme, reducedMotion: 'reduce' });
        if (scene === 'office') {
          say(call('A025', 2));
          await until(page, 'call', (now) => now.calls[0][0] === 'A025');
          await page.waitForTimeout(400);
        }
        await page.evaluate(axe);
        const result = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
        assert.deepEqual(result.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`), [], `${name} ${scene}`);
        page.complaints = [];
        await page.context().close();
      }
    }
  });
}

test('reduced motion: nothing pulses or glides', async () => {
  const { page, say } = await display({}, { reducedMotion: 'reduce' });
  say(call('A025', 2));
  await until(page, 'call', (now) => now.fresh.length > 0);
  assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  await done(page);
});

test('the address chooses light or dark, else the browser', async () => {
  const color = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const seen = {};
  for (const [query, colorScheme] of [['', 'light'], ['', 'dark'], ['?theme=light', 'dark'], ['?theme=dark', 'light']]) {
    const { page } = await display({}, { colorScheme }, query);
    seen[`${query} ${colorScheme}`] = await color(page);
    await done(page);
  }
  assert.notEqual(seen[' light'], seen[' dark']);
  assert.equal(seen['?theme=light dark'], seen[' light']);
  assert.equal(seen['?theme=dark light'], seen[' dark']);
});

test('a hundred calls a second: nothing is lost and the page keeps up', async () => {
  const { page, say } = await display();
  for (let i = 0; i < 500; i++) {
    say(call(`A${100 + i}`, 1 + i % 4));
    if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(page, 'all', (now) => now.calls.length === 4 && now.calls.every(([number]) => Number(number.slice(1)) >= 596), 10);
  assert.equal(await page.evaluate(() => window.qms.state.position), mock.position);
  assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 200);
  await done(page);
});
