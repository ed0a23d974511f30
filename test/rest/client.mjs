// client.mjs: requests as lines of JSON on stdin, answers as lines of JSON on stdout, in the same order.
// Through PostgREST with @supabase/postgrest-js, to PostGraphile with fetch.
//
//   {"rpc": "join_queue", "args": {"queue_id": 1}, "token": "...", "headers": {"x-api-key": "..."}}
//   {"table": "queues", "select": "name"}          {"table": "queue", "update": {"name": "x"}}
//   {"raw": "/", "method": "GET"}                  {"graphql": "{ allVisibleQueues { nodes { name } } }"}
import readline from 'node:readline';
import { PostgrestClient } from '@supabase/postgrest-js';

const { REST_URL, GRAPHQL_URL } = process.env;

async function rest(request, headers) {
  const client = new PostgrestClient(REST_URL, { headers });
  let query;
  if (request.rpc) query = client.rpc(request.rpc, request.args ?? {});
  else if (request.update) query = client.from(request.table).update(request.update).gte('organization_id', 0);
  else if (request.insert) query = client.from(request.table).insert(request.insert);
  else if (request.delete) query = client.from(request.table).delete().gte('organization_id', 0);
  else query = client.from(request.table).select(request.select ?? '*');
  const { status, data, error } = await query;
  return { status, data, error };
}

async function plain(url, init) {
  const answer = await fetch(url, init);
  const text = await answer.text();
  try { return { status: answer.status, data: JSON.parse(text) }; } catch { return { status: answer.status, data: text }; }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const headers = { ...(request.token ? { Authorization: `Bearer ${request.token}` } : {}), ...(request.headers ?? {}) };
  let answer;
  if (request.graphql)
    answer = await plain(GRAPHQL_URL, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ query: request.graphql }) });
  else if (request.raw) answer = await plain(REST_URL + request.raw, { method: request.method ?? 'GET', headers });
  else answer = await rest(request, headers);
  console.log(JSON.stringify(answer));
}
