/**
 * Failed sign-ins, wrong old passwords and requests for reset links in the audit trail, bounded. A flood of guesses
 * must neither fill the disk nor slow sign-in. The first failure of an account from a network is an entry at once.
 * Later ones within a minute are counted and become one entry at its end. Beyond a number of such pairs the rest of the
 * minute is one count. A crash loses at most the counts of the minute, never a first entry.
 */
import { createHash } from 'node:crypto';
import type { Log } from '../../platform/log.js';
import { type By, system } from '../stores/acting.js';
import type { AuditEvent, AuditTrail } from '../stores/audit.js';
import { type Device, visitorFrom } from '../stores/sessions.js';

export const windowMs = 60_000;
/** Accounts and networks with entries of their own in one minute: at two entries each, 400 of some 300 bytes. */
export const pairsMax = 200;

export interface FailedSignIn {
  readonly kind: 'user' | 'operator';
  /** The e-mail address as the database folds it: only a digest of it is kept. */
  readonly account: string;
  /** Null: there is no such account. */
  readonly publicId: string | null;
  /** What was tried; a sign-in without it. */
  readonly event?: 'sign_in_failed' | 'password_change_failed' | 'password_reset_requested';
  /** Title of the refusal; of a request for a link `accepted`, whether the address is known or not. */
  readonly reason: string;
  readonly device: Device;
  /** Who tried, where that is known; else a visitor from the device's address. */
  readonly by?: By;
}

interface Pair {
  readonly first: FailedSignIn;
  repeats: number;
}

export class FailedSignIns {
  readonly #trail: Pick<AuditTrail, 'note'>;
  readonly #log: Log;
  readonly #nowMs: () => number;
  #pairs = new Map<string, Pair>();
  #beyond = 0;
  #endsMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(trail: Pick<AuditTrail, 'note'>, log: Log, nowMs: () => number = Date.now) {
    this.#trail = trail;
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Never rejects: the answer to a failed sign-in does not depend on its entry. */
  async note(failed: FailedSignIn): Promise<void> {
    if (this.#nowMs() >= this.#endsMs) {
      void this.flush();
      this.#endsMs = this.#nowMs() + windowMs;
      this.#timer = setTimeout(() => void this.flush(), windowMs);
      this.#timer.unref();
    }
    const key = `${failed.kind} ${failed.event} ${failed.account} ${failed.device.network} ${failed.reason}`;
    const pair = this.#pairs.get(key);
    if (pair !== undefined) {
      pair.repeats++;
      return;
    }
    if (this.#pairs.size >= pairsMax) {
      this.#beyond++;
      return;
    }
    this.#pairs.set(key, { first: failed, repeats: 0 });
    await this.#try(() => this.#trail.note(failed.by ?? visitorFrom(failed.device), eventOf(failed)));
  }

  /** Writes what was counted, and begins again with the next failure. */
  async flush(): Promise<void> {
    const pairs = [...this.#pairs.values()].filter(({ repeats }) => repeats > 0);
    const beyond = this.#beyond;
    clearTimeout(this.#timer);
    this.#pairs = new Map();
    this.#beyond = 0;
    this.#endsMs = 0;
    const byActor = new Map<By | string, Pair[]>();
    for (const pair of pairs) {
      const actor = pair.first.by ?? pair.first.device.address;
      byActor.set(actor, [...(byActor.get(actor) ?? []), pair]);
    }
    for (const [actor, ofActor] of byActor) {
      const events = ofActor.map(({ first, repeats }) => eventOf(first, { repeats, withinS: windowMs / 1000 }));
      const by = typeof actor === 'string' ? visitorFrom({ address: actor, requestId: '' }) : actor;
      await this.#try(() => this.#trail.note(by, ...events));
    }
    if (beyond === 0) return;
    const after = { failures: beyond, withinS: windowMs / 1000, from: 'more accounts and networks than are listed' };
    await this.#try(() =>
      this.#trail.note(system('sign-in'), {
        action: 'sign_in.failed',
        objectKind: null,
        objectId: null,
        after,
        outcome: 'refused',
      }),
    );
  }

  async #try(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'a failed sign-in is not in the audit trail');
    }
  }
}

function eventOf(
  { kind, event = 'sign_in_failed', account, publicId, reason }: FailedSignIn,
  more: Record<string, unknown> = {},
): AuditEvent {
  // An address is a person's: a digest is enough to see that two guesses were at the same one.
  const digest = createHash('sha256').update(account).digest('base64url').slice(0, 22);
  const after = { reason, account: digest, ...more };
  const outcome = event === 'password_reset_requested' ? 'asked' : 'refused';
  return { action: `${kind}.${event}`, objectKind: kind, objectId: publicId, after, outcome };
}
