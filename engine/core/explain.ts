/**
 * Explains a decision from its record: every check of its message in order, with the numbers that it had. Each check is
 * evaluated from those numbers. Nothing else is read: whatever has changed since, the explanation stays the same.
 *
 * A record of an older release has no trace. Then the checks say what follows from the reason, and the numbers that the
 * record's other fields have.
 */
import { CardType, cardTypeNames } from './card-types.js';
import { checks } from './checks.js';
import { AmountFault, availableMinorMin } from './checks-amount.js';
import { resultOf, verificationDeclines } from './checks-signals.js';
import { channelNames, isLedgerCommand, MessageType, TransactionStatus, unpackLetters } from './codes.js';
import {
  detailName,
  detailStandIn,
  Level,
  levelNames,
  levels,
  perAuthorizationDetail,
  rollingDetail,
  verificationDetail,
  windowCount,
  windowDetail,
} from './limit-names.js';
import { Outcome } from './outcome.js';
import { Reason, reasonEntry } from './reasons.js';
import { RecordOffset, readRecordOutcome, readRecordRequest, readRecordTrace } from './record.js';
import { amountMinorMax, fundsMinorMax, Request, takesBackPosted, textOf, windowMinorMax } from './request.js';
import {
  Lists,
  listAllows,
  listBitsEach,
  listBlocks,
  recurringBit,
  signalLevelShift,
  verificationBitsEach,
  verificationRequires,
  walletsShift,
} from './rules.js';
import { checksLimits, checksLists, isOfList } from './trace.js';
import {
  levelOfLock,
  listLevelShift,
  rollingBitsEach,
  TraceFlag,
  TraceFollow,
  TraceReader,
  traceFormat,
  traceFormatOldest,
  windowsShift,
} from './trace-format.js';
import { checkResultNames, Recurring, verificationNames, walletNames } from './vocabulary.js';
import { dayMs, dayOfCivil, monthOf, nextPeriodDay, zoneNamed } from './window.js';

const T = MessageType;

export type CheckNumbers = Readonly<Record<string, string | number | boolean | null>>;

export interface ExplainedCheck {
  /** Public name of the reason with which the check declines. */
  readonly reason: string;
  /** Which limit, as `detail` of an answer says it; '' for other checks. */
  readonly detail: string;
  /** Null: an earlier check has declined. */
  readonly passed: boolean | null;
  /** As the decision saw them. Amounts in minor units of the account's currency. */
  readonly numbers: CheckNumbers;
}

export interface ExplainedDecision {
  /** The message as it was decided; a revocation says nothing else of it. */
  readonly type: MessageType;
  readonly approved: boolean;
  readonly reason: Reason;
  readonly detail: number;
  readonly approvedAmount: number;
  readonly atMs: number;
  /** When the approval was revoked, because it was late; null: it was not. */
  readonly revokedAtMs: number | null;
  /** False: an older release decided, and most numbers are not known. */
  readonly numbersKept: boolean;
  readonly checks: readonly ExplainedCheck[];
}

/** A check before it is known whether an earlier one declined. */
interface Evaluated {
  readonly reason: Reason;
  readonly detail?: number;
  /** Undefined: the numbers do not say. */
  readonly declines: boolean | undefined;
  readonly numbers: CheckNumbers;
}

const statusNames = ['active', 'frozen', 'closed'] as const;
const transactionStatusNames = [
  '',
  'pending',
  'completed',
  'reversed',
  'expired',
  'declined',
  'reversed before',
] as const;

/** @param offset where the record stands in `bytes` */
export function explain(bytes: Uint8Array, view: DataView, offset: number): ExplainedDecision {
  const request = new Request();
  const outcome = new Outcome();
  readRecordRequest(bytes, view, offset, request);
  readRecordOutcome(view, offset, outcome);
  const recordedAtMs = view.getFloat64(offset + RecordOffset.arrivalMs, true);
  const isRevocation = request.type === T.revocation;
  if (isRevocation) {
    request.type = request.askedType as MessageType;
    outcome.approved = true;
    outcome.reason = Reason.approved;
    outcome.detail = 0;
  }
  const slice = { start: 0, end: 0 };
  const seen = readRecordTrace(view, offset, slice)
    ? readTrace(new TraceReader(view, slice), request, outcome, recordedAtMs)
    : null;
  const cardVersion = view.getUint32(offset + RecordOffset.profileVersion, true);
  const all =
    seen === null
      ? untraced(request, outcome, cardVersion, isRevocation)
      : evaluate(request, outcome, seen, cardVersion);
  return {
    type: request.type,
    approved: outcome.approved,
    reason: outcome.reason,
    detail: outcome.detail,
    approvedAmount: isRevocation ? (seen?.approvedAmount ?? 0) : outcome.approvedAmountMinor,
    atMs: seen?.atMs ?? recordedAtMs,
    revokedAtMs: isRevocation ? recordedAtMs : null,
    numbersKept: seen !== null || needsNoTrace(request.type, outcome),
    checks: inOrder(all),
  };
}

function inOrder(all: readonly Evaluated[]): ExplainedCheck[] {
  const failed = all.findIndex(({ declines }) => declines === true);
  return all.map(({ reason, detail = 0, declines, numbers }, index) => ({
    reason: reasonEntry(reason).name,
    detail: detailName(detail),
    passed: failed >= 0 && index > failed ? null : declines === undefined ? null : !declines,
    numbers,
  }));
}

// --- what the trace says --------------------------------------------------------------------------------------------

interface SeenWindow {
  readonly detail: number;
  readonly limit: number;
  readonly used: number;
  readonly isCount: boolean;
  readonly window: number;
}

interface SeenRolling {
  readonly detail: number;
  readonly hours: number;
  readonly limit: number;
  readonly used: number;
  readonly isCount: boolean;
}

interface Seen {
  /** Of the outcome: only the check that declined has a level in the trace. */
  readonly reason: Reason;
  readonly cardStatus: number;
  readonly userStatus: number;
  readonly accountStatus: number;
  readonly cardType: CardType;
  readonly currency: number;
  readonly follow: number;
  readonly flags: number;
  /** Local day, and the last one on which the card is valid. */
  readonly day: number;
  readonly expiresDay: number;
  readonly listBits: number;
  readonly signalBits: number;
  readonly declinedBy: number;
  readonly amountFault: AmountFault;
  readonly amountTotal: number;
  readonly amountBefore: number;
  readonly spendDay: number;
  readonly zone: string;
  readonly perAuthorization: readonly (number | null)[];
  readonly windows: readonly SeenWindow[];
  readonly rolling: readonly SeenRolling[];
  readonly lockedTo: string | null;
  readonly available: number;
  readonly atMs: number;
  readonly approvedAmount: number;
}

/** No list has declined. */
const noLevel = -1;

function readTrace(reader: TraceReader, request: Request, outcome: Outcome, recordedAtMs: number): Seen {
  reader.half();
  const format = reader.byte();
  if (format < traceFormatOldest || format > traceFormat) {
    const known = `${traceFormatOldest} to ${traceFormat}`;
    throw new RangeError(`a trace has format ${format}, this release reads formats ${known}`);
  }
  const states = reader.byte();
  const currency = reader.half();
  const follow = reader.byte();
  const flags = reader.byte();
  const expiresDay = reader.signed();
  const listBits = checksLists(request.type) ? reader.integer() : 0;
  const knowsSignals = format > traceFormatOldest;
  const signalBits = knowsSignals && checksLists(request.type) ? reader.integer() : 0;
  const { reason } = outcome;
  const declinedBy = isOfList(reason) ? reader.byte() : noLevel;
  const isAmount = reason === Reason.amountInvalid;
  const amountFault = (isAmount ? reader.byte() : 0) as AmountFault;
  const amountTotal = isAmount ? reader.double() : 0;
  const rejoins = (follow & TraceFollow.rejoins) !== 0;
  const follows = (follow & TraceFollow.statusMask) !== 0 && (request.type === T.incremental || rejoins);
  const amountBefore = follows ? reader.signed() : 0;
  const limits = checksLimits(request.type) ? readLimits(reader) : null;
  const rolling = checksLimits(request.type) && format > signalsFormat ? readRolling(reader) : [];
  const lockedTo = (flags & TraceFlag.locked) === 0 ? null : reader.text(reader.integer());
  const isRevoked = (flags & TraceFlag.revoked) !== 0;
  const { availableMinor, fundsDelta, heldDelta, postedDelta, approvedAmountMinor } = outcome;
  const available = isRevoked ? reader.double() : availableMinor - fundsDelta + heldDelta + postedDelta;
  const atMs = isRevoked ? reader.double() : recordedAtMs;
  const approvedAmount = isRevoked ? reader.double() : approvedAmountMinor;
  const day = Math.floor(atMs / dayMs) + (flags & TraceFlag.dayMask) - 1;
  return {
    reason,
    cardStatus: states & 0b11,
    userStatus: (states >> 2) & 0b11,
    accountStatus: (states >> 4) & 0b11,
    cardType: (states >> 6) as CardType,
    currency,
    follow,
    flags,
    day,
    expiresDay,
    listBits,
    signalBits,
    declinedBy,
    amountFault,
    amountTotal,
    amountBefore,
    spendDay: day + (limits?.laterDays ?? 0),
    zone: limits?.zone ?? 'UTC',
    perAuthorization: limits?.perAuthorization ?? [],
    windows: limits?.windows ?? [],
    rolling,
    lockedTo,
    available,
    atMs,
    approvedAmount,
  };
}

/** Which brought signals, and knows no rolling windows. */
const signalsFormat = 2;

function readRolling(reader: TraceReader): SeenRolling[] {
  const counts = reader.integer();
  return levels.flatMap((level) => {
    const count = (counts >> (level * rollingBitsEach)) & 0b111;
    return Array.from({ length: count }, (_, index) => {
      const hours = reader.integer();
      return (['amount', 'count'] as const).flatMap((what) => {
        const [limit, used] = [reader.integer() - 1, reader.integer()];
        if (limit < 0) return [];
        return [{ detail: rollingDetail(level, index, what), hours, limit, used, isCount: what === 'count' }];
      });
    }).flat();
  });
}

function readLimits(reader: TraceReader) {
  const laterDays = reader.integer();
  const bits = reader.byte();
  const zoneBytes = bits >> windowsShift === 0 ? 0 : reader.byte();
  const zone = zoneBytes === 0 ? 'UTC' : reader.text(zoneBytes);
  const perAuthorization = levels.map((level) => ((bits & (1 << level)) === 0 ? null : reader.integer()));
  const windows: SeenWindow[] = [];
  for (const level of levels) {
    if ((bits & (1 << (windowsShift + level))) === 0) continue;
    const windowBits = reader.half();
    for (let window = 0; window < windowCount; window++) {
      for (const what of ['amount', 'count'] as const) {
        const isCount = what === 'count';
        if ((windowBits & (1 << (window + (isCount ? windowCount : 0)))) === 0) continue;
        const limit = reader.integer();
        windows.push({ detail: windowDetail(level, window, what), limit, used: reader.integer(), isCount, window });
      }
    }
  }
  return { laterDays, zone, perAuthorization, windows };
}

// --- the checks -----------------------------------------------------------------------------------------------------

const cardFound: Evaluated = { reason: Reason.cardNotFound, declines: false, numbers: { found: true } };

function evaluate(request: Request, outcome: Outcome, seen: Seen, cardVersion: number): Evaluated[] {
  const all: Evaluated[] = [cardFound];
  for (const [index, { reason, types }] of checks.entries()) {
    if ((types & (1 << request.type)) === 0) continue;
    if (reason === Reason.verificationFailed) {
      all.push(...verificationsOf(request, seen));
      continue;
    }
    // The table has four checks of limits: of a single-use card, of one authorization, of the windows, of rolling ones.
    if (reason !== Reason.limitExceeded) all.push(evaluateOne(reason, request, seen, cardVersion));
    else if (checks[index - 1]?.reason !== Reason.limitExceeded) all.push(...singleUse(seen));
    else if (checks[index - 2]?.reason !== Reason.limitExceeded) all.push(...perAuthorization(request, seen));
    else if (checks[index + 1]?.reason === Reason.limitExceeded) all.push(...windowsOf(request, seen));
    else all.push(...rollingOf(request, seen));
  }
  // A clearing or refund on its own whose id is another transaction's: its partition has found that out.
  const isTaken = outcome.reason === Reason.duplicateConflict && all.every(({ declines }) => declines !== true);
  if (isTaken) all.push({ reason: Reason.duplicateConflict, declines: true, numbers: { idIsTaken: true } });
  return all;
}

function evaluateOne(reason: Reason, request: Request, seen: Seen, version: number): Evaluated {
  switch (reason) {
    case Reason.cardInactive:
      return stateOf(reason, seen.cardStatus, { version });
    case Reason.userInactive:
      return stateOf(reason, seen.userStatus);
    case Reason.accountInactive:
      return stateOf(reason, seen.accountStatus);
    case Reason.cardExpired: {
      const numbers = { day: dateOf(seen.day), lastDay: dateOf(seen.expiresDay) };
      return { reason, declines: seen.day > seen.expiresDay, numbers };
    }
    case Reason.currencyMismatch: {
      const declines = request.currency !== 0 && request.currency !== seen.currency;
      const asked = request.currency === 0 ? null : unpackLetters(request.currency);
      return { reason, declines, numbers: { asked, account: unpackLetters(seen.currency) } };
    }
    case Reason.amountInvalid:
      return amountOf(request, seen);
    case Reason.originalNotFound: {
      const status = statusBefore(seen);
      const declines = status === TransactionStatus.none || status === TransactionStatus.declined;
      return { reason, declines, numbers: { status: transactionStatusNames[status]! } };
    }
    case Reason.originalClosed:
      return closedOf(request, seen);
    case Reason.duplicateConflict: {
      const isTaken = statusBefore(seen) !== TransactionStatus.none;
      const declines = isTaken && !hasFollow(seen, 'replacesHold') && !hasFollow(seen, 'rejoins');
      return { reason, declines, numbers: { status: transactionStatusNames[statusBefore(seen)]! } };
    }
    case Reason.mccBlocked:
      return listOf(reason, Lists.mcc, request.mcc < 0 ? null : String(request.mcc).padStart(4, '0'), seen);
    case Reason.merchantBlocked:
      return listOf(reason, Lists.merchants, textOf(request.source, request.merchantId) || null, seen);
    case Reason.countryBlocked:
      return listOf(reason, Lists.countries, unpackLetters(request.country) || null, seen);
    case Reason.channelBlocked:
      return listOf(reason, Lists.channels, channelNames[request.channel] || null, seen);
    case Reason.walletBlocked:
      return walletOf(walletNames[request.wallet] || null, seen);
    case Reason.recurringBlocked:
      return recurringOf(request, seen);
    default:
      return fundsOf(request, seen);
  }
}

function stateOf(reason: Reason, status: number, more: CheckNumbers = {}): Evaluated {
  return { reason, declines: status !== 0, numbers: { status: statusNames[status] ?? 'closed', ...more } };
}

function statusBefore({ follow }: Seen): TransactionStatus {
  return (follow & TraceFollow.statusMask) as TransactionStatus;
}

function hasFollow({ follow }: Seen, flag: 'idIsSpent' | 'replacesHold' | 'rejoins'): boolean {
  return (follow & TraceFollow[flag]) !== 0;
}

function amountOf({ amountMinor }: Request, { amountFault, amountTotal }: Seen): Evaluated {
  const bounds: Partial<Record<AmountFault, number>> = {
    [AmountFault.booksTooLarge]: fundsMinorMax,
    [AmountFault.booksTooSmall]: -fundsMinorMax,
    [AmountFault.owesTooMuch]: availableMinorMin,
    [AmountFault.windowTooLarge]: windowMinorMax,
  };
  const bound = bounds[amountFault];
  const books = bound === undefined ? {} : { total: amountTotal, bound };
  const numbers = { amount: amountMinor < 0 ? null : amountMinor, most: amountMinorMax, ...books };
  return { reason: Reason.amountInvalid, declines: amountFault !== AmountFault.none, numbers };
}

function closedOf(request: Request, seen: Seen): Evaluated {
  const status = statusBefore(seen);
  const idIsSpent = hasFollow(seen, 'idIsSpent');
  const numbers = { status: transactionStatusNames[status]!, idIsSpent };
  return { reason: Reason.originalClosed, declines: isClosed(request, status, idIsSpent, seen), numbers };
}

function isClosed({ type, askedType }: Request, status: TransactionStatus, idIsSpent: boolean, seen: Seen): boolean {
  if (status === TransactionStatus.none) return false;
  // Whether the purchase was posted at once, the trace does not keep: the reason says what followed from it.
  if (type === T.reversal && askedType === T.reversal) return seen.reason === Reason.originalClosed;
  if (type === T.reversal) return status === TransactionStatus.completed && !takesBackPosted(askedType);
  if (type === T.incremental) return status !== TransactionStatus.open || idIsSpent;
  return (status === TransactionStatus.tombstone && !hasFollow(seen, 'replacesHold')) || idIsSpent;
}

const listKinds = { 0: null, [listAllows]: 'allow', [listBlocks]: 'block' } as const;

/** `entry`: what the value matched, of an allow list that let it pass, or of the block list that did not. */
function listOf(reason: Reason, list: number, value: string | null, seen: Seen): Evaluated {
  const bits = levels.map((level) => seen.listBits >> (level * listLevelShift + list * listBitsEach));
  return listWith(reason, bits, value, seen);
}

function walletOf(value: string | null, seen: Seen): Evaluated {
  const bits = levels.map((level) => seen.signalBits >> (level * signalLevelShift + walletsShift));
  return listWith(Reason.walletBlocked, bits, value, seen);
}

function listWith(reason: Reason, bits: readonly number[], value: string | null, seen: Seen): Evaluated {
  const kinds = bits.map((of) => listKinds[(of & 0b11) as keyof typeof listKinds]);
  const numbers: Record<string, string | null> = { value };
  for (const level of levels) numbers[levelNames[level]] = kinds[level]!;
  const declines = seen.reason === reason;
  const declinedBy = declines && seen.declinedBy !== levelOfLock ? seen.declinedBy : null;
  const matched = declines ? declinedBy !== null && kinds[declinedBy] === 'block' : kinds.includes('allow');
  if (reason === Reason.merchantBlocked && seen.lockedTo !== null) numbers['lockedTo'] = seen.lockedTo;
  return {
    reason,
    declines,
    numbers: {
      ...numbers,
      entry: matched ? value : null,
      declinedBy: declines ? (declinedBy === null ? 'lock' : levelNames[declinedBy]!) : null,
    },
  };
}

/** One check for each result of which a level asks something. */
function verificationsOf(request: Request, { signalBits }: Seen): Evaluated[] {
  return levels.flatMap((level) =>
    verificationNames.flatMap((_, index) => {
      const mode = (signalBits >> (level * signalLevelShift + verificationBitsEach * index)) & 0b11;
      if (mode === 0) return [];
      const result = resultOf(request, index);
      return [
        {
          reason: Reason.verificationFailed,
          detail: verificationDetail(level, index),
          declines: verificationDeclines(mode, result, request.type),
          numbers: { result: checkResultNames[result] || null, mode: modeNameOf(mode) },
        },
      ];
    }),
  );
}

function modeNameOf(mode: number): string {
  return mode === verificationRequires ? 'require' : 'block';
}

function recurringOf({ recurring }: Request, { reason, signalBits, declinedBy }: Seen): Evaluated {
  const declines = reason === Reason.recurringBlocked;
  const value = recurring === Recurring.absent ? null : recurring === Recurring.yes;
  const blocks = (level: Level): string | null =>
    ((signalBits >> (level * signalLevelShift)) & recurringBit) === 0 ? null : 'block';
  return {
    reason: Reason.recurringBlocked,
    declines,
    numbers: {
      value,
      ...Object.fromEntries(levels.map((level) => [levelNames[level], blocks(level)])),
      declinedBy: declines ? levelNames[declinedBy]! : null,
    },
  };
}

function singleUse({ cardType, flags, follow }: Seen): Evaluated[] {
  if (cardType !== CardType.singleUse) return [];
  const isUsed = (flags & TraceFlag.isUsed) !== 0;
  const rejoins = (follow & TraceFollow.rejoins) !== 0;
  const numbers = { type: cardTypeNames[cardType], isUsed, rejoins };
  return [{ reason: Reason.limitExceeded, detail: singleUseDetail, declines: isUsed && !rejoins, numbers }];
}

const singleUseDetail = windowDetail(Level.card, windowCount - 1, 'count');

function perAuthorization({ amountMinor }: Request, { amountBefore, perAuthorization: limits }: Seen): Evaluated[] {
  return levels.flatMap((level) => {
    const limit = limits[level] ?? null;
    if (limit === null) return [];
    const total = amountBefore + amountMinor;
    const numbers = { before: amountBefore, amount: amountMinor, total, limit };
    return [{ reason: Reason.limitExceeded, detail: perAuthorizationDetail(level), declines: total > limit, numbers }];
  });
}

function windowsOf(request: Request, seen: Seen): Evaluated[] {
  const counted = request.type === T.incremental || hasFollow(seen, 'rejoins') ? 0 : 1;
  const zone = zoneNamed(seen.zone);
  return seen.windows.map(({ detail, limit, used, isCount, window }) => {
    const added = isCount ? counted : request.amountMinor;
    const endDay = nextPeriodDay(window, seen.spendDay);
    const endsAtMs = endDay === null ? null : zone.startOf(endDay);
    const declines = added > 0 && used + added > limit;
    return {
      reason: Reason.limitExceeded,
      detail,
      declines,
      numbers: { used, added, limit, day: dateOf(seen.spendDay), endsAtMs, timeZone: seen.zone },
    };
  });
}

function rollingOf(request: Request, seen: Seen): Evaluated[] {
  const counted = request.type === T.incremental || hasFollow(seen, 'rejoins') ? 0 : 1;
  return seen.rolling.map(({ detail, hours, limit, used, isCount }) => {
    const added = isCount ? counted : request.amountMinor;
    const declines = added > 0 && used + added > limit;
    return { reason: Reason.limitExceeded, detail, declines, numbers: { used, added, limit, hours } };
  });
}

function fundsOf({ type, amountMinor, partialAllowed }: Request, { available, flags }: Seen): Evaluated {
  const accountTakesPart = (flags & TraceFlag.partialApproval) !== 0;
  const programTakesPart = (flags & TraceFlag.wholeAmountsOnly) === 0;
  const partial = partialAllowed && programTakesPart && accountTakesPart && type === T.authorization && available > 0;
  const numbers = { available, amount: amountMinor, partialAllowed, accountTakesPart, programTakesPart };
  return { reason: Reason.insufficientFunds, declines: available < amountMinor && !partial, numbers };
}

/** The date of a local day, as ISO 8601 writes it. */
function dateOf(day: number): string {
  const months = monthOf(day);
  const [year, month] = [Math.floor(months / 12), (months % 12) + 1];
  const date = day - dayOfCivil(year, month, 1) + 1;
  return [String(year).padStart(4, '0'), padded(month), padded(date)].join('-');
}

function padded(number: number): string {
  return String(number).padStart(2, '0');
}

// --- without a trace ------------------------------------------------------------------------------------------------

/** What the record says all the same of a decision whose trace it does not have, or that needs none. */
function untraced(request: Request, outcome: Outcome, version: number, isRevocation: boolean): Evaluated[] {
  const { type } = request;
  const { reason, detail } = outcome;
  // Its partition was asked afterwards, and checked nothing.
  if (type === T.expiry || detail === detailStandIn) return [];
  if (isLedgerCommand(type)) return commandChecks(request, outcome, version);
  if (reason === Reason.systemError) return [{ reason, declines: true, numbers: {} }];
  if (reason === Reason.cardNotFound) return [{ reason, declines: true, numbers: { found: false } }];
  const order = checks.filter(({ types }) => (types & (1 << type)) !== 0).map((check) => check.reason);
  const reasons = [...new Set(order)];
  if (reason !== Reason.approved && !reasons.includes(reason)) reasons.push(reason);
  const amount = request.amountMinor < 0 ? null : request.amountMinor;
  const known: Partial<Record<Reason, CheckNumbers>> = {
    [Reason.cardInactive]: { version },
    [Reason.amountInvalid]: { amount, most: amountMinorMax },
    // A revocation says what is available after itself.
    [Reason.insufficientFunds]: isRevocation ? { amount } : { available: availableBefore(outcome), amount },
  };
  const failed = reasons.indexOf(reason);
  const rest = reasons.map((of, index) => ({
    reason: of,
    detail: of === reason ? detail : 0,
    declines: failed >= 0 && index > failed ? undefined : of === reason,
    numbers: known[of] ?? {},
  }));
  return [cardFound, ...rest];
}

function availableBefore({ availableMinor, fundsDelta, heldDelta, postedDelta }: Outcome): number {
  return availableMinor - fundsDelta + heldDelta + postedDelta;
}

/** Whether the record of an older release, too, has all that there is to say. */
function needsNoTrace(type: MessageType, { reason, detail }: Outcome): boolean {
  const isOutright = reason === Reason.systemError || reason === Reason.cardNotFound || detail === detailStandIn;
  return type === T.expiry || isLedgerCommand(type) || isOutright;
}

/** In the order of decide-command.ts. */
function commandChecks({ type, amountMinor }: Request, outcome: Outcome, version: number): Evaluated[] {
  const { reason } = outcome;
  const available = availableBefore(outcome);
  const checked = [
    { reason: Reason.accountInactive, numbers: { version } },
    { reason: Reason.amountInvalid, numbers: { amount: amountMinor, most: amountMinorMax } },
    ...(type === T.withdrawal
      ? [{ reason: Reason.insufficientFunds, numbers: { available, amount: amountMinor } }]
      : []),
  ];
  return checked.map((check) => ({ ...check, declines: check.reason === reason }));
}
