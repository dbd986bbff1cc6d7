/**
 * Deposits, withdrawals and releases of holds from the ops port. They pass the same admission, lanes, journal and
 * deadline as authorizations, and come back as one answer.
 *
 * A 503 here says that the outcome is not known. Unlike a late approval a command is never revoked (isNeverRevoked). So
 * a repeat gets the one answer, whether the command was executed meanwhile or not.
 */

import type { FieldError } from '../../platform/problems/field-error.js';
import type { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import { Request } from '../core/request.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryStatus } from '../exchange/slab.js';
import { Counted } from '../ops/message-counts.js';
import type { Telemetry } from '../ops/telemetry.js';
import { answerBytesMax, type Codec } from '../protocols/codec.js';
import type { CommandName } from '../protocols/commands/codec.js';
import { decodeBody, parseJson } from '../protocols/reading/body-text.js';
import { repeatedName, wholeText } from '../protocols/reading/json-text.js';
import { shownName } from '../protocols/reading/member-names.js';
import { repeatedMessage } from '../protocols/reading/slow-parts.js';
import { writeFault } from '../protocols/refusal.js';
import type { Admission } from './admission.js';
import type { Ledger } from './ledger.js';
import type { Waiter } from './waiter.js';

/** What became of a command: a decision, a fault of the command, an unknown account, or nothing (unavailable). */
export interface CommandAnswer {
  /** One of EntryStatus. */
  readonly status: number;
  readonly reason: Reason;
  /** The decision in the words of the command's codec, or the fault, see refusal.ts. */
  readonly bytes: Uint8Array;
  readonly isShuttingDown: boolean;
}

export interface LedgerCommandsOptions {
  readonly admission: Admission;
  readonly telemetry: Telemetry;
  readonly codec: Codec;
  /** Reads and answers releases, which are reversals of our own form. */
  readonly native: Codec;
  nowMs(): number;
  readonly ledger: Ledger;
}

export class LedgerCommands {
  readonly #options: LedgerCommandsOptions;
  readonly #request = new Request();
  #isOpen = false;

  constructor(options: LedgerCommandsOptions) {
    this.#options = options;
  }

  /** Takes commands from now on: the engine remembers every id that it has answered. */
  open(): void {
    this.#isOpen = true;
  }

  /** Takes no more; what is in flight is answered. */
  close(): void {
    this.#isOpen = false;
  }

  /**
   * Carries out a command and resolves with its answer, or with a 503, within the deadline. Never rejects.
   * @param account public id as it stands in the path
   * @param body as sent: `{ "id", "amount" }`
   */
  submit(name: CommandName, account: string, body: Uint8Array): Promise<CommandAnswer> {
    return this.#send(name, this.#options.codec, body, commandBytes(name, account, body));
  }

  /**
   * Releases what an authorization still holds, as a reversal without amount does; a reversal is never late either.
   * @param body as sent: `{ "id", "original", "card" }`
   */
  release(body: Uint8Array): Promise<CommandAnswer> {
    return this.#send('release', this.#options.native, body, releaseBytes(body));
  }

  #send(name: CommandName | 'release', codec: Codec, body: Uint8Array, command: Uint8Array): Promise<CommandAnswer> {
    return new Promise((resolve) => {
      const { admission, nowMs, ledger } = this.#options;
      const waiter = new CommandWaiter(name, codec.protocol, nowMs(), this.#options, resolve);
      if (!this.#isOpen) return waiter.shuttingDown();
      // A copy: reading masks card numbers in place, and the partition must read what was sent.
      const refusal = repeatedField(body) ?? codec.read(this.#request, Buffer.from(command), 0, command.length);
      if (refusal !== null) return waiter.malformed(refusal);
      if (!admission.enter()) return waiter.refuse(Reason.overloaded);
      waiter.isAdmitted = true;
      ledger.submit(codec, command, waiter);
    });
  }
}

/** The command as partitions read it; a body that is no JSON object goes as it is, for the reader to refuse. */
function commandBytes(type: CommandName, account: string, body: Uint8Array): Uint8Array {
  const parsed = objectOf(body);
  if (parsed === null) return notAnObject;
  const { id, amount } = parsed;
  return Buffer.from(JSON.stringify({ id, amount, type, account }));
}

function releaseBytes(body: Uint8Array): Uint8Array {
  const parsed = objectOf(body);
  if (parsed === null) return notAnObject;
  const { id, original, card } = parsed;
  return Buffer.from(JSON.stringify({ id, type: 'reversal', card, original }));
}

function objectOf(body: Uint8Array): Readonly<Record<string, unknown>> | null {
  const text = decodeBody(body, 0, body.length);
  const parsed = text === null ? undefined : parseJson(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  return parsed as Readonly<Record<string, unknown>>;
}
const notAnObject = Buffer.from('[]');

/** A field that comes twice, which commandBytes() would not see. */
function repeatedField(body: Uint8Array): FieldError | null {
  const text = decodeBody(body, 0, body.length);
  if (text === null || parseJson(text) === undefined) return null;
  const name = repeatedName(text, wholeText(text));
  return name === null ? null : { field: shownName(name), message: repeatedMessage };
}

const noBytes: Uint8Array = new Uint8Array(0);

class CommandWaiter implements Waiter {
  readonly kind: Protocol;
  readonly arrivalMs: number;
  readonly #name: CommandName | 'release';
  readonly #options: LedgerCommandsOptions;
  readonly #resolve: (answer: CommandAnswer) => void;
  reentries = 0;
  isAdmitted = false;
  isSettled = false;
  isRefused = false;

  constructor(
    name: CommandName | 'release',
    kind: Protocol,
    arrivalMs: number,
    options: LedgerCommandsOptions,
    resolve: (answer: CommandAnswer) => void,
  ) {
    this.#name = name;
    this.kind = kind;
    this.arrivalMs = arrivalMs;
    this.#options = options;
    this.#resolve = resolve;
  }

  answer(from: Answers, index: number): void {
    const status = from.status[index]!;
    const reason = from.reason[index] as Reason;
    // Copied: the slab is filled again while the answer is on its way.
    this.#settle(status, reason, Buffer.from(from.answer.subarray(from.answerStart[index], from.answerEnd[index])));
    const { telemetry } = this.#options;
    if ((from.answerFlags[index]! & AnswerFlag.repeated) !== 0) telemetry.messages.add(Counted.repeated);
    if (status === EntryStatus.decided) telemetry.command(this.#name, reason);
  }

  refuse(reason: Reason): void {
    this.isRefused = true;
    this.#settle(EntryStatus.unavailable, reason);
    this.#options.telemetry.command(this.#name, reason);
  }

  shuttingDown(): void {
    this.isRefused = true;
    this.#settle(EntryStatus.unavailable, Reason.systemError, noBytes, true);
  }

  malformed(fault: FieldError): void {
    // An id that cannot be an account's names none.
    const status = fault.field === 'account' ? EntryStatus.unknownAccount : EntryStatus.malformed;
    const bytes = new Uint8Array(answerBytesMax);
    this.#settle(status, Reason.systemError, bytes.subarray(0, writeFault(bytes, 0, fault)));
  }

  #settle(status: number, reason: Reason, bytes = noBytes, isShuttingDown = false): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (this.isAdmitted) this.#options.admission.leave();
    this.#resolve({ status, reason, bytes, isShuttingDown });
  }
}
