/**
 * Completes fundings that stayed `approved`: the API process ended before the engine's answer, or the answer did not
 * come. The engine moves the money once for the movement's id, and answers a repeat with its first answer. So asking
 * again is safe, and each API process does it.
 */
import type { Log } from '../../platform/log.js';
import type { EngineClient } from '../engine-client.js';
import { system } from '../stores/acting.js';
import type { FundingStore } from '../stores/fundings.js';

/** A request waits 5 s for its turn and the engine at most: by then it has completed its funding, or never will. */
export const approvedMsMin = 60_000;
/** Each is a command of the engines: milliseconds, 5 s at most. A stop of the API waits for the step under way. */
const fundingsMax = 10;
/** So many failures in a step mean that no engine answers, rather than that one partition is away. */
const failuresMax = 3;

export interface ApprovedFundingsParts {
  readonly fundings: Pick<FundingStore, 'approved' | 'complete'>;
  readonly engine: Pick<EngineClient, 'move'>;
  readonly log: Pick<Log, 'warn' | 'info'>;
}

export class ApprovedFundings {
  readonly #parts: ApprovedFundingsParts;
  /** Last of the step before: what fails holds up none behind it. */
  #after = 0;

  constructor(parts: ApprovedFundingsParts) {
    this.#parts = parts;
  }

  /** One bounded step. @returns how many fundings it completed */
  async sweep(): Promise<number> {
    const { fundings, engine, log } = this.#parts;
    const found = await fundings.approved(approvedMsMin, this.#after, fundingsMax);
    let completed = 0;
    let failures = 0;
    for (const funding of found) {
      this.#after = funding.number;
      const { id, accountId, movementId, amount } = funding;
      try {
        const { approved, reason } = await engine.move(`${funding.direction}s`, accountId, movementId, amount);
        const outcome = approved ? 'done' : 'refused';
        if (!(await fundings.complete(system('funding'), funding, outcome, reason))) continue;
        completed++;
        log.info({ funding: id, outcome, reason }, 'a movement that was approved has its outcome late');
      } catch (error) {
        log.warn({ funding: id, error: (error as Error).message }, 'a movement that was approved stays open');
        if (++failures === failuresMax) break;
      }
    }
    if (found.length < fundingsMax) this.#after = 0;
    return completed;
  }
}
