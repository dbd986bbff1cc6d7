/** docs/journal-format.md says the offsets that the code has, and shows a frame that the code writes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MessageType, Protocol, packLetters, TransactionStatus } from '../engine/core/codes.js';
import { Outcome } from '../engine/core/outcome.js';
import { Reason } from '../engine/core/reasons.js';
import { RecordFlag, RecordOffset, recordFixedBytes, writeRecord } from '../engine/core/record.js';
import { Request } from '../engine/core/request.js';
import { TraceFlag, TraceFollow } from '../engine/core/trace-format.js';
import { createCodecs } from '../engine/protocols/registry.js';
import {
  FrameOffset,
  frameBytesFor,
  frameHeaderBytes,
  SegmentOffset,
  sealFrame,
  segmentHeaderBytes,
} from '../workers/journal/segment.js';
import { repositoryRoot } from './repository-root.js';

const text = readFileSync(join(repositoryRoot(), 'docs/journal-format.md'), 'utf8');

/** Rows of the tables under a heading, cell by cell. */
function rowsUnder(heading: string): string[][] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| '));
  return rows.map((row) => row.split('|').map((cell) => cell.trim().replaceAll('`', '')));
}

/** Names and offsets of a table; throws where its rows leave a gap or overlap. */
function offsetsUnder(heading: string, bytes: number): Record<string, number> {
  const offsets: Record<string, number> = {};
  let end = 0;
  for (const [, offset, size, , name] of rowsUnder(heading)) {
    if (!/^\d+$/.test(offset ?? '')) continue;
    if (Number(offset) !== end)
      throw new Error(`${heading}: a field begins at ${offset}, the one before ends at ${end}`);
    end += Number(size);
    if (name !== '') offsets[name!] = Number(offset);
  }
  if (end !== bytes) throw new Error(`${heading}: the fields have ${end} bytes, not ${bytes}`);
  return offsets;
}

/** Names and values of the tables that hold these names. */
function valuesUnder(heading: string, names: readonly string[]): Record<string, number> {
  const values: Record<string, number> = {};
  for (const row of rowsUnder(heading)) {
    for (const [index, cell] of row.entries()) if (names.includes(cell)) values[cell] = Number(row[index + 1]);
  }
  return values;
}

t.test('the offsets in the document are those of the code', async (t) => {
  t.same(offsetsUnder('Segment header', segmentHeaderBytes), SegmentOffset);
  t.same(offsetsUnder('Frame header', frameHeaderBytes), FrameOffset);
  t.same(offsetsUnder('Record', recordFixedBytes), RecordOffset);
});

t.test('flags and types in the document are those of the code', async (t) => {
  t.same(valuesUnder('Record', Object.keys(RecordFlag)), RecordFlag);
  t.same(valuesUnder('Record', Object.keys(MessageType)), MessageType);
  const { dayMask: _day, ...flags } = TraceFlag;
  const { statusMask: _status, ...follow } = TraceFollow;
  t.same(valuesUnder('Trace', Object.keys({ ...flags, ...follow })), { ...flags, ...follow });
});

/** The document's example. */
function exampleFrame(): Uint8Array {
  const request = new Request();
  const body = Buffer.from(
    '{"id":"demo-1","type":"authorization","card":"card_demo","amount":1250,"currency":"USD",' +
      '"merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"},"channel":"chip"}',
  );
  const native = createCodecs({ panKeys: ['a key of the example'], strictFields: true })[Protocol.native]!;
  if (native.read(request, body, 0, body.length) !== null) throw new Error('the example is no message');
  const outcome = new Outcome();
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.amountMinor = 1250;
  outcome.approvedAmountMinor = 1250;
  outcome.availableMinor = 98_750;
  outcome.heldMinor = 1250;
  outcome.heldDelta = 1250;
  outcome.currency = packLetters('USD');
  outcome.transactionStatus = TransactionStatus.open;
  outcome.opensTransaction = true;
  outcome.spendDay = 20_780;
  outcome.spendAmountDelta = 1250;
  outcome.spendCountDelta = 1;
  const arrivalMs = Date.UTC(2026, 10, 23, 12);
  outcome.expiresAtMs = arrivalMs + 7 * 86_400_000;
  const owner = { accountNumber: 1, cardNumber: 1, cardSpend: 1, userNumber: 1, profileVersion: 1 };
  const frame = new Uint8Array(4096);
  const view = new DataView(frame.buffer);
  const none = { start: 0, end: 0 };
  const length = writeRecord(frame, view, frameHeaderBytes, request, outcome, owner, arrivalMs, body, none);
  const recordsEnd = frameHeaderBytes + length;
  sealFrame(frame, view, recordsEnd, 1, 1, arrivalMs + 0.5, segmentHeaderBytes, 0, 0, 1, 1);
  return frame.subarray(0, frameBytesFor(length));
}

t.test('the frame in the document is the frame that the code writes', async (t) => {
  const frame = Buffer.from(exampleFrame());
  const lines = Array.from({ length: frame.length / 16 }, (_, line) => {
    const bytes = frame.subarray(line * 16, line * 16 + 16).toString('hex');
    return `${String(line * 16).padStart(3)}  ${bytes.replace(/(..)(?=.)/g, '$1 ')}`;
  });
  const shown = /```hex\n([\s\S]*?)```/.exec(text)?.[1]?.trimEnd().split('\n') ?? [];
  t.same(
    shown.map((line) => line.split('   ; ')[0]!.trimEnd()),
    lines,
  );
});
