/** Records of releases before signals: read, answered to repeats, and explained. */
import t from 'tap';
import { explain } from '../../engine/core/explain.js';
import { Outcome } from '../../engine/core/outcome.js';
import { Reason } from '../../engine/core/reasons.js';
import {
  isWholeRecord,
  RecordFlag,
  RecordOffset,
  readRecordRequest,
  recordBytesMax,
  writeRecord,
} from '../../engine/core/record.js';
import { Request } from '../../engine/core/request.js';
import { sameQuestion } from '../../engine/core/same-question.js';
import { TraceFlag } from '../../engine/core/trace-format.js';
import { CheckResult, Wallet } from '../../engine/core/vocabulary.js';
import { fillRequest } from '../../engine/testing/world.js';

const owner = { accountNumber: 1, cardNumber: 2, cardSpend: 2, userNumber: 3, profileVersion: 7 };
const message = { id: 'old', type: 'authorization', card: 'C', amount: 500, currency: 'USD' } as const;

/** A trace of format 1, as the release before wrote it: an account in USD, no limits, no lists. */
const olderTrace = {
  write(target: Uint8Array, view: DataView, start: number): number {
    const bytes = [1, 0, 0xd2, 0x3d, 0, 1 | TraceFlag.partialApproval, 0, 0, 0, 0];
    target.set(bytes, start + 2);
    view.setUint16(start, 2 + bytes.length, true);
    return start + 2 + bytes.length;
  },
};

function olderRecord(): { readonly bytes: Uint8Array; readonly view: DataView; readonly length: number } {
  const request = new Request();
  fillRequest(request, message);
  request.hasSignals = false;
  const outcome = Object.assign(new Outcome(), { reason: Reason.insufficientFunds, amountMinor: 500, currency: 0 });
  const bytes = new Uint8Array(recordBytesMax);
  const view = new DataView(bytes.buffer);
  const none = { start: 0, end: 0 };
  return { bytes, view, length: writeRecord(bytes, view, 0, request, outcome, owner, 1000, bytes, none, olderTrace) };
}

t.test('a record of an older release is whole, and has no signals', async (t) => {
  const { bytes, view, length } = olderRecord();
  t.ok(isWholeRecord(view, 0, length));
  t.equal(view.getUint16(RecordOffset.flags, true) & RecordFlag.signals, 0);
  const read = new Request();
  read.avs = CheckResult.match;
  readRecordRequest(bytes, view, 0, read);
  t.match({ ...read }, { hasSignals: false, avs: CheckResult.absent, wallet: Wallet.absent, riskScore: -1 });
});

t.test('a repeat that brings signals repeats the question of an older record, and no newer one', async (t) => {
  const { bytes, view } = olderRecord();
  const record = new Request();
  readRecordRequest(bytes, view, 0, record);
  const again = new Request();
  fillRequest(again, { ...message, avs: 'mismatch', wallet: 'other' });
  t.ok(sameQuestion(again, record));
  fillRequest(record, message);
  t.notOk(sameQuestion(again, record));
});

t.test('a trace of the older format is explained', async (t) => {
  const { bytes, view } = olderRecord();
  const { checks, reason, numbersKept } = explain(bytes, view, 0);
  t.equal(reason, Reason.insufficientFunds);
  t.ok(numbersKept);
  t.match(checks.at(-1), { reason: 'insufficient_funds', passed: false, numbers: { amount: 500 } });
  t.notOk(checks.some(({ reason }) => reason === 'verification_failed'));
});
