/**
 * Completes entries of the audit trail that were asked of the engine and have no outcome: the API process ended before
 * the engine's answer, or the answer did not come. The engines know a movement or a release by its id, in their
 * journals and among what is settled. Where they know none, the outcome is recorded as unknown. Each API process does
 * this, and the database takes one outcome for an entry.
 */
import type { Log } from '../../platform/log.js';
import type { EngineClient } from '../engine-client.js';
import type { AuditTrail, OpenEntry } from '../stores/audit.js';
import type { Quarantine } from '../stores/quarantine.js';

/** A request waits 5 s for its turn and the engine at most, and some more for a connection to record the outcome. */
export const openMsMin = 60_000;
/** Engines that cannot say for longer are a case for a person, so they must see the entry. */
export const failingMsMax = 3_600_000;
/** Each is a look at the engines: milliseconds, 2 s at most. A stop of the API waits for the step that is under way. */
const entriesMax = 10;
/** So many failures in a step mean that no engine answers, rather than that one partition is away. */
const failuresMax = 3;

/** As much as is known of what came of an entry. */
interface Found {
  readonly outcome: 'done' | 'refused' | 'unknown';
  readonly after: Readonly<Record<string, string | number | null>>;
}

export interface OpenEntriesParts {
  readonly trail: Pick<AuditTrail, 'open' | 'failing' | 'complete'>;
  readonly engine: Pick<EngineClient, 'decision'>;
  readonly quarantine: Pick<Quarantine, 'list'>;
  readonly log: Pick<Log, 'warn' | 'info'>;
}

export class OpenEntries {
  readonly #parts: OpenEntriesParts;

  constructor(parts: OpenEntriesParts) {
    this.#parts = parts;
  }

  /** One bounded step. @returns how many entries it completed */
  async sweep(): Promise<number> {
    const { trail, log } = this.#parts;
    let completed = 0;
    let failures = 0;
    for (const entry of await trail.open(openMsMin, entriesMax)) {
      if (failures === failuresMax) break;
      let found = await this.#find(entry).catch(() => null);
      if (found === null) {
        failures++;
        if ((await trail.failing(entry.id)) >= failingMsMax) found = unknown(entry, 'engine_unavailable');
      }
      if (found === null || !(await trail.complete(entry.id, found.outcome, found.after))) continue;
      completed++;
      const { outcome } = found;
      const fields = { entry: entry.id, action: entry.action, object: entry.objectId, outcome };
      if (outcome === 'unknown') log.warn(fields, 'an entry of the audit trail has an outcome that is unknown');
      else log.info(fields, 'an entry of the audit trail has its outcome late');
    }
    return completed;
  }

  /** @throws where the engines or PostgreSQL cannot be asked */
  async #find(entry: OpenEntry): Promise<Found> {
    if (entry.action === 'quarantine.retry') return this.#findRecord(entry);
    const decision = await this.#parts.engine.decision(entry.key);
    if (decision === null) return unknown(entry, 'no_decision');
    const { approved, reason, type, card, amount, approvedAmount } = decision;
    const outcome = approved ? 'done' : 'refused';
    if (entry.action === 'transaction.release') return { outcome, after: { answer: reason, released: approvedAmount } };
    const isSame =
      entry.action === `account.${type}` && card === entry.objectId && amount === (entry.after?.['amount'] ?? null);
    return isSame ? { outcome, after: { reason } } : { outcome: 'refused', after: { reason: 'duplicate_conflict' } };
  }

  /** Whether the record is settled says nothing of which of several retries has settled it. */
  async #findRecord({ objectId }: OpenEntry): Promise<Found> {
    const [partition = -1, sequence = -1] = objectId.split('/').map(Number);
    const [next] = await this.#parts.quarantine.list([partition, sequence - 1], 1);
    const isLeft = next?.partition === partition && next.sequence === sequence;
    return { outcome: 'unknown', after: { status: isLeft ? 'quarantined' : 'absent' } };
  }
}

function unknown({ action }: OpenEntry, why: 'no_decision' | 'engine_unavailable'): Found {
  if (action === 'quarantine.retry') return { outcome: 'unknown', after: { status: why } };
  // A release has the operator's reason under that name.
  return { outcome: 'unknown', after: { [action === 'transaction.release' ? 'answer' : 'reason']: why } };
}
