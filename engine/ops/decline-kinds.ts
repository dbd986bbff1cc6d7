/** The kinds of declines that mean trouble here, not with the card: what they are called, counted by, and caused by. */

import { Reason, reasonEntry } from '../core/reasons.js';
import { journalRefusals } from '../exchange/progress.js';
import type { DeclineKind } from './decline-log.js';
import type { Health } from './health.js';
import type { JournalOwner, JournalRoom } from './journal-room.js';
import type { MemoryRoom } from './memory-room.js';
import type { Telemetry } from './telemetry.js';

export interface DeclineParts {
  readonly telemetry: Pick<Telemetry, 'declined'>;
  readonly hosts: readonly JournalOwner[];
  readonly room: Pick<JournalRoom, 'problemOf'>;
  readonly health: Pick<Health, 'notReady'>;
  readonly memory: Pick<MemoryRoom, 'problem'>;
  /** Messages refused because memory had no room for what they need. */
  readonly roomRefusals: () => number;
}

/** While other messages are approved. */
const usualCauses = {
  [Reason.systemError]: 'messages beyond their deadline, or of a partition that is not ready',
  [Reason.overloaded]: 'more messages at once than MAX_IN_FLIGHT, or than a partition takes',
};

export function declineKinds({ telemetry, hosts, room, health, memory, roomRefusals }: DeclineParts): DeclineKind[] {
  const kinds: DeclineKind[] = [
    {
      name: '503 overloaded: no room in memory',
      count: roomRefusals,
      cause: () => memory.problem() || 'what a lookup brought left memory before its message came: memory is too small',
    },
  ];
  for (const reason of [Reason.systemError, Reason.overloaded] as const) {
    const { name } = reasonEntry(reason);
    const cause = () => health.notReady().join('; ') || usualCauses[reason];
    kinds.push({ name: `503 ${name}`, count: () => telemetry.declined(reason).refused, cause });
    kinds.push({ name: `declined ${name}`, count: () => telemetry.declined(reason).decided, cause });
  }
  for (const owner of hosts) {
    for (const refusal of journalRefusals.slice(1)) {
      kinds.push({
        name: `batches of partition ${owner.partition} without room in the journal: ${refusal}`,
        count: () => owner.progress.refusedBatches(refusal),
        cause: () => room.problemOf(owner),
      });
    }
  }
  return kinds;
}
