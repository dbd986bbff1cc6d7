/** Messages between the main thread and a front thread, beside the batches (front-batch.ts). */
import type { SpanTimes, TraceIds } from '../../platform/tracing/traces.js';
import type { ClockShare } from '../clock.js';
import type { EngineConfig } from '../config.js';
import type { Protocol } from '../core/codes.js';

/** What a front thread is made with. */
export interface FrontData {
  /** From 1. */
  readonly number: number;
  readonly config: FrontConfig;
  readonly clock: ClockShare;
  /** SharedAdmission, SharedGate and SharedClosing of all front threads; the others are of this one. */
  readonly admission: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly closing: SharedArrayBuffer;
  readonly bodyBytes: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

export type FrontConfig = Pick<
  EngineConfig,
  | 'host'
  | 'authPort'
  | 'authConnections'
  | 'processorUser'
  | 'processorPasswords'
  | 'signingSecrets'
  | 'panKeys'
  | 'strictFields'
  | 'deadlineMs'
  | 'slowAuthorizationMs'
  | 'maxInFlight'
  | 'traces'
>;

/** What a front thread carries out in order, and answers with `done`; `catchUp` is the answer alone. */
export type FrontStep = 'listen' | 'catchUp' | 'stopAccepting' | 'close';

export interface FrontOrder {
  readonly step: FrontStep;
  readonly id: number;
}

/** From a front thread. */
export type FrontReport =
  | { readonly kind: 'done'; readonly id: number; readonly error: string }
  /** For the log of the engine. */
  | { readonly kind: 'log'; readonly fields: object; readonly message: string }
  | {
      readonly kind: 'notified';
      readonly protocol: Protocol;
      readonly notification: string;
      /** Since the last report. */
      readonly count: number;
    }
  | { readonly kind: 'trace'; readonly ids: TraceIds; readonly whole: SpanTimes; readonly parts: readonly SpanTimes[] };

/** Anything that goes to the main thread, or to a front thread: an ArrayBuffer is a batch. */
export type FromFront = ArrayBuffer | FrontReport;
export type ToFront = ArrayBuffer | FrontOrder;
