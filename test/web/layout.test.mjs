// What goes where on a screen.  node --test test/web/
import assert from 'node:assert/strict';
import test from 'node:test';
import { page } from './page.mjs';

const { branchOf, gridFor, idsOf, inOrder, isClosed, nameIn, pageOf, settingsOf, shapeOf, shown, steadyGrid, waitOf } = await page('display-layout.js');
const { directionOf, languagesFor, word, WORDS } = await page('display-words.js');

test('shapes', () => {
  assert.equal(shapeOf(1920, 1080), 'wide');
  assert.equal(shapeOf(1080, 1920), 'tall');
  assert.equal(shapeOf(390, 844), 'small');
  assert.equal(shapeOf(844, 390), 'small');
});

test('a grid has room for what it is chosen for, and grows with it', () => {
  for (const shape of ['wide', 'tall']) {
    let before = 0;
    for (let calls = 0; calls <= 17; calls++) {
      const { columns, rows } = gridFor(shape, calls);
      assert.ok(columns * rows >= Math.min(calls, 17) - 1, `${shape} ${calls}`);
      assert.ok(columns * rows >= before);
      before = columns * rows;
    }
    assert.ok(gridFor(shape, 1000).columns > 1);
  }
});

test('the grid grows at once and shrinks later', () => {
  let grid = steadyGrid(null, 'wide', 2, 0, 1000);
  assert.equal(grid.rows, 3);
  grid = steadyGrid(grid, 'wide', 6, 10, 1000);
  assert.equal(grid.rows, 5);
  grid = steadyGrid(grid, 'wide', 2, 500, 1000);
  assert.equal(grid.rows, 5);
  grid = steadyGrid(grid, 'wide', 2, 1011, 1000);
  assert.equal(grid.rows, 3);
  assert.equal(steadyGrid(grid, 'tall', 2, 1012, 1000).shape, 'tall');
});

test('who shall come first stands first, the newest above', () => {
  const calls = [['A', 'serving', '3'], ['B', 'called', '1'], ['C', 'called', '2'], ['E', 'serving', '1'], ['D', 'serving', '1']].map(([number, state, at]) => ({ number, state, at }));
  assert.deepEqual(inOrder(calls).map((one) => one.number), ['C', 'B', 'A', 'D', 'E']);
});

test('pages show everybody in turn and keep the pinned ones', () => {
  const items = Array.from({ length: 20 }, (_, i) => i);
  const seen = new Set();
  const { pages } = pageOf(items, 8, 3, 0);
  for (let turn = 0; turn < pages; turn++) {
    const page = pageOf(items, 8, 3, turn);
    assert.deepEqual(page.items.slice(0, 3), [0, 1, 2]);
    assert.ok(page.items.length <= 8);
    page.items.forEach((item) => seen.add(item));
  }
  assert.equal(seen.size, 20);
  assert.deepEqual(pageOf(items, 20, 3, 5), { items, page: 0, pages: 1 });
  assert.equal(pageOf(items, 1, 3, 5).items.length, 1);
});

test('settings of the address', () => {
  const none = settingsOf('');
  assert.deepEqual(none, { languages: [], theme: 'auto', zones: [], queues: [], hidden: [], volume: 0.6, turn: 10, rotate: 0, dim: true, hours: 24 });
  const all = settingsOf('?lang=de,EN&theme=dark&zone=Upper%20floor&queue=A,B&hide=last,clock,x&volume=35&turn=5&rotate=90&dim=off&clock=12');
  assert.deepEqual(all, { languages: ['de', 'en'], theme: 'dark', zones: ['Upper floor'], queues: ['A', 'B'], hidden: ['last', 'clock'], volume: 0.35, turn: 5, rotate: 90, dim: false, hours: 12 });
  assert.equal(settingsOf('?chime=off&volume=50').volume, 0);
  assert.equal(settingsOf('?volume=1000').volume, 1);
  assert.equal(settingsOf('?volume=loud').volume, 0.6);
  assert.equal(settingsOf('?turn=0').turn, 1);
  assert.equal(settingsOf('?theme=pink&rotate=45').theme, 'auto');
});

test('the branch of the address', () => {
  assert.equal(branchOf('/display/12'), '12');
  assert.equal(branchOf('/display/city/citizens/'), 'city/citizens');
  assert.equal(branchOf('/queue/display/12'), '12');
  assert.equal(branchOf('/display/b%C3%BCro'), 'büro');
  assert.equal(branchOf('/display/%zz'), '%zz');
  assert.equal(branchOf('/display/'), '');
});

test('zones and queues by id, name, slug, prefix', () => {
  const zones = [{ id: 1, name: 'Ground floor', names: { de: 'Erdgeschoss' } }, { id: 2, name: 'Upper floor', names: {} }];
  assert.deepEqual(idsOf(zones, ['erdgeschoss']), [1]);
  assert.deepEqual(idsOf(zones, ['2', 'ground floor']), [1, 2]);
  assert.deepEqual(idsOf([{ id: 5, name: 'Q', slug: 'papers', prefix: 'A', names: {} }], ['a']), [5]);
  const state = { ready: true, zones, queues: [{ id: 1, name: 'Q', slug: 'q', prefix: 'A', names: {} }, { id: 2, name: 'R', slug: 'r', prefix: 'B', names: {} }],
    calls: [{ zone_id: 1, queue_id: 1 }, { zone_id: 2, queue_id: 2 }, { zone_id: null, queue_id: 1 }], last: [] };
  assert.equal(shown(state, settingsOf('?zone=1')).calls.length, 2);
  assert.equal(shown(state, settingsOf('?queue=B')).calls.length, 1);
  assert.equal(shown(state, settingsOf('?queue=B')).queues.length, 1);
  assert.equal(shown(state, settingsOf('')).calls.length, 3);
});

test('waiting times are rounded up, and the more the longer', () => {
  for (const [given, hours, minutes] of [[0, 0, 0], [20, 0, 1], [61, 0, 2], [900, 0, 15], [901, 0, 20], [5400, 1, 30], [9000, 2, 30]]) {
    assert.deepEqual(waitOf(given), { hours, minutes }, String(given));
  }
  assert.equal(waitOf(null), null);
});

test('closed: no queue is open and nobody is at a counter', () => {
  const closed = { ready: true, calls: [], queues: [{ status: 'closed' }] };
  assert.equal(isClosed(closed), true);
  assert.equal(isClosed({ ...closed, calls: [{}] }), false);
  assert.equal(isClosed({ ...closed, queues: [] }), false);
  assert.equal(isClosed({ ...closed, queues: [{ status: 'closed' }, { status: 'paused' }] }), false);
});

test('names and words by language', () => {
  assert.equal(nameIn({ name: 'X', names: { de: 'Y' } }, 'de-at'), 'Y');
  assert.equal(nameIn({ name: 'X', names: { de: 'Y' } }, 'fr'), 'X');
  assert.equal(nameIn(null, 'fr'), '');
  assert.equal(word('de-at', 'page', { n: 1, m: 2 }), 'Seite 1 von 2');
  assert.equal(word('xx', 'closed'), 'Closed');
  assert.equal(directionOf('ar-eg'), 'rtl');
  assert.deepEqual(languagesFor([], [], ['xx', 'fr-FR']), ['fr-fr']);
  assert.deepEqual(languagesFor([], [], ['xx']), ['en']);
  assert.deepEqual(languagesFor([], ['de', 'tr'], ['fr']), ['de', 'tr']);
  assert.deepEqual(languagesFor(['eo'], ['de'], ['fr']), ['eo']);
});

test('every language says everything, with the same blanks', () => {
  const blanks = (text) => (text.match(/\{\w+\}/g) || []).sort().join();
  for (const [language, words] of Object.entries(WORDS)) {
    assert.deepEqual(Object.keys(words).sort(), Object.keys(WORDS.en).sort(), language);
    for (const key of Object.keys(words)) assert.equal(blanks(words[key]), blanks(WORDS.en[key]), `${language} ${key}`);
  }
});
