// screenshots.mjs URL [FOLDER]: pictures of a display that a gateway serves (make demo shows an address):
// landscape and portrait, light and dark; they are kept in contrib-docs/screenshots.  Run test/gateway/npm.sh
// ../web before.
import path from 'node:path';
import { launch, open, until } from '../gateway/browser.mjs';

const [url, folder = path.join(path.dirname(new URL(import.meta.url).pathname), '../../contrib-docs/screenshots')] = process.argv.slice(2);
const browser = await launch({ sound: true });
for (const [name, width, height, colorScheme, query] of [
  ['display-1920x1080-light', 1920, 1080, 'light', ''], ['display-1920x1080-dark', 1920, 1080, 'dark', '?lang=de'],
  ['display-1080x1920-light', 1080, 1920, 'light', '?lang=de'], ['display-1080x1920-dark', 1080, 1920, 'dark', '']]) {
  const page = await open(browser, url + query, { viewport: { width, height }, colorScheme });
  await until(page, 'painted', (now) => now.branch !== '' && now.calls.length > 0, 60);
  await page.waitForTimeout(700);
  await page.screenshot({ path: path.join(folder, `${name}.png`) });
  if (page.complaints.length > 0) console.error(name, page.complaints);
  await page.context().close();
  console.log(`${name}.png`);
}
await browser.close();
