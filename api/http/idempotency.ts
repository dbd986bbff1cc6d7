/**
 * `Idempotency-Key` on POST: the first request with a key is executed, every later one gets its answer again, byte for
 * byte, for a day. The same key with another input is refused. Requests that arrive while the first one runs wait a
 * moment for its answer. An answer that says that we failed (5xx) is not kept: trying again then executes.
 *
 * A process may die between the effect and the keeping of the answer. So an object takes its id from the operation
 * (`idOf('card', operationOf(request))`), which every execution of a key shares. A second execution finds the existing
 * object.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../../platform/log.js';
import type { PanKeys } from '../../platform/masking/hidden-ids.js';
import { maskPansInText } from '../../platform/masking/redact.js';
import { type Actor, isCustomer } from '../auth/principal.js';
import type { Claimed, IdempotencyStore, StoredAnswer } from '../stores/idempotency.js';
import { conflict, invalid } from './problem.js';
import { takesIdempotencyKey } from './route.js';

const keyPattern = /^[\x21-\x7e]{1,255}$/;
/** A second request waits this long for the first one's answer, looking every so often. */
const waitMs = 2000;
const lookEveryMs = 50;
/** What a replay repeats, besides status and body. */
const keptHeaders = ['content-type', 'etag', 'location', 'cache-control'] as const;

/**
 * A claim that Postgres may hold for a request that failed is given back in the background, when Postgres answers
 * again.
 */
const giveBackTries = 5;
const giveBackRetryMs = 200;
/** Beyond it a key comes free by itself, a minute later. */
const givingBackMax = 1000;
let givingBack = 0;

interface Execution {
  readonly owner: string;
  readonly key: string;
  readonly claim: string;
  readonly operation: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while this request executes for an Idempotency-Key. */
    execution: Execution | null;
  }
}

/** Must be registered before whatever changes the bytes of answers (compression): what is kept is what was meant. */
export function registerIdempotency(app: FastifyInstance, store: IdempotencyStore, panKeys: PanKeys, log: Log): void {
  app.decorateRequest('execution', null);
  app.addHook('preHandler', async (request, reply) => {
    const sent = keyOf(request);
    if (sent === null) return;
    const forms = panKeys.keptForms(sent);
    // Its first request may have been kept under an older key of PAN_KEY.
    const used = forms.length === 1 ? null : await store.used(ownerOf(request.actor), forms);
    const answer = await claimOrAnswer(request, used ?? forms[0]!, store);
    if (answer === null) return;
    return replay(reply, answer);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const { execution } = request;
    if (execution === null) return payload;
    request.execution = null;
    try {
      await finish(store, execution, reply, typeof payload === 'string' ? payload : '');
    } catch (error) {
      // The effect is there and this answer is true: better sent than withheld.
      log.warn({ error: (error as Error).message }, 'the answer of an idempotent request could not be kept');
    }
    return payload;
  });
}

/** The header of a request that keys apply to; null when there is none. */
function keyOf(request: FastifyRequest): string | null {
  const header = request.headers['idempotency-key'];
  const route = request.routeOptions.config.route;
  if (header === undefined || route === undefined || !takesIdempotencyKey(route)) return null;
  if (typeof header !== 'string' || !keyPattern.test(header)) {
    throw invalid('idempotency-key', 'must be 1 to 255 printable characters without spaces');
  }
  return header;
}

/** Null: this request executes. */
async function claimOrAnswer(
  request: FastifyRequest,
  key: string,
  store: IdempotencyStore,
): Promise<StoredAnswer | null> {
  const owner = ownerOf(request.actor);
  const claim = randomUUID();
  const hash = inputHash(request);
  const giveUpAtMs = performance.now() + waitMs;
  for (;;) {
    const claimed: Claimed = await store.claim(owner, key, hash, claim).catch((error: unknown) => {
      // Its answer may be all that was lost: a client that tries again must not find the key taken for ever.
      void giveBack(store, owner, key, claim);
      throw error;
    });
    switch (claimed.outcome) {
      case 'claimed':
        request.execution = { owner, key, claim, operation: claimed.operation };
        return null;
      case 'answered':
        return claimed.answer;
      case 'mismatch':
        throw conflict('idempotency_key_reused', 'this Idempotency-Key was used with another request: take a new one');
      case 'running':
        if (performance.now() >= giveUpAtMs) {
          throw conflict('request_in_progress', 'the first request with this Idempotency-Key still runs; try again', {
            headers: { 'retry-after': '1' },
          });
        }
        await delay(lookEveryMs);
    }
  }
}

/** Keys of different senders never meet. */
function ownerOf(actor: Actor): string {
  return isCustomer(actor) ? `user ${actor.userId}` : `${actor.kind} ${actor.publicId}`;
}

/**
 * Without passwords. This hash is fast and stays in the database for a day, so an attacker could try guesses against
 * it. argon2 is there to prevent that. Without card numbers for the same reason, in a field that will be refused for
 * one. Two requests that differ in nothing else count as the same.
 */
function inputHash(request: FastifyRequest): Buffer {
  const [path] = request.url.split('?', 1);
  const body = JSON.stringify(request.body ?? null, (name, value: unknown) =>
    name === 'password' || name === 'newPassword' ? undefined : value,
  );
  return createHash('sha256').update(`${request.method} ${path}\n`).update(maskPansInText(body)).digest();
}

function replay(reply: FastifyReply, { status, headers, body }: StoredAnswer): FastifyReply {
  return reply
    .code(status)
    .headers({ ...headers, 'idempotency-replayed': 'true' })
    .serializer((text: string) => text)
    .send(body);
}

async function finish(
  store: IdempotencyStore,
  { owner, key, claim }: Execution,
  reply: FastifyReply,
  body: string,
): Promise<void> {
  if (reply.statusCode >= 500 || reply.statusCode === 429) {
    return store.release(owner, key, claim).catch((error: unknown) => {
      void giveBack(store, owner, key, claim);
      throw error;
    });
  }
  const headers: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = reply.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  return store.answer(owner, key, claim, { status: reply.statusCode, headers, body });
}

async function giveBack(store: IdempotencyStore, owner: string, key: string, claim: string): Promise<void> {
  if (givingBack >= givingBackMax) return;
  givingBack++;
  try {
    for (let attempt = 0; attempt < giveBackTries; attempt++) {
      const isDone = await store.release(owner, key, claim).then(
        () => true,
        () => false,
      );
      if (isDone) return;
      await delay(giveBackRetryMs);
    }
  } finally {
    givingBack--;
  }
}

/** Names what this request does: the same for every execution of one Idempotency-Key, a new one without a key. */
export function operationOf(request: FastifyRequest): string {
  return request.execution?.operation ?? randomUUID();
}
