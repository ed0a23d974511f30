/*
 * display-view.js
 *   Puts what is to be shown onto the page.  Every text comes in through textContent.
 */
import { gridFor, inOrder, isClosed, nameIn, pageOf, shapeOf, shown, steadyGrid, waitOf } from './display-layout.js';
import { directionOf, word } from './display-words.js';

/* A call looks new for so long. */
const FRESH_MS = 12000;
/* The rows grow at once and shrink after so long. */
const SHRINK_MS = 120000;
/* A closed office is dimmed after so long. */
const REST_MS = 600000;
/* One step of the picture against burn-in. */
const DRIFT_MS = 60000;
/* Sizes tried until a text fits, as shares of the full size. */
const SIZES = [1, 0.88, 0.78, 0.68, 0.6, 0.52, 0.45, 0.38, 0.32, 0.26, 0.2];

function element(name, className, text) {
  const node = document.createElement(name);
  node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/* Only the nodes given, in that order, without touching those that are in place. */
function setChildren(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of Array.from(parent.children)) if (!wanted.has(child)) parent.removeChild(child);
  nodes.forEach((node, i) => {
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null);
  });
}

export class View {
  constructor(settings) {
    this.settings = settings;
    this.at = {};
    for (const node of document.querySelectorAll('[id]')) this.at[node.id] = node;
    this.rows = new Map();
    this.fresh = new Map();
    this.fitted = new WeakMap();
    this.language = 'en';
    this.turn = 0;
    this.grid = null;
    this.closedSince = null;
    this.still = window.matchMedia('(prefers-reduced-motion: reduce)');
    this.dark = window.matchMedia('(prefers-color-scheme: dark)');
    this.dark.addEventListener('change', () => this.colour());
    this.colour();
    for (const part of settings.hidden) document.body.classList.add(`without-${part}`);
    if (document.fonts && document.fonts.ready) document.fonts.ready.then(() => this.resize());
    window.addEventListener('resize', () => this.resize());
    this.measure();
  }

  /* Light or dark. */
  colour() {
    const { theme } = this.settings;
    document.documentElement.dataset.theme = theme !== 'auto' ? theme : this.dark.matches ? 'dark' : 'light';
  }

  /* The unit of all sizes, 1rem: a tenth of a percent or so of the screen, 10 pixels at 1920x1080. */
  measure() {
    const turned = this.settings.rotate % 180 !== 0;
    const width = turned ? window.innerHeight : window.innerWidth;
    const height = turned ? window.innerWidth : window.innerHeight;
    this.shape = shapeOf(width, height);
    const unit = this.shape === 'small' ? Math.max(Math.min(width / 39, 14), 8)
      : this.shape === 'wide' ? Math.min(width / 192, height / 108) : Math.min(width / 108, height / 192);
    const root = document.documentElement;
    root.style.fontSize = `${unit}px`;
    root.dataset.shape = this.shape;
    root.dataset.rotate = String(this.settings.rotate);
    this.at.screen.style.width = this.shape === 'small' ? '' : `${width}px`;
    this.at.screen.style.height = this.shape === 'small' ? '' : `${height}px`;
    this.unit = unit;
  }

  resize() {
    this.fitted = new WeakMap();
    this.measure();
    this.draw();
  }

  /* What there is to show; drawn once however often it is said before the next picture. */
  show(state, status) {
    this.state = state;
    this.status = status;
    if (this.asked) return;
    this.asked = true;
    const draw = () => {
      if (!this.asked) return;
      this.asked = false;
      this.draw();
    };
    window.requestAnimationFrame(draw);
    /* A window that is not seen gets no picture, but is to be right when it is seen. */
    setTimeout(draw, 1000);
  }

  /* Calls that are new: they stand out for a while and are read out. */
  announce(news, now) {
    for (const one of news) this.fresh.set(one.number, now + FRESH_MS);
    setText(this.at.spoken, news.map((one) => word(this.language, 'call', { number: one.number, counter: this.counterName(one) })).join('. '));
  }

  setLanguage(language) {
    this.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = directionOf(language);
  }

  /* Once a second: what changes by time alone. */
  tick(now, turn, languages) {
    const language = languages[turn % languages.length];
    const expired = Array.from(this.fresh).filter(([, until]) => until <= now);
    for (const [number] of expired) this.fresh.delete(number);
    const rest = this.settings.dim && this.closedSince !== null && now - this.closedSince > REST_MS;
    document.body.classList.toggle('resting', rest);
    this.drift(now);
    this.clock();
    if (language !== this.language || turn !== this.turn || expired.length > 0 || !this.state) {
      this.turn = turn;
      this.setLanguage(language);
      if (this.state) this.draw();
    }
  }

  /* The whole picture wanders a few pixels, so that nothing burns into the screen. */
  drift(now) {
    const step = Math.floor(now / DRIFT_MS);
    const [x, y] = this.shape === 'small' ? [0, 0] : [[0, 0], [4, 2], [6, 6], [2, 5], [-3, 6], [-6, 3], [-5, -2], [-2, -6], [3, -5], [6, -2]][step % 10];
    this.at.screen.style.setProperty('--drift-x', `${x}px`);
    this.at.screen.style.setProperty('--drift-y', `${y}px`);
  }

  clock() {
    const zone = this.state && this.state.branch ? this.state.branch.time_zone : '';
    const date = new Date(Date.now() + (this.status ? this.status.skew : 0));
    setText(this.at.time, this.timeOf(date, zone));
    setText(this.at.date, this.format(date, zone, { weekday: 'long', day: 'numeric', month: 'long' }));
  }

  /* By the wall of the office; a time zone that this browser does not know is its own. */
  format(date, zone, parts) {
    const options = { ...parts, timeZone: zone || undefined };
    const language = `${this.language}-u-nu-latn`;
    try {
      return new Intl.DateTimeFormat(language, options).format(date);
    } catch (error) {
      return new Intl.DateTimeFormat('en', parts).format(date);
    }
  }

  timeOf(date, zone) {
    const parts = this.settings.hours === 12 ? { hour: 'numeric', minute: '2-digit', hourCycle: 'h12' } : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
    return Number.isNaN(date.getTime()) ? '' : this.format(date, zone, parts);
  }

  counterName(one) {
    return nameIn(this.state.counters[one.counter_id], this.language) || one.counter;
  }

  zoneName(one) {
    if (one.zone_id === null || this.settings.zones.length === 1) return '';
    return nameIn(this.state.zones.find((zone) => zone.id === one.zone_id), this.language);
  }

  draw() {
    if (!this.state) return;
    const state = shown(this.state, this.settings);
    for (const node of document.querySelectorAll('[data-word]')) setText(node, word(this.language, node.dataset.word));
    document.body.classList.toggle('stale', this.status.phase === 'lost');
    document.body.classList.toggle('empty', !state.ready);
    /* What decides how much room there is, first. */
    this.drawTop(state);
    this.drawNotice(state);
    this.drawQueues(state);
    this.drawLast(state);
    this.drawCalls(state);
    this.drawBlank(state);
    this.drawLost();
    this.clock();
    const closed = isClosed(state);
    if (!closed) this.closedSince = null;
    else if (this.closedSince === null) this.closedSince = performance.now();
  }

  drawTop(state) {
    const branch = nameIn(state.branch, this.language);
    const zones = state.zones.filter((zone) => this.settings.zones.length === 1 && (String(zone.id) === this.settings.zones[0] ||
      [zone.name].concat(Object.values(zone.names)).some((name) => name.toLowerCase() === this.settings.zones[0].toLowerCase())));
    const zone = zones.map((one) => nameIn(one, this.language)).join(', ');
    setText(this.at.organization, state.branch ? nameIn(state.branch.organization, this.language) : '');
    setText(this.at.branch, zone ? `${branch} · ${zone}` : branch);
    document.title = branch || 'qms';
    this.fit(this.at.branch, this.at.branch);
  }

  /* Makes a text smaller until it is inside of its box, and breaks words only then. */
  fit(node, box, key, least) {
    const now = `${node.textContent} ${box.clientWidth} ${box.clientHeight} ${key || ''}`;
    if (this.fitted.get(node) === now) return;
    this.fitted.set(node, now);
    node.classList.remove('broken');
    for (const size of SIZES.filter((one) => one >= (least || 0))) {
      node.style.setProperty('--fit', String(size));
      if (node.scrollWidth <= box.clientWidth + 1 && node.scrollHeight <= box.clientHeight + 1) return;
    }
    node.classList.add('broken');
  }

  /* The row of a ticket: made once, kept while it is shown. */
  row(number) {
    let row = this.rows.get(number);
    if (row) return row;
    row = element('li', 'row');
    row.numberBox = element('span', 'number');
    row.number = element('bdi', 'fit', number);
    row.arrow = element('span', 'arrow');
    const counter = element('span', 'counter');
    row.counterBox = element('span', 'counter-box');
    row.counter = element('span', 'fit counter-name');
    row.where = element('span', 'where');
    row.arrow.setAttribute('aria-hidden', 'true');
    row.numberBox.appendChild(row.number);
    row.counterBox.appendChild(row.counter);
    row.appendChild(row.numberBox);
    row.appendChild(row.arrow);
    counter.appendChild(row.counterBox);
    counter.appendChild(row.where);
    row.appendChild(counter);
    this.rows.set(number, row);
    return row;
  }

  fillRow(row, one, isFirst) {
    const zone = this.zoneName(one);
    const again = one.state === 'called' && one.recalls > 0 ? word(this.language, 'again') : '';
    row.className = `row ${one.state}${isFirst ? ' first' : ''}${this.fresh.has(one.number) && one.state === 'called' ? ' fresh' : ''}`;
    setText(row.counter, this.counterName(one));
    const more = again || (one.state === 'serving' ? word(this.language, 'serving') : '');
    /* In a narrow row one of them: the way to go. */
    const parts = [zone, more].filter((part) => part !== '');
    setText(row.where, (isFirst || this.grid.columns === 1 ? parts : parts.slice(0, 1)).join(' · '));
  }

  drawCalls(state) {
    const now = performance.now();
    const calls = inOrder(state.calls);
    const isSmall = this.shape === 'small';
    this.grid = isSmall ? { ...gridFor('small', calls.length), shape: 'small', since: now } : steadyGrid(this.grid, this.shape, calls.length, now, SHRINK_MS);
    if (this.grid.level === gridFor(this.shape, calls.length).level) this.grid.since = now;
    const room = isSmall ? calls.length : this.grid.columns * this.grid.rows + 1;
    const called = calls.filter((one) => one.state === 'called').length;
    const page = pageOf(calls, room, called > 0 && called <= room / 2 ? called : 1, this.turn);
    const before = new Map(page.items.filter((one) => this.rows.has(one.number)).map((one) => [one.number, this.rows.get(one.number).getBoundingClientRect()]));

    this.setPages(this.at['call-pages'], page);
    this.setGrid();
    const rows = page.items.map((one, i) => {
      const row = this.row(one.number);
      this.fillRow(row, one, i === 0);
      return row;
    });
    setChildren(this.at.rows, rows);
    const kept = new Set(calls.map((one) => one.number));
    for (const number of Array.from(this.rows.keys())) if (!kept.has(number)) this.rows.delete(number);
    rows.forEach((row, i) => {
      const key = `${i === 0} ${this.grid.level}`;
      this.fit(row.number, row.numberBox, key);
      this.fit(row.counter, row.counterBox, key);
    });
    this.move(page.items, before);
  }

  setPages(node, page) {
    node.hidden = page.pages < 2;
    setText(node, page.pages < 2 ? '' : word(this.language, 'page', { n: page.page + 1, m: page.pages }));
  }

  /* Sizes of the rows follow from how many there are. */
  setGrid() {
    const style = this.at.rows.style;
    const first = this.shape === 'tall' ? 38 : 25;
    const room = this.at.rows.clientHeight / this.unit;
    const width = this.at.rows.clientWidth / this.unit / this.grid.columns;
    const height = (room - first) / Math.max(this.grid.rows, 1) - 1.4;
    this.at.rows.dataset.columns = String(this.grid.columns);
    style.setProperty('--columns', String(this.grid.columns));
    style.setProperty('--rows', String(this.grid.rows));
    style.setProperty('--first', `${first}rem`);
    style.setProperty('--row', `${Math.max(Math.min(height, width * 0.2), 4).toFixed(2)}rem`);
  }

  /* Rows that have another place now glide there. */
  move(items, before) {
    if (this.still.matches || document.hidden) return;
    for (const one of items) {
      const row = this.rows.get(one.number);
      const from = before.get(one.number);
      const to = row.getBoundingClientRect();
      if (!row.animate) return;
      if (!from) row.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 300, easing: 'ease-out' });
      else if (Math.abs(from.top - to.top) > 2 || Math.abs(from.left - to.left) > 2) {
        const turned = this.settings.rotate !== 0;
        row.animate(turned ? [{ opacity: 0.2 }, { opacity: 1 }]
          : [{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: 'none' }], { duration: 450, easing: 'ease-in-out' });
      }
    }
  }

  /* Instead of calls: nobody is called, closed, no such branch, no connection yet. */
  drawBlank(state) {
    const { phase, name } = this.status;
    let text = '';
    let hint = '';
    if (phase === 'unknown') [text, hint] = [word(this.language, 'unknown', { name }), word(this.language, 'unknownHint')];
    else if (phase === 'denied') [text, hint] = [word(this.language, 'denied'), word(this.language, 'deniedHint')];
    else if (!state.ready) text = word(this.language, phase === 'lost' ? 'never' : 'loading');
    else if (isClosed(state)) text = word(this.language, 'closedNow');
    else if (state.calls.length === 0) text = word(this.language, 'nobody');
    this.at.blank.hidden = text === '';
    setText(this.at['blank-text'], text);
    setText(this.at['blank-hint'], hint);
    document.body.classList.toggle('failed', phase === 'unknown' || phase === 'denied');
  }

  waitText(queue) {
    const wait = waitOf(queue.wait);
    if (wait === null || this.settings.hidden.includes('wait')) return '';
    if (wait.hours === 0 && wait.minutes < 1) return word(this.language, 'under');
    const said = wait.hours > 0 ? word(this.language, 'hours', { n: wait.hours, m: wait.minutes }) : word(this.language, 'minutes', { n: wait.minutes });
    return `${word(this.language, 'about')} ${said}`;
  }

  number(n) {
    try {
      return new Intl.NumberFormat(`${this.language}-u-nu-latn`, n >= 10000 ? { notation: 'compact', maximumFractionDigits: 1 } : {}).format(n);
    } catch (error) {
      return String(n);
    }
  }

  queueRow(queue) {
    const row = element('li', `item queue-item ${queue.status}`);
    const middle = element('span', 'item-middle');
    const name = element('span', 'item-name fit', nameIn(queue, this.language));
    const status = queue.status === 'closed' || queue.status === 'paused' ? word(this.language, queue.status) : '';
    const wait = this.waitText(queue);
    row.appendChild(element('bdi', queue.prefix.length > 3 ? 'badge long' : 'badge', queue.prefix));
    middle.appendChild(name);
    middle.appendChild(element('span', 'item-more', status || (wait && `${word(this.language, 'wait')} ${wait}`)));
    row.appendChild(middle);
    const figure = element('span', 'figure', queue.waiting === null || (queue.status === 'closed' && queue.waiting === 0) ? '–'
      : queue.exact ? this.number(queue.waiting) : `≈${this.number(queue.waiting)}`);
    figure.appendChild(element('span', 'aside-text', ` ${word(this.language, 'waiting')}`));
    row.appendChild(figure);
    return row;
  }

  /* Rows that go into a list as it is now. */
  roomIn(list, rem) {
    return this.shape === 'small' ? 1000 : Math.max(Math.floor((list.clientHeight / this.unit + 0.6) / rem), 1);
  }

  drawQueues(state) {
    const most = this.shape === 'small' ? 1000 : this.shape === 'wide' ? (this.settings.hidden.includes('last') ? 9 : 5) : 5;
    const page = pageOf(state.queues, most, 0, this.turn);
    this.at['queues-panel'].hidden = this.settings.hidden.includes('queues') || state.queues.length === 0;
    this.setPages(this.at['queue-pages'], page);
    /* Pages are all as long as the first one, so that what is below stays in place. */
    this.at.queues.style.minHeight = this.shape === 'small' ? '' : `${Math.min(state.queues.length, most) * 9.4}rem`;
    const said = JSON.stringify([page.items, this.language, this.shape]);
    if (said === this.saidQueues) return;
    this.saidQueues = said;
    setChildren(this.at.queues, page.items.map((queue) => this.queueRow(queue)));
    for (const name of this.at.queues.querySelectorAll('.item-name')) this.fit(name, name, '', 0.6);
  }

  drawLast(state) {
    const here = new Set(state.calls.map((one) => one.number));
    const zone = state.branch ? state.branch.time_zone : '';
    const last = state.last.filter((one) => !here.has(one.number));
    this.at['last-panel'].hidden = this.settings.hidden.includes('last') || last.length === 0;
    const items = last.slice(0, this.roomIn(this.at.last, 6.2));
    const said = JSON.stringify([items, this.language, this.shape, zone]);
    if (said === this.saidLast) return;
    this.saidLast = said;
    setChildren(this.at.last, items.map((one) => {
      const row = element('li', 'item last-item');
      row.appendChild(element('bdi', 'last-number', one.number));
      row.appendChild(element('span', 'last-counter', this.counterName(one)));
      row.appendChild(element('span', 'last-time', this.timeOf(new Date(one.at), zone)));
      return row;
    }));
  }

  drawNotice(state) {
    const notices = this.settings.hidden.includes('notices') ? [] : state.notices;
    const one = notices[this.turn % Math.max(notices.length, 1)];
    this.at.notice.hidden = !one;
    setText(this.at['notice-text'], one ? one.texts[this.language] || one.texts[this.language.split('-')[0]] || one.text || Object.values(one.texts)[0] : '');
  }

  drawLost() {
    const { phase, news } = this.status;
    const zone = this.state.branch ? this.state.branch.time_zone : '';
    this.at.lost.hidden = phase !== 'lost' || !this.state.ready;
    setText(this.at.lost, this.at.lost.hidden ? '' : word(this.language, 'lost', { time: this.timeOf(new Date(news + this.status.skew), zone) }));
  }

  drawSound(isSilent) {
    this.at.sound.hidden = !isSilent;
    setText(this.at.sound, isSilent ? word(this.language, 'sound') : '');
  }
}
