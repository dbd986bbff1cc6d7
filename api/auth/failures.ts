/**
 * Failed sign-ins, counted in windows per account and address together, per account, and per address. Too many, and
 * further tries are refused unread until the window ends; successes are never counted. An address that nobody has is
 * counted like any other, so that a refusal tells nothing. Tries that run at the same moment are not counted against
 * each other; the bound on waiting hashes (passwords.ts) bounds those.
 */
import { createHash } from 'node:crypto';
import { Problem } from '../http/problem.js';

export interface FailureCounter {
  /** How many failures each key has in its running window. */
  counts(keys: readonly string[]): Promise<number[]>;
  /** Counts one failure for each key. A key's window starts with its first failure. */
  add(keys: readonly string[]): Promise<void>;
  clear(key: string): Promise<void>;
}

export const windowS = 15 * 60;
/** One person who mistypes, from one place. */
export const pairMax = 10;
/** Many places that guess one person's password. More than the pair's, so that one guesser cannot lock a person out. */
export const accountMax = 100;
/** One place that guesses many people's. An office behind one address mistypes less than this. */
export const addressMax = 200;
/** One place that asks which e-mail addresses are registered. */
export const registrationMax = 30;

export class SignInFailures {
  readonly #counter: FailureCounter;
  /** Tries refused unread; read by the metrics. */
  refused = 0;

  constructor(counter: FailureCounter) {
    this.#counter = counter;
  }

  /**
   * Throws 429 when this account, or this address, has failed too often.
   * @returns whether there is anything that a success would forgive
   */
  async check(email: string, address: string): Promise<boolean> {
    const [pair, account, place] = await this.#counter.counts(keysOf(email, address));
    if (pair! >= pairMax || account! >= accountMax || place! >= addressMax) this.#refuse();
    return pair! > 0;
  }

  async failed(email: string, address: string): Promise<void> {
    await this.#counter.add(keysOf(email, address));
  }

  /** A success forgives the typing errors before it, not the guessing at other accounts. */
  async succeeded(email: string, address: string): Promise<void> {
    const [pair] = keysOf(email, address);
    await this.#counter.clear(pair!);
  }

  /** Registering tells whether an address is taken, which cannot be helped; asking for many of them can. Throws 429. */
  async checkRegistration(address: string): Promise<void> {
    const [refused] = await this.#counter.counts([registrationKey(address)]);
    if (refused! >= registrationMax) this.#refuse();
  }

  /** A registration met a taken e-mail address. */
  async registrationRefused(address: string): Promise<void> {
    await this.#counter.add([registrationKey(address)]);
  }

  #refuse(): never {
    this.refused++;
    throw new Problem(429, 'too_many_failures', 'too many failed tries; wait before trying again', {
      headers: { 'retry-after': String(windowS) },
    });
  }
}

function registrationKey(address: string): string {
  return `r:${networkOf(address)}`;
}

/** E-mail addresses are people's: what is kept elsewhere, for long, holds only a digest. */
function keysOf(email: string, address: string): string[] {
  const account = createHash('sha256').update(email.toLowerCase()).digest('base64url').slice(0, 22);
  const place = networkOf(address);
  return [`p:${account}:${place}`, `u:${account}`, `a:${place}`];
}

/** Whoever has one IPv6 address has its whole /64. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  const [head = '', tail = ''] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === '' ? [] : tail.split(':');
  const gap = address.includes('::') ? Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0') : [];
  return [...first, ...gap, ...last].slice(0, 4).join(':');
}
