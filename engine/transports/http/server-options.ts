/** What the authorization port is made of, for all the files that answer on it. */
import type { ConnectionGate } from '../../../platform/process/connection-gate.js';
import type { Clock } from '../../clock.js';
import type { Reason } from '../../core/reasons.js';
import type { Admission } from '../../ledger/admission.js';
import type { Ledger } from '../../ledger/ledger.js';
import type { MessageTraces } from '../../ops/message-traces.js';
import type { Telemetry } from '../../ops/telemetry.js';
import type { Fact } from '../../protocols/facts/codec.js';
import type { BasicAuth } from './basic-auth.js';
import type { Route, SignedRoute } from './routes.js';

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: readonly Route[];
  readonly signedRoutes: readonly SignedRoute[];
  readonly auth: BasicAuth;
  readonly clock: Clock;
  readonly admission: Admission;
  readonly gate: ConnectionGate;
  readonly telemetry: Telemetry;
  /** Null: traces are off. */
  readonly traces: MessageTraces | null;
  readonly ledger: Ledger;
  /** Called for a decided answer that took longer than the configured bound. */
  slow(totalMs: number, waitMs: number, runMs: number): void;
  /** At most the deadline. */
  readonly slowMs: number;
  readonly deadlineMs: number;
  /** Called for a declined message of a kind that we do not serve, with the answer, which names the kind. */
  unsupported(answer: string): void;
  /** Called for a fact that was declined, so that its money is in no books. */
  unbooked(fact: Fact, reason: Reason): void;
  /** Called with a notification in which something is not known, so that a person can read what it was. */
  unread(body: Uint8Array): void;
}

/** How the port ends. */
export interface Closing {
  readonly isLeaving: boolean;
  readonly isRefusing: boolean;
}
