// page('display-state.js'): a module of the page, for Node: from a copy, because Node wants a
// package.json beside it to know a module, and that is nothing to install.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const source = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../src/web');
const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'qms-page-'));
for (const name of fs.readdirSync(source).filter((file) => file.startsWith('display'))) fs.copyFileSync(path.join(source, name), path.join(copy, name));
fs.writeFileSync(path.join(copy, 'package.json'), '{"type": "module"}');
process.on('exit', () => fs.rmSync(copy, { recursive: true, force: true }));

export const page = (name) => import(pathToFileURL(path.join(copy, name)).href);
