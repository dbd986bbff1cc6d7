/**
 * The last decisions, for `GET /admin/live`. Batches that were answered are seen here, and of some their bytes are
 * copied, without allocating. They become texts at the tick. A repeat, a fact of a notification and a ledger command
 * are left out. A message that hopped is seen by the engine that decided it.
 */
import { type DecisionSample, samplesMax } from '../../platform/live/engine-line.js';
import { Protocol, unpackLetters } from '../core/codes.js';
import { answerBytesMax } from '../core/limits.js';
import { Reason, reasonEntry } from '../core/reasons.js';
import { Request, textOf } from '../core/request.js';
import { AnswerFlag, EntryFlag, EntryStatus, markBytes, type Slab } from '../exchange/slab.js';
import type { Codecs } from '../protocols/registry.js';

/** Processors send one to three kilobytes. A longer message is left out. */
const requestBytesMax = 8192;
/** When more are decided than a line has room for, the newest of the last moment before the line are in it. */
const newestMs = 10;
/** And in case nothing is answered in that moment: one batch in so long before it. */
const refreshMs = 25;
const cardLettersShown = 4;

const decidedOnPorts: ReadonlySet<number> = new Set([
  Protocol.native,
  Protocol.marqeta,
  Protocol.lithic,
  Protocol.stripe,
]);
/** By entry kind: a lookup in an array costs the least. */
const isSampled = Uint8Array.from({ length: 256 }, (_, kind) => (decidedOnPorts.has(kind) ? 1 : 0));

export interface LiveSampleOptions {
  /** Of its own: reading counts unknown fields. */
  readonly codecs: Codecs;
  readonly deadlineMs: number;
  /** Approvals are being taken back: see LaneEvents.isStale. */
  isStale(): boolean;
}

export class LiveSample {
  /** False: nothing is copied. */
  isWatched = false;
  readonly #options: LiveSampleOptions;
  readonly #request = new Request();
  readonly #requests = Buffer.alloc(samplesMax * requestBytesMax);
  readonly #answers = Buffer.alloc(samplesMax * answerBytesMax);
  readonly #requestBytes = new Int32Array(samplesMax);
  readonly #answerBytes = new Int32Array(samplesMax);
  readonly #kind = new Uint8Array(samplesMax);
  readonly #flags = new Uint8Array(samplesMax);
  readonly #reason = new Uint8Array(samplesMax);
  readonly #atMs = new Float64Array(samplesMax);
  readonly #tookMs = new Float64Array(samplesMax);
  /** Copied since take(); the last of them are there. */
  #count = 0;
  #newestFromMs = 0;
  #copiedAtMs = 0;

  constructor(options: LiveSampleOptions) {
    this.#options = options;
  }

  /** The answers of the slab have left. */
  see(slab: Slab): void {
    if (!this.isWatched) return;
    const { returnedAtMs } = slab;
    const isFull = this.#count >= samplesMax;
    if (isFull && returnedAtMs < this.#newestFromMs && returnedAtMs < this.#copiedAtMs + refreshMs) return;
    this.#copiedAtMs = returnedAtMs;
    const isStale = this.#options.isStale();
    let first = slab.count;
    for (let found = 0; first > 0 && found < samplesMax; first--) if (this.#isShown(slab, first - 1, isStale)) found++;
    for (let index = first; index < slab.count; index++)
      if (this.#isShown(slab, index, isStale)) this.#copy(slab, index);
  }

  #isShown(slab: Slab, index: number, isStale: boolean): boolean {
    if (isSampled[slab.kind[index]!] === 0 || slab.status[index] !== EntryStatus.decided) return false;
    const flags = slab.answerFlags[index]!;
    if ((flags & (AnswerFlag.repeated | AnswerFlag.unsupported)) !== 0) return false;
    // An approval that came too late was answered 503, and is revoked.
    const isLate = isStale || slab.returnedAtMs - slab.arrivalMs[index]! >= this.#options.deadlineMs;
    return !isLate || (flags & AnswerFlag.revocable) === 0;
  }

  #copy(slab: Slab, index: number): void {
    const start = slab.start[index]!;
    const mark = (slab.flags[index]! & EntryFlag.marked) !== 0 ? markBytes : 0;
    const length = slab.end[index]! - mark - start;
    if (length > requestBytesMax) return;
    const slot = this.#count++ % samplesMax;
    this.#requestBytes[slot] = length;
    copy(this.#requests, slot * requestBytesMax, slab.request, start, length);
    const answerStart = slab.answerStart[index]!;
    const answerLength = slab.answerEnd[index]! - answerStart;
    this.#answerBytes[slot] = answerLength;
    copy(this.#answers, slot * answerBytesMax, slab.answer, answerStart, answerLength);
    this.#kind[slot] = slab.kind[index]!;
    this.#flags[slot] = slab.answerFlags[index]!;
    this.#reason[slot] = slab.reason[index]!;
    this.#atMs[slot] = slab.sealedAtMs;
    this.#tookMs[slot] = slab.returnedAtMs - slab.arrivalMs[index]!;
  }

  /** What was copied since the call before, oldest first. @param nextMs when the next call comes */
  take(nextMs: number): DecisionSample[] {
    const count = this.#count;
    this.#count = 0;
    this.#newestFromMs = nextMs - newestMs;
    const samples: DecisionSample[] = [];
    for (let place = Math.max(0, count - samplesMax); place < count; place++) {
      const sample = this.#read(place % samplesMax);
      if (sample !== null) samples.push(sample);
    }
    return samples;
  }

  #read(slot: number): DecisionSample | null {
    const kind = this.#kind[slot]!;
    const request = this.#request;
    const start = slot * requestBytesMax;
    const codec = this.#options.codecs[kind];
    if (codec === undefined || codec.read(request, this.#requests, start, start + this.#requestBytes[slot]!) !== null) {
      return null;
    }
    const { source } = request;
    const id = textOf(source, request.id);
    const merchant = {
      name: textOf(source, request.merchantName),
      mcc: request.mcc < 0 ? '' : String(request.mcc).padStart(4, '0'),
      country: unpackLetters(request.country),
    };
    const answer = kind === Protocol.native ? this.#answerOf(slot) : {};
    // A hidden id is shown as it is kept; the answer has it as it was sent.
    const root = request.hidden === null ? answer.authorizationId : undefined;
    return {
      id,
      authorizationId: root ?? (textOf(source, request.original) || id),
      atMs: round(this.#atMs[slot]!),
      approved: (this.#flags[slot]! & AnswerFlag.approved) !== 0,
      reason: reasonEntry(this.#reason[slot]! as Reason).name,
      ...(answer.detail === undefined ? {} : { detail: answer.detail }),
      amount: answer.amount ?? Math.max(0, request.amountMinor),
      currency: answer.currency ?? unpackLetters(request.currency),
      merchant: merchant.name + merchant.mcc + merchant.country === '' ? null : merchant,
      card: `…${textOf(source, request.keptCard).slice(-cardLettersShown)}`,
      tookMs: round(this.#tookMs[slot]!),
    };
  }

  #answerOf(slot: number): NativeAnswer {
    if (this.#reason[slot] === Reason.duplicateConflict) return {};
    const start = slot * answerBytesMax;
    return JSON.parse(this.#answers.toString('utf8', start, start + this.#answerBytes[slot]!)) as NativeAnswer;
  }
}

interface NativeAnswer {
  readonly authorizationId?: string | null;
  readonly detail?: string;
  readonly amount?: number;
  readonly currency?: string | null;
}

/** A loop: Buffer.copy would make an object for each call. */
function copy(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): void {
  for (let index = 0; index < length; index++) target[at + index] = source[start + index]!;
}

/** To microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
