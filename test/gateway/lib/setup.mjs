// setup.mjs: a server, a town and a gateway for the tests of one file, and an end to them however it ends.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Cluster } from './cluster.mjs';
import { goHome } from './follower.mjs';
import { Gateway } from './gateway.mjs';
import { town } from './town.mjs';

export const SHORT = Boolean(process.env.QMS_SHORT);

export async function setup({ people = {}, gateway = {}, settings = [], start = true } = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'qg-'));
  const cluster = await Cluster.make(folder, 'main', ['qms.gateway = off', ...settings]);
  await cluster.start();
  const self = { folder, cluster, town: await town(cluster, people) };
  self.gateway = await Gateway.make(folder, [cluster.conninfo('town', 'gateway')], gateway);
  if (start) {
    await self.gateway.start();
    await self.gateway.ready();
  }
  return self;
}

/* keep: something failed, so the logs stay for a look. */
export async function teardown(self, { clusters = [], keep = false } = {}) {
  goHome();
  if (!self) return;
  await self.gateway.end('SIGTERM', 5);
  for (const cluster of [self.cluster, ...clusters]) await cluster.stop('immediate');
  if (keep) console.log(`kept for a look: ${self.folder}`);
  else fs.rmSync(self.folder, { recursive: true, force: true });
}
