/**
 * What an authorizer must do before its speed is worth anything; the engine and every peer are held to it. Also the
 * check that the benchmarks run before they measure.
 */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { lifeCycleTraffic } from '../load/life-cycle.js';
import { load, newIdPrefix } from '../load/load.js';
import { faultsOf } from '../load/result.js';
import { loopback } from '../stack.js';

export interface Authorizer {
  readonly port: number;
  readonly credentials: { readonly user: string; readonly password: string };
  /** Cards `card_000001_1` … exist, each with its own account. */
  readonly cardCount: number;
  /** Of each account, before anything was asked. */
  readonly balanceMinor: number;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Throws with what is wrong. Uses up the accounts 1 and 2. */
export async function checkAuthorizer(authorizer: Authorizer): Promise<void> {
  const { balanceMinor } = authorizer;
  const prefix = newIdPrefix('conform');
  const ask = (name: string, card: number, amount: number, password?: string) =>
    post(authorizer, question(`${prefix}-${name}`, card, amount), password);

  const first = await ask('first', 1, 100);
  assert.equal(first.status, 200);
  assert.equal(first.body['approved'], true);
  assert.equal(first.body['id'], `${prefix}-first`);
  assert.equal(first.body['approvedAmount'], 100);
  assert.equal(first.body['available'], balanceMinor - 100);

  const again = await ask('first', 1, 100);
  assert.deepEqual(withoutTime(again), withoutTime(first), 'the same question gets the same answer');
  const otherContent = await ask('first', 1, 101);
  assert.equal(otherContent.status, 409, 'the same id with another amount is a conflict');
  const otherCard = await ask('first', 2, 100);
  assert.equal(otherCard.status, 409, 'the same id with another card is a conflict');

  const tooMuch = await ask('much', 1, balanceMinor);
  assert.equal(tooMuch.body['approved'], false, 'more than there is is declined');
  assert.equal(tooMuch.body['reason'], 'insufficient_funds');
  assert.equal(tooMuch.body['available'], balanceMinor - 100, 'and holds nothing');
  const unknown = await ask('unknown-card', 999_999, 100);
  assert.equal(unknown.body['reason'], 'card_not_found');
  assert.equal((await ask('open', 1, 100, 'wrong')).status, 401, 'a wrong password is refused');
  assert.equal((await post(authorizer, '{"id":')).status, 400, 'what is not JSON is refused');

  // Of an account with the rest of twenty equal parts, nineteen and a bit are there: thirty at once must not get more.
  const part = Math.floor((balanceMinor - 100) / 20) + 1;
  const rush = await Promise.all(Array.from({ length: 30 }, (_, index) => ask(`rush-${index}`, 1, part)));
  const approved = rush.filter(({ body }) => body['approved'] === true).length;
  assert.equal(approved, 19, 'concurrent questions never overspend');
  const same = await Promise.all(Array.from({ length: 8 }, () => ask('same', 2, 100)));
  for (const answer of same) assert.deepEqual(withoutTime(answer), withoutTime(same[0]!), 'eight at once, one answer');
  assert.equal(same[0]!.body['available'], balanceMinor - 100, 'and one hold');

  await checkUnderLoad(authorizer);
}

const loadRequestCount = 2000;

async function checkUnderLoad({ port, credentials, cardCount, balanceMinor }: Authorizer): Promise<void> {
  const result = await load({
    host: loopback,
    port,
    traffic: lifeCycleTraffic({
      path: '/v1/authorizations',
      credentials,
      idPrefix: newIdPrefix('conform'),
      cardFirst: 3,
      cardCount: cardCount - 2,
      cardSkew: 0.5,
      mix: 'authorizations',
      unaffordableMinor: balanceMinor * 2,
    }),
    pace: { kind: 'closed' },
    connectionCount: 32,
    threadCount: 1,
    warmUpMs: 0,
    durationMs: 60_000,
    requestCountMax: loadRequestCount,
    timeoutMs: 20_000,
    seed: 5,
  });
  assert.deepEqual(faultsOf(result), [], 'every answer under load is the expected one');
  assert.equal(result.rightCount, loadRequestCount);
  assert.ok((result.kindCounts['repeat'] ?? 0) > 0, 'some questions were asked again');
}

function question(id: string, card: number, amount: number): string {
  const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
  const token = `card_${String(card).padStart(6, '0')}_1`;
  return JSON.stringify({ id, type: 'authorization', card: token, amount, currency: 'USD', merchant, channel: 'chip' });
}

function withoutTime({ status, body }: Answer): Answer {
  const { responseTimeMs: _, ...rest } = body;
  return { status, body: rest };
}

function post({ port, credentials }: Authorizer, body: string, password = credentials.password): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: loopback,
        port,
        path: '/v1/authorizations',
        method: 'POST',
        auth: `${credentials.user}:${password}`,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}
