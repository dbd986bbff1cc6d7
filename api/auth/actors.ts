/**
 * Who asks, by the form of the bearer token: an API key (`afc_…`), an operator's session (`afo_…`), or a customer's
 * access token. Keys and operators are few and powerful, so each of their requests reads the database. Every process
 * refuses a revoked key or an ended session at once.
 */
import { LRUCache } from 'lru-cache';
import { invalidToken, unauthorized } from '../http/problem.js';
import { customerRateKey, type KnownCallers, rateKeyOf } from '../http/rate-limits.js';
import type { Authenticator } from '../http/register-routes.js';
import type { ApiKeyStore } from '../stores/api-keys.js';
import type { OperatorStore } from '../stores/operators.js';
import type { Access } from './access.js';
import type { Actor, Principal } from './principal.js';
import { isCustomer } from './principal.js';

/** Ours are shorter; a longer one is not worth a hash. */
const tokenLengthMax = 1024;
const bearer = /^bearer +(\S+)$/i;

/** Keys and operators' sessions whose owner is remembered for the rate limits, and for how long. */
const ownersMax = 10_000;
const ownersMs = 60_000;

export class Actors implements Authenticator, KnownCallers {
  readonly #access: Access;
  readonly #operators: Pick<OperatorStore, 'bySession'>;
  readonly #keys: Pick<ApiKeyStore, 'byKey'>;
  readonly #owners = new LRUCache<string, string>({ max: ownersMax, ttl: ownersMs });

  constructor(access: Access, operators: Pick<OperatorStore, 'bySession'>, keys: Pick<ApiKeyStore, 'byKey'>) {
    this.#access = access;
    this.#operators = operators;
    this.#keys = keys;
  }

  authenticate(authorization: string | undefined): Actor | Promise<Actor> {
    const token = tokenOf(authorization);
    if (token.startsWith('afc_')) return this.#known(token, this.#keys.byKey(token));
    if (token.startsWith('afo_')) return this.#known(token, this.#operators.bySession(token));
    return this.#access.authenticate(token);
  }

  known(authorization: string | undefined): string | null | Promise<string | null> {
    const [, token] = bearer.exec(authorization ?? '') ?? [];
    if (token === undefined || token.length > tokenLengthMax) return null;
    if (token.startsWith('af')) return this.#owners.get(token) ?? null;
    const userId = this.#access.signedUser(token);
    return userId instanceof Promise ? userId.then(customerKey) : customerKey(userId);
  }

  async confirm(actor: Actor, authorization: string | undefined): Promise<Actor> {
    return isCustomer(actor) ? this.#confirmCustomer(actor) : this.authenticate(authorization);
  }

  async #known<T extends Actor>(token: string, looked: Promise<T | null>): Promise<T> {
    const actor = await looked;
    if (actor === null) throw invalidToken();
    this.#owners.set(token, rateKeyOf(actor));
    return actor;
  }

  #confirmCustomer(customer: Principal): Promise<Actor> {
    return this.#access.confirm(customer);
  }
}

function customerKey(userId: number | null): string | null {
  return userId === null ? null : customerRateKey(userId);
}

/** The token of a bearer header. Throws a 401. */
export function tokenOf(authorization: string | undefined): string {
  const [, token] = bearer.exec(authorization ?? '') ?? [];
  if (authorization === undefined) throw unauthorized();
  if (token === undefined || token.length > tokenLengthMax) throw invalidToken();
  return token;
}
