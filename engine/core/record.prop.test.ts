import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { Channel, isLedgerCommand, MessageType, Protocol, TransactionStatus } from './codes.js';
import { detailLast } from './limit-names.js';
import { Outcome } from './outcome.js';
import { reasonTable } from './reasons.js';
import {
  isWholeRecord,
  RecordOffset,
  readCardSpend,
  readRecordOutcome,
  readRecordRequest,
  readRecordRoot,
  recordBytesMax,
  recordFixedBytes,
  writeRecord,
} from './record.js';
import { idLengthMax, merchantNameLengthMax, Request, type TextSlice } from './request.js';
import {
  CheckResult,
  clearSignals,
  Device,
  Initiator,
  Pin,
  Recurring,
  riskScoreAbsent,
  riskScoreMax,
  Wallet,
} from './vocabulary.js';

const slices = ['id', 'card', 'original', 'merchantId', 'merchantName', 'at'] as const;
type SliceName = (typeof slices)[number];

/** Any Unicode, at most as many code points as the readers let through. */
const text = (codePointsMax: number): fc.Arbitrary<string> => fc.string({ unit: 'binary', maxLength: codePointsMax });
const texts: fc.Arbitrary<Record<SliceName, string>> = fc.record({
  id: text(idLengthMax),
  card: text(idLengthMax),
  original: text(idLengthMax),
  merchantId: text(idLengthMax),
  merchantName: text(merchantNameLengthMax),
  at: fc.string({ maxLength: 40, unit: 'binary-ascii' }),
});
const minor = fc.oneof(
  fc.constantFrom(-1, 0, 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.maxSafeInteger(),
);
const day = fc.integer({ min: -1000, max: 2 ** 31 - 1 });
const count = fc.integer({ min: -1, max: 1 });
const packed = fc.integer({ min: 0, max: 27 ** 3 - 1 });

const plainRequest = fc.record({
  type: fc.constantFrom(...Object.values(MessageType)),
  askedType: fc.constantFrom(0, ...Object.values(MessageType)),
  protocol: fc.constantFrom(...Object.values(Protocol)),
  amountMinor: minor,
  currency: packed,
  mcc: fc.integer({ min: -1, max: 9999 }),
  country: packed,
  channel: fc.constantFrom(...Object.values(Channel)),
  partialAllowed: fc.boolean(),
  final: fc.boolean(),
  capture: fc.boolean(),
  extraHash: fc.integer({ min: 0, max: 0xffff_ffff }),
  avs: fc.constantFrom(...Object.values(CheckResult)),
  cvv: fc.constantFrom(...Object.values(CheckResult)),
  threeDS: fc.constantFrom(...Object.values(CheckResult)),
  pin: fc.constantFrom(...Object.values(Pin)),
  wallet: fc.constantFrom(...Object.values(Wallet)),
  device: fc.constantFrom(...Object.values(Device)),
  recurring: fc.constantFrom(...Object.values(Recurring)),
  initiator: fc.constantFrom(...Object.values(Initiator)),
  riskScore: fc.integer({ min: riskScoreAbsent, max: riskScoreMax }),
  hasSignals: fc.boolean(),
});
const plainOutcome = fc.record({
  approved: fc.boolean(),
  reason: fc.constantFrom(...reasonTable.map((entry) => entry.number)),
  detail: fc.integer({ min: 0, max: detailLast }),
  partial: fc.boolean(),
  amountMinor: minor,
  approvedAmountMinor: minor,
  availableMinor: minor,
  heldMinor: minor,
  postedMinor: minor,
  currency: packed,
  heldDelta: minor,
  postedDelta: minor,
  fundsDelta: minor,
  spendDay: day,
  spendAmountDelta: minor,
  spendCountDelta: count,
  olderSpendDay: day,
  olderSpendAmountDelta: minor,
  olderSpendCountDelta: count,
  rollingLevels: fc.integer({ min: 0, max: 7 }),
  expiresAtMs: fc.double({ min: 0, max: 1e15, noNaN: true }),
  transactionStatus: fc.constantFrom(...Object.values(TransactionStatus)),
  opensTransaction: fc.boolean(),
  tombstone: fc.boolean(),
  usesCard: fc.boolean(),
});
const owner = fc.record({
  accountNumber: fc.nat(),
  cardNumber: fc.nat(),
  cardSpend: fc.nat(),
  userNumber: fc.nat(),
  profileVersion: fc.integer({ min: 0, max: 0xffff_ffff }),
});

/**
 * Fields of a request that are neither slices nor its source. No record keeps the count of unknown fields, nor two
 * fields that shape only the outcome, which the record has.
 */
function plainOf(request: Request): Record<string, unknown> {
  const { unknownFields: _, wholeMinor: _whole, waitsForOriginal: _waits, ...kept } = request;
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => typeof value !== 'object'));
}

function textOf(source: Uint8Array, slice: TextSlice): string {
  return Buffer.from(source.subarray(slice.start, slice.end)).toString();
}

function place(request: Request, values: Record<SliceName, string>): void {
  const parts: Buffer[] = [Buffer.from('{"junk":')];
  let position = parts[0]!.length;
  for (const name of slices) {
    const bytes = Buffer.from(values[name]);
    request[name].start = position;
    request[name].end = position + bytes.length;
    // A gap after each, as between fields of a body.
    position += bytes.length + 1;
    parts.push(bytes, Buffer.from(','));
  }
  request.source = Buffer.concat(parts);
}

t.test('a record is read as it was written, at any offset, and says its own length', async () => {
  fc.assert(
    fc.property(
      plainRequest,
      texts,
      plainOutcome,
      owner,
      text(idLengthMax),
      fc.integer({ min: 0, max: 9 }),
      fc.double({ min: 0, max: 1e15, noNaN: true }),
      (requestFields, textFields, outcomeFields, ownerFields, root, offset, arrivalMs) => {
        const request = new Request();
        place(request, textFields);
        Object.assign(request, requestFields);
        // An older release kept none.
        if (!requestFields.hasSignals) clearSignals(request);
        const outcome = Object.assign(new Outcome(), outcomeFields);
        const target = new Uint8Array(offset + recordBytesMax + 3).fill(0xee);
        const view = new DataView(target.buffer);
        const rootBytes = Buffer.from(root);
        const rootSlice = { start: 0, end: rootBytes.length };
        const length = writeRecord(
          target,
          view,
          offset,
          request,
          outcome,
          ownerFields,
          arrivalMs,
          rootBytes,
          rootSlice,
        );

        // Nothing outside of the record is touched, and its length stands in front.
        for (let index = 0; index < offset; index++) if (target[index] !== 0xee) return false;
        if (target[offset + length] !== 0xee) return false;
        if (view.getUint16(offset + RecordOffset.length, true) !== length) return false;

        const readRequest = new Request();
        readRecordRequest(target, view, offset, readRequest);
        for (const name of slices) {
          if (textOf(readRequest.source, readRequest[name]) !== textFields[name]) return false;
        }
        const readOutcome = new Outcome();
        readRecordOutcome(view, offset, readOutcome);
        readRecordRoot(view, offset, rootSlice);
        const numbers = [
          view.getFloat64(offset + RecordOffset.arrivalMs, true) === arrivalMs,
          view.getFloat64(offset + RecordOffset.accountNumber, true) === ownerFields.accountNumber,
          view.getFloat64(offset + RecordOffset.cardNumber, true) === ownerFields.cardNumber,
          view.getFloat64(offset + RecordOffset.userNumber, true) === ownerFields.userNumber,
          view.getUint32(offset + RecordOffset.profileVersion, true) === ownerFields.profileVersion,
          readCardSpend(view, offset) === ownerFields.cardSpend,
          isWholeRecord(view, offset, length),
          // A root that is not named is the message itself.
          textOf(target, rootSlice) === (root === '' ? textFields.id : root),
        ];
        // One place for the two: a ledger command opens no hold, and nothing else answers with what is posted.
        const kept = isLedgerCommand(requestFields.type) ? { expiresAtMs: 0 } : { postedMinor: 0 };
        return (
          numbers.every(Boolean) &&
          same(plainOf(readRequest), plainOf(request)) &&
          same(readOutcome, { ...outcomeFields, ...kept })
        );
      },
    ),
    runs(500),
  );
});

/** Every field of `expected` stands in `actual`, to the sign of its zero. */
function same(actual: object, expected: object): boolean {
  const fields = actual as Record<string, unknown>;
  return Object.entries(expected).every(([name, value]) => Object.is(fields[name], value));
}

t.test('the test above covers every field of a request and an outcome', async (t) => {
  const names = (arbitrary: fc.Arbitrary<object>) => Object.keys(fc.sample(arbitrary, 1)[0]!).sort();
  t.same(names(plainRequest), Object.keys(plainOf(new Request())).sort());
  t.same(names(plainOutcome), Object.keys(new Outcome()).sort());
});

t.test('the longest record fits its bound and its length field', async (t) => {
  const request = new Request();
  const longest = '💳'.repeat(idLengthMax);
  place(request, {
    id: longest,
    card: longest,
    original: longest,
    merchantId: longest,
    merchantName: '💳'.repeat(merchantNameLengthMax),
    at: '2026-11-22T18:00:00.123456789123456+00:00',
  });
  const target = new Uint8Array(recordBytesMax);
  const root = Buffer.from(longest);
  const length = writeRecord(
    target,
    new DataView(target.buffer),
    0,
    request,
    new Outcome(),
    { accountNumber: 1, cardNumber: 2, cardSpend: 1, userNumber: 3, profileVersion: 4 },
    0,
    root,
    { start: 0, end: root.length },
  );
  t.ok(length <= recordBytesMax && recordBytesMax < 65_536, `${length}`);
});

t.test('the fixed fields do not overlap and end where the texts begin', async (t) => {
  const widths: Record<keyof typeof RecordOffset, number> = {
    length: 2,
    type: 1,
    reason: 1,
    flags: 2,
    protocol: 1,
    channel: 1,
    detail: 1,
    transactionStatus: 1,
    currency: 2,
    country: 2,
    mcc: 2,
    arrivalMs: 8,
    amount: 8,
    answerAmount: 8,
    approvedAmount: 8,
    available: 8,
    held: 8,
    heldDelta: 8,
    postedDelta: 8,
    fundsDelta: 8,
    expiresAtMs: 8,
    accountNumber: 8,
    cardNumber: 8,
    userNumber: 8,
    spendDay: 4,
    spendCountDelta: 4,
    spendAmountDelta: 8,
    olderSpendDay: 4,
    olderSpendCountDelta: 4,
    olderSpendAmountDelta: 8,
    profileVersion: 4,
    extraHash: 4,
    idLength: 2,
    cardLength: 2,
    originalLength: 2,
    merchantIdLength: 2,
    merchantNameLength: 2,
    atLength: 2,
    rootLength: 2,
    requestCurrency: 2,
  };
  let end = 0;
  for (const [name, offset] of Object.entries(RecordOffset).sort((a, b) => a[1] - b[1])) {
    t.equal(offset, end, name);
    const width = widths[name as keyof typeof RecordOffset];
    t.equal(offset % width, 0, `${name} is aligned to its own width`);
    end = offset + width;
  }
  t.equal(end, recordFixedBytes);
});
