/** What the authorization port is made of, for all the files that answer on it. */
import type { Clock } from '../../clock.js';
import type { Reason } from '../../core/reasons.js';
import type { Admission } from '../../ledger/admission.js';
import type { Ledger } from '../../ledger/ledger.js';
import type { Waiter } from '../../ledger/waiter.js';
import type { MessageCounts } from '../../ops/message-counts.js';
import type { MessageTraces } from '../../ops/message-traces.js';
import type { Fact } from '../../protocols/facts/codec.js';
import type { BasicAuth } from './basic-auth.js';
import type { Route, SignedRoute } from './routes.js';

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /** Other threads of this engine listen on the port too: the kernel spreads the connections. */
  readonly isPortShared: boolean;
  readonly routes: readonly Route[];
  readonly signedRoutes: readonly SignedRoute[];
  readonly auth: BasicAuth;
  readonly clock: Clock;
  readonly admission: Pick<Admission, 'enter' | 'leave'>;
  readonly gate: Gate;
  readonly telemetry: MessageCounts;
  /** Null: traces are off. */
  readonly traces: MessageTraces | null;
  readonly ledger: MessageLedger;
  readonly closing: Closing;
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

/** What the port needs of the ledger. */
export interface MessageLedger extends Pick<Ledger, 'submit'> {
  /** The client of a message has gone; absent where the ledger sees it in the waiter itself. */
  abandon?(waiter: Waiter): void;
}

/** Bounds the connections, see ConnectionGate. */
export interface Gate {
  enter(address: string): boolean;
  leave(): void;
  forgetAddress(address: string): void;
}

/** The authorization port from outside: a server in the main thread, or front threads. */
export interface AuthorizationPort {
  /** Begins what listen() would wait for; absent where there is nothing to begin. Call it once, before listen(). */
  prepare?(): void;
  /** Starts listening. Rejects when the port is taken. */
  listen(): Promise<void>;
  /** From now on each answer ends its connection: clients go on at another engine. */
  leave(): void;
  /** New requests are answered 503 shutting_down, once this has returned or resolves. */
  refuse(): void | Promise<void>;
  /** Takes no new connections. */
  stopAccepting(): void | Promise<void>;
  /** Closes every connection. */
  close(): void | Promise<void>;
}

/** How the port ends. */
export interface Closing {
  isLeaving: boolean;
  isRefusing: boolean;
}
