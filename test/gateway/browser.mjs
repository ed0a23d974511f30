// browser.mjs: Chromium by playwright-core, or a reason why not.
import fs from 'node:fs';
import { chromium } from 'playwright-core';

const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

export const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((name) => fs.existsSync(name));

/* sound: as a kiosk is started, so that the page may play its chime without a touch. */
export function launch({ sound = false } = {}) {
  return chromium.launch({ executablePath: executable, args: sound ? [...ARGS, '--autoplay-policy=no-user-gesture-required'] : ARGS });
}

/* A page that remembers what it complained about. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, colorScheme: 'light', locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error.stack)));
  page.on('console', (message) => {
    /* A refused connection is what some tests are about; the browser says so by itself. */
    if (message.type() === 'error' && !/WebSocket connection to|ERR_CONNECTION|Failed to load resource/.test(message.text())) page.complaints.push(message.text());
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(url);
  return page;
}

/* Texts of what is shown. */
export function shown(page) {
  return page.evaluate(() => {
    const text = (node) => (node && !node.closest('[hidden]') ? node.textContent : '');
    const all = (selector) => Array.from(document.querySelectorAll(selector)).filter((node) => !node.closest('[hidden]'));
    return {
      branch: text(document.getElementById('branch')), organization: text(document.getElementById('organization')),
      calls: all('#rows .row').map((row) => [row.querySelector('.number').textContent, row.querySelector('.counter-name').textContent, row.classList.contains('called') ? 'called' : 'serving']),
      fresh: all('#rows .fresh .number').map(text),
      queues: all('#queues .item').map((row) => [row.querySelector('.item-name').textContent, row.querySelector('.figure').firstChild.textContent, row.querySelector('.item-more').textContent]),
      last: all('#last .item').map((row) => row.querySelector('.last-number').textContent),
      blank: text(document.getElementById('blank-text')), lost: text(document.getElementById('lost')), notice: text(document.getElementById('notice-text')),
      spoken: document.getElementById('spoken').textContent, sound: text(document.getElementById('sound')), time: text(document.getElementById('time')),
      language: document.documentElement.lang, direction: document.documentElement.dir, pages: text(document.getElementById('call-pages')),
    };
  });
}

/* Polls until a condition of what is shown holds; else fails with what was shown. */
export async function until(page, what, holds, seconds = 10) {
  const end = Date.now() + seconds * 1000;
  let last;
  do {
    last = await shown(page);
    if (holds(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (Date.now() < end);
  throw new Error(`${what}: not within ${seconds} s, but ${JSON.stringify(last)}`);
}
