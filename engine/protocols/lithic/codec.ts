/**
 * `POST /lithic/asa`, Lithic's Auth Stream Access. A message is a whole authorization object of two to four kilobytes,
 * of which the decision needs some ten fields. The byte reader walks the objects that hold them and skips the rest
 * unparsed. What it does not take, slow-reader.ts judges.
 */
import { holdsPanInIds, keepReadIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { holdsPan, isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { type Channel, Protocol } from '../../core/codes.js';
import { exponentOf, writeInteger } from '../../core/money.js';
import type { Outcome } from '../../core/outcome.js';
import type { Request } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { hashSlice } from '../reading/extra-hash.js';
import { ascii } from '../reading/json-scan.js';
import { MessageReader } from '../reading/message-reader.js';
import { SignalReader } from '../reading/signals.js';
import { copyBytes, writeEscaped } from '../reading/write.js';
import { Echo, lithicFields } from './fields.js';
import { notSupported, results } from './results.js';
import { signals } from './signals.js';
import { hashOfStatus, readSlow, setQuestion } from './slow-reader.js';
import { statuses } from './statuses.js';

/** The byte reader: fields may come in any order, so they are judged at the end. */
class FastReader {
  readonly #panKeys: PanKeys;
  readonly #fields = new MessageReader(lithicFields, { strictFields: false });
  readonly #status = this.#fields.indexOf('status');
  readonly #hold = this.#fields.indexOf('amounts.hold');
  readonly #held = this.#amountAt('amounts.hold');
  readonly #asked = this.#amountAt('amounts.cardholder');
  readonly #pan = this.#fields.indexOf('pos.entry_mode.pan');
  readonly #terminalType = this.#fields.indexOf('pos.terminal.type');
  readonly #isPartial = this.#fields.indexOf('pos.terminal.partial_approval_capable');
  readonly #country = this.#fields.indexOf('merchant.country');
  readonly #signals = new SignalReader(signals, this.#fields);

  constructor(panKeys: PanKeys) {
    this.#panKeys = panKeys;
  }

  #amountAt(path: string) {
    const [amount, currency] = [this.#fields.indexOf(`${path}.amount`), this.#fields.indexOf(`${path}.currency`)];
    return { amount, currency, bits: (1 << amount) | (1 << currency) };
  }

  /** @returns false when it is not sure; `request` is then half filled */
  read(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    request.reset(bytes, Protocol.lithic);
    const fields = this.#fields;
    if (!fields.read(request, bytes, start, end)) return false;
    const status = fields.kept(this.#status);
    if (status === 0) return false;
    const hasHold = (fields.seen & (1 << this.#hold)) !== 0 && fields.kept(this.#hold) === 0;
    const { amount, currency, bits } = hasHold ? this.#held : this.#asked;
    if ((fields.seen & bits) !== bits) return false;
    request.currency = fields.kept(currency);
    if (exponentOf(request.currency) < 0) return false;
    const amountMinor = fields.kept(amount);
    setQuestion(request, statuses[status - 1], amountMinor);
    const terminal = fields.kept(this.#terminalType);
    request.channel = (terminal !== 0 ? terminal : fields.kept(this.#pan)) as Channel;
    request.partialAllowed = fields.kept(this.#isPartial) === 1;
    request.country = fields.kept(this.#country);
    this.#signals.set(request);
    const eventToken = request.echoes[Echo.eventToken]!;
    // Its hash has no key: the slow reader masks it for that.
    if (holdsPan(bytes, eventToken.start, eventToken.end)) return false;
    request.extraHash = hashSlice(hashOfStatus(status, amountMinor), bytes, eventToken.start, eventToken.end) >>> 0;
    const isHidden = holdsPanInIds(request);
    if (isHidden && isCardNumberInBytes(bytes, request.card)) return false;
    // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
    maskPans(bytes, request.merchantId.start, request.merchantId.end);
    maskPans(bytes, request.merchantName.start, request.merchantName.end);
    if (isHidden) keepReadIds(request, this.#panKeys);
    return true;
  }
}

const piece = {
  token: ascii('{"token":"'),
  results: results.map((result) => ascii(`","result":"${result}"`)),
  notSupported: ascii(`","result":"${notSupported}"}`),
  approvedAmount: ascii(',"approved_amount":'),
  balance: ascii(',"balance":{"amount":'),
  available: ascii(',"available":'),
  balanceEnd: ascii('}'),
  end: ascii('}'),
} as const;

function writeToken(target: Uint8Array, offset: number, { source, sentId }: Request): number {
  return writeEscaped(target, copyBytes(target, offset, piece.token), source, sentId.start, sentId.end);
}

function writeAnswer(target: Uint8Array, offset: number, request: Request, outcome: Outcome): number {
  let at = writeToken(target, offset, request);
  at = copyBytes(target, at, piece.results[outcome.reason]!);
  if (outcome.approved) {
    // Lithic takes its presence for a partial approval.
    if (outcome.partial) {
      at = copyBytes(target, at, piece.approvedAmount);
      at += writeInteger(target, at, outcome.approvedAmountMinor);
    }
    // The first balance still counts open holds; the available one does not.
    at = copyBytes(target, at, piece.balance);
    at += writeInteger(target, at, outcome.availableMinor + outcome.heldMinor);
    at = copyBytes(target, at, piece.available);
    at += writeInteger(target, at, outcome.availableMinor);
    at = copyBytes(target, at, piece.balanceEnd);
  }
  return copyBytes(target, at, piece.end) - offset;
}

export interface LithicCodec extends Codec {
  /** The byte reader alone, for tests and benchmarks. */
  readFast(request: Request, bytes: Uint8Array, start: number, end: number): boolean;
}

export function createLithicCodec({ panKeys }: Pick<CodecOptions, 'panKeys'>): LithicCodec {
  const reader = new FastReader(panKeys);
  return {
    protocol: Protocol.lithic,
    readFast: (request, bytes, start, end) => reader.read(request, bytes, start, end),
    read: (request, bytes, start, end) =>
      reader.read(request, bytes, start, end) ? null : readSlow(request, bytes, start, end, panKeys),
    writeAnswer,
    writeUnsupported: (target, offset, request) =>
      copyBytes(target, writeToken(target, offset, request), piece.notSupported) - offset,
  };
}
