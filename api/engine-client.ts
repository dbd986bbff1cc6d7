/**
 * The engine as the API sees it: books, windows and money movements, over its ops port. The API never writes a balance
 * and never guesses one: without the engine these answer 503.
 */
import type { RollingRow } from '../engine/core/rolling.js';
import { OperationTimes } from '../platform/metrics/operation-times.js';
import { noteHop, runningTrace } from '../platform/tracing/request-trace.js';
import { Problem, unavailable } from './http/problem.js';

/** The engine answers in milliseconds; a person waits. */
const lookMs = 2_000;
/** A movement is synced to disk first. Who gives up sooner learns nothing, for the same key asks again. */
const moveMs = 5_000;
/**
 * Most requests under way, and with them connections: fetch opens one for each. Without a bound a busy moment takes
 * every file descriptor of this process and every connection of the engine's ops port.
 */
const requestsMax = 64;
/** Most requests that wait for one of those. */
const waitingMax = 4096;
/** The engine's own bound on ids in one question. */
const idsMax = 200;

/** One component of the engine's health. */
export interface ComponentHealth {
  readonly status: 'healthy' | 'unhealthy' | 'disabled';
  readonly detail: string;
}

export interface AccountBooks {
  readonly id: string;
  readonly currency: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export interface Movement {
  readonly id: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly amount: number;
  readonly account: AccountBooks;
}

/** Spent in the calendar windows, daily to lifetime, as of local day `day`. */
export interface WindowUse {
  readonly day: number;
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
  /** Null: no rolling window counts. */
  readonly rolling: RollingRow | null;
}

/** What a release came to: `approvedAmount` was released. */
export interface Release {
  readonly id: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly approvedAmount: number;
  readonly currency: string | null;
  readonly available: number;
}

/** See DecisionView of the engine. */
export interface EngineDecision {
  readonly id: string;
  readonly authorizationId: string;
  readonly original: string | null;
  readonly type: string;
  readonly protocol: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail: string;
  readonly amount: number | null;
  readonly approvedAmount: number;
  readonly available: number;
  readonly held: number;
  readonly currency: string;
  readonly card: string;
  readonly cardVersion: number;
  readonly merchant: { readonly id: string; readonly name: string; readonly mcc: string; readonly country: string };
  readonly channel: string;
  readonly accountNumber: number;
  readonly cardNumber: number;
  readonly userNumber: number;
  readonly partition: number;
  readonly sequence: number;
  readonly atMs: number;
  readonly revokedAtMs: number | null;
  readonly numbersKept: boolean;
  readonly hopsMs: {
    readonly wait: number;
    readonly decide: number;
    readonly journal: number;
    readonly send: number;
  } | null;
  readonly checks: readonly {
    readonly reason: string;
    readonly detail: string;
    readonly passed: boolean | null;
    readonly numbers: Readonly<Record<string, string | number | boolean | null>>;
  }[];
}

/** See EngineView of the engine. */
export interface EngineOwner {
  readonly id: string;
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly epoch: number;
  readonly partitions: readonly number[];
  readonly leaseMsLeft: number;
}

/** What came of trying to settle a quarantined record again; see RetryOutcome of the engine. */
export interface RetryOutcome {
  readonly status: 'settled' | 'refused' | 'absent' | 'unavailable';
  readonly error: string;
}

export type WindowLevel = 'card' | 'user' | 'account';

export interface EngineHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export class EngineClient {
  readonly #url: string;
  readonly #token: string;
  readonly #turns = new Turns(requestsMax, waitingMax);
  /** Counters, read by the metrics. */
  requests = 0;
  failures = 0;
  readonly times = new OperationTimes();

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  /** Books of those accounts by public id; unknown ones are left out. Throws 503. */
  async books(accountIds: readonly string[]): Promise<Map<string, AccountBooks>> {
    const found = new Map<string, AccountBooks>();
    for (let start = 0; start < accountIds.length; start += idsMax) {
      const ids = accountIds.slice(start, start + idsMax).map(encodeURIComponent);
      const { accounts } = await this.#ask<{ accounts: AccountBooks[] }>(`/admin/accounts?ids=${ids.join(',')}`);
      for (const account of accounts) found.set(account.id, account);
    }
    return found;
  }

  /** What was spent in the windows of one card, user or account, by internal number. Throws 503. */
  async windowUse(level: WindowLevel, number: number): Promise<WindowUse | null> {
    const use = await this.#ask<Record<WindowLevel, WindowUse | null>>(`/admin/windows?${level}=${number}`);
    return use[level];
  }

  /**
   * Moves money in or out, once for one `id`, however often it is asked.
   * @throws Problem 409 when the id was used for something else, 503 when the engine's answer is not known
   */
  move(direction: 'deposits' | 'withdrawals', accountId: string, id: string, amount: number): Promise<Movement> {
    return this.#ask<Movement>(`/admin/accounts/${encodeURIComponent(accountId)}/${direction}`, { id, amount });
  }

  /**
   * Releases what an authorization still holds, once for one `id`, however often it is asked.
   * @param card token of the authorization's card
   */
  release(id: string, original: string, card: string): Promise<Release> {
    return this.#ask<Release>('/admin/releases', { id, original, card });
  }

  /** Settles a quarantined record after all. Throws 503. */
  retry(partition: number, sequence: number): Promise<RetryOutcome> {
    return this.#ask<RetryOutcome>(`/admin/quarantine/${partition}/${sequence}/retry`, {});
  }

  /** Why a decision was made, by its id as it is kept; null: there is none. Throws 503. */
  async decision(id: string): Promise<EngineDecision | null> {
    try {
      return await this.#ask<EngineDecision>(`/admin/decisions/${encodeURIComponent(id)}`);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return null;
      throw error;
    }
  }

  /** The engines that run on the database. Throws 503. */
  async engines(): Promise<readonly EngineOwner[]> {
    return (await this.#ask<{ readonly data: readonly EngineOwner[] }>('/admin/engines')).data;
  }

  async health(): Promise<EngineHealth> {
    try {
      const { status } = await this.#send('/readyz', undefined, 1_000);
      return status === 200 ? { isUp: true, detail: 'ready' } : { isUp: false, detail: `answers ${status}` };
    } catch (error) {
      return { isUp: false, detail: reasonOf(error) };
    }
  }

  /** How Marqeta's calls fare at all engines. Throws 503. */
  marqeta(): Promise<ComponentHealth> {
    return this.#ask<ComponentHealth>('/admin/marqeta');
  }

  async #ask<T>(path: string, body?: object): Promise<T> {
    this.requests++;
    const startedMs = performance.now();
    let reply: { status: number; text: string };
    try {
      reply = await this.#send(path, body, body === undefined ? lookMs : moveMs);
    } catch {
      throw this.#failed('the engine does not answer; try again with the same Idempotency-Key');
    } finally {
      this.times.add('', performance.now() - startedMs);
      noteHop('engine', startedMs);
    }
    if (reply.status === 200) return JSON.parse(reply.text) as T;
    if (reply.status === 409) throw new Problem(409, 'duplicate_conflict', 'this was asked before with other content');
    if (reply.status === 404) throw new Problem(404, 'not_found', 'there is nothing here');
    throw this.#failed(`the engine cannot answer now (${reply.status}); try again with the same Idempotency-Key`);
  }

  #failed(detail: string): Problem {
    this.failures++;
    return unavailable(detail, 1, 'engine_unavailable');
  }

  async #send(path: string, body: object | undefined, deadlineMs: number): Promise<{ status: number; text: string }> {
    const signal = AbortSignal.timeout(deadlineMs);
    await this.#turns.take(signal);
    try {
      const response = await fetch(this.#url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json', ...traceHeader() },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal,
      });
      return { status: response.status, text: await response.text() };
    } finally {
      // fetch has its connection free a moment later: the next request would open another one.
      setImmediate(() => this.#turns.giveBack());
    }
  }
}

function traceHeader(): Record<string, string> {
  const trace = runningTrace();
  return trace === undefined ? {} : { traceparent: trace.traceparent };
}

/** So many at once; the others wait in order, each until its own deadline. */
class Turns {
  #free: number;
  readonly #waitingMax: number;
  readonly #waiting = new Set<() => void>();

  constructor(atOnceMax: number, waitingMax: number) {
    this.#free = atOnceMax;
    this.#waitingMax = waitingMax;
  }

  /** Rejects when the deadline comes first, and at once when too many wait. */
  async take(deadline: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= this.#waitingMax) throw new Error('too many requests wait for the engine');
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        deadline.removeEventListener('abort', late);
        resolve();
      };
      const late = (): void => {
        this.#waiting.delete(turn);
        reject(deadline.reason as Error);
      };
      this.#waiting.add(turn);
      deadline.addEventListener('abort', late, { once: true });
    });
  }

  giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
}
