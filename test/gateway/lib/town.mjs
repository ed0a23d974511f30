// town.mjs: an organization to test with, and people who write in it.
import { randomUUID } from 'node:crypto';
import { sleep } from './cluster.mjs';

/* Branches with a zone, queues and counters that are open; staff with a password. */
export async function town(cluster, { branches = 1, queues = 2, counters = 4 } = {}) {
  await cluster.ask('CREATE DATABASE town', [], 'postgres');
  await cluster.ask('CREATE EXTENSION IF NOT EXISTS pgcrypto');
  await cluster.ask('CREATE EXTENSION qms');
  await cluster.ask('CREATE ROLE gateway LOGIN');
  await cluster.ask('GRANT qms_gateway, qms_authenticator TO gateway');
  const organization = await cluster.value('SELECT organization_id FROM qms.create_organization(\'City\', \'city\', time_zone => \'Europe/Berlin\', names => \'{"de": "Stadt"}\')');
  const made = [];
  for (let b = 0; b < branches; b++) {
    const id = await cluster.value('SELECT branch_id FROM qms.create_branch($1, $2, slug => $3, names => $4)', [organization, `Office ${b + 1}`, `office-${b + 1}`, JSON.stringify({ de: `Amt ${b + 1}` })]);
    const zone = await cluster.value('SELECT zone_id FROM qms.create_zone($1, \'Hall\')', [id]);
    const branch = { id, zone, slug: `city/office-${b + 1}`, queues: [], counters: [] };
    for (let q = 0; q < queues; q++) branch.queues.push(await cluster.value('SELECT queue_id FROM qms.create_queue($1, $2, settings => \'{"max_number": 999999}\')', [`Queue ${q + 1}`, id]));
    for (let c = 0; c < counters; c++) {
      const counter = await cluster.value('SELECT counter_id FROM qms.create_counter($1, $2, $3, $4)', [id, `Counter ${c + 1}`, branch.queues, c % 2 ? zone : null]);
      const staff = await cluster.value('SELECT staff_id FROM qms.create_staff($1, $2)', [organization, `clerk-${b + 1}-${c + 1}`]);
      await cluster.ask('SELECT * FROM qms.open_counter($1, $2)', [counter, staff]);
      branch.counters.push(counter);
    }
    made.push(branch);
  }
  const ada = await cluster.value('SELECT staff_id FROM qms.create_staff($1, \'ada\', role => \'admin\')', [organization]);
  const bob = await cluster.value('SELECT staff_id FROM qms.create_staff($1, \'bob\', branch_ids => $2)', [organization, [made[0].id]]);
  for (const staff of [ada, bob]) await cluster.ask('SELECT qms.set_password($1, \'correct horse battery\')', [staff]);
  return { organization, branches: made, ada, bob };
}

/* The access token of a login, as any client of PostgREST gets it. */
export async function login(cluster, username) {
  const [answer] = await cluster.ask('SELECT access_token, error FROM qms.login($1, \'correct horse battery\', \'city\')', [username]);
  if (answer.error) throw new Error(`login of ${username}: ${answer.error}`);
  return answer.access_token;
}

/* A token as the server signs it, with whatever claims. */
export function sign(cluster, claims) {
  return cluster.value('SELECT qms_internal.jwt_sign(\'jwt\', $1)', [JSON.stringify(claims)]);
}

/*
 * Somebody who joins, calls, serves and ends, until told to stop.  Errors of a server that is away
 * are waited out.  pause: ms between two steps.  The counters are his own, or nobody else's turn.
 */
export class Writer {
  constructor(cluster, branch, counters, pause = 0, random = Math.random) {
    Object.assign(this, { cluster, branch, counters, pause, random, count: 0, errors: [], stopped: false });
  }

  start() {
    this.running = this.run();
    return this;
  }

  async stop() {
    this.stopped = true;
    await this.running;
  }

  async connect() {
    while (!this.stopped) {
      try {
        /* Whoever that is now: the cluster changes when a standby is promoted. */
        return await (typeof this.cluster === 'function' ? this.cluster() : this.cluster).session();
      } catch (error) {
        await sleep(50);
      }
    }
    return null;
  }

  async run() {
    let client = await this.connect();
    while (!this.stopped && client) {
      try {
        await this.step(client);
        this.count += 1;
        if (this.pause > 0) await sleep(this.pause * (0.5 + this.random()));
      } catch (error) {
        /* Errors of qms are answers: somebody else was faster, or nobody is there. */
        if (/^(QM|22|55)/.test(error.code || '')) continue;
        if (error.code && !/^(57P|08|25006|XX)/.test(error.code) && !/ECONN|EPIPE/.test(error.code)) this.errors.push(`${error.code} ${error.message}`);
        await client.end().catch(() => undefined);
        await sleep(50);
        client = await this.connect();
      }
    }
    if (client) await client.end().catch(() => undefined);
  }

  async step(client) {
    const counter = this.counters[Math.floor(this.random() * this.counters.length)];
    const queue = this.branch.queues[Math.floor(this.random() * this.branch.queues.length)];
    const dice = this.random();
    if (dice < 0.4) await client.query('SELECT number FROM qms.join_queue($1, request_id => $2)', [queue, randomUUID()]);
    else if (dice < 0.75) await client.query('SELECT number FROM qms.call_next($1, finish_current => \'completed\')', [counter]);
    else if (dice < 0.85) await client.query('SELECT qms.start_service($1)', [counter]);
    else if (dice < 0.93) await client.query('SELECT qms.complete_service($1)', [counter]);
    else if (dice < 0.96) await client.query('SELECT qms.mark_no_show($1)', [counter]);
    else if (dice < 0.98) await client.query('SELECT qms.undo($1)', [counter]);
    else await client.query('SELECT qms.recall_ticket($1)', [counter]);
  }
}
