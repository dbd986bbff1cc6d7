/**
 * How much of the API one tenant occupies at a time. It counts requests from their authentication to the end of their
 * answer, and among them reports, which keep the database busy for longer. One tenant's slow clients and large reports
 * must not take what the others need.
 */
import type { FastifyReply } from 'fastify';
import { type Actor, isCustomer } from '../auth/principal.js';
import { Problem } from './problem.js';
import { rateKeyOf } from './rate-limits.js';

export interface TenantBounds {
  readonly requests: number;
  readonly reports: number;
}

interface UnderWay {
  requests: number;
  reports: number;
}

export class TenantGate {
  readonly #bounds: TenantBounds;
  readonly #underWay = new Map<string, UnderWay>();
  /** Requests refused; read by the metrics. */
  refused = 0;

  constructor(bounds: TenantBounds) {
    this.#bounds = bounds;
  }

  /** Tenants with requests under way. */
  get tenants(): number {
    return this.#underWay.size;
  }

  /** Counts a request until its answer has left, or its connection is gone. Throws 429. */
  enter(actor: Actor, reply: FastifyReply, isReport: boolean): void {
    // The connection was cut while the caller was looked up: nothing would count the request out.
    if (reply.raw.closed) return;
    const tenant = tenantOf(actor);
    const mine = this.#underWay.get(tenant) ?? { requests: 0, reports: 0 };
    if (mine.requests >= this.#bounds.requests) this.#refuse(`${this.#bounds.requests} requests`);
    if (isReport && mine.reports >= this.#bounds.reports) this.#refuse(`${this.#bounds.reports} reports`);
    mine.requests++;
    if (isReport) mine.reports++;
    this.#underWay.set(tenant, mine);
    reply.raw.once('close', () => {
      mine.requests--;
      if (isReport) mine.reports--;
      if (mine.requests === 0) this.#underWay.delete(tenant);
    });
  }

  #refuse(what: string): never {
    this.refused++;
    throw new Problem(429, 'too_many_at_once', `${what} of yours are under way; wait for an answer before the next`, {
      headers: { 'retry-after': '1' },
    });
  }
}

/** The company, or who acts for none. */
function tenantOf(actor: Actor): string {
  return isCustomer(actor) && actor.companyId !== null ? `company ${actor.companyId}` : rateKeyOf(actor);
}
