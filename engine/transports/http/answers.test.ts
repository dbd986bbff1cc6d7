/** Answers in HTTP: each protocol's status, content type and exact bytes for a decision, a fault and no decision. */
import t from 'tap';
import { MessageType } from '../../core/codes.js';
import { answerBytesMax } from '../../core/limits.js';
import { Outcome } from '../../core/outcome.js';
import { Reason } from '../../core/reasons.js';
import { Request } from '../../core/request.js';
import { AnswerFlag, EntryStatus } from '../../exchange/slab.js';
import type { Codec } from '../../protocols/codec.js';
import { writeFault } from '../../protocols/refusal.js';
import { marqetaSample, sampleText } from '../../protocols/testing/marqeta-sample.js';
import { ledgerCodec, nativeCodec, testMarqetaCodec } from '../../protocols/testing/test-codecs.js';
import { commandForm, HttpAnswer, type HttpForm, marqetaForm, nativeForm } from './answers.js';

const jsonType = 'application/json';
const problemType = 'application/problem+json';
const http = new HttpAnswer();
const text = () => Buffer.from(http.body).toString();

/** Reads a message, has its codec write a decline with `reason`, and shows that in HTTP. */
function decline(form: HttpForm, codec: Codec, message: string, reason: Reason): string {
  const bytes = Buffer.from(message);
  const request = new Request();
  t.equal(codec.read(request, bytes, 0, bytes.length), null);
  const outcome = Object.assign(new Outcome(), { reason, currency: 0 });
  const target = new Uint8Array(answerBytesMax);
  const length = codec.writeAnswer(target, 0, request, outcome, request.source, request.id);
  http.set(form, EntryStatus.decided, 0, reason, target.subarray(0, length));
  return text();
}

const purchase = (id: string) => JSON.stringify({ id, type: 'balance_inquiry', card: 'c' });
const deposit = (id: string) => JSON.stringify({ id, type: 'deposit', account: 'a', amount: 1 });

t.test('an approval is a 200 in every protocol, and a decline has the status of its protocol', async (t) => {
  for (const [form, status] of [
    [nativeForm, 200],
    [marqetaForm, 402],
    [commandForm, 200],
  ] as const) {
    const body = Buffer.from('{}');
    http.set(form, EntryStatus.decided, AnswerFlag.approved, Reason.approved, body);
    t.match(http, { status: 200, contentType: jsonType, body });
    http.set(form, EntryStatus.decided, 0, Reason.insufficientFunds, body);
    t.match(http, { status, contentType: jsonType, body });
  }
});

t.test('a conflict is a problem with the members of the answer, and a plain decline at Marqeta', async (t) => {
  const problem = (detail: string, members: string) =>
    '{"type":"/api/docs/problems/duplicate_conflict","title":"duplicate_conflict","status":409,' +
    `"detail":"this id was used before: same id, other content; ${detail}",${members}}`;
  const said = '"approved":false,"reason":"duplicate_conflict"';
  for (const id of ['q-1', 'a"\\b', '💳é\u2028']) {
    t.equal(
      decline(nativeForm, nativeCodec, purchase(id), Reason.duplicateConflict),
      problem('nothing was held', `"id":${JSON.stringify(id)},${said},"responseCode":"94"`),
    );
    t.match(http, { status: 409, contentType: problemType });
    t.equal(
      decline(commandForm, ledgerCodec, deposit(id), Reason.duplicateConflict),
      problem('nothing was moved', `"id":${JSON.stringify(id)},${said}`),
    );
    t.match(http, { status: 409, contentType: problemType });
  }
  t.match(
    decline(marqetaForm, testMarqetaCodec(), sampleText(marqetaSample()), Reason.duplicateConflict),
    /"decline_reason":"DUPLICATE_TRANSACTION"\}\}$/,
  );
  t.match(http, { status: 402, contentType: jsonType });
});

t.test('an unreadable message is a problem that points at the field', async (t) => {
  const bytes = Buffer.from('{"id":"q","type":"authorization","card":"c","merchant":{"mcc":"12"}}');
  const fault = nativeCodec.read(new Request(), bytes, 0, bytes.length)!;
  const target = new Uint8Array(answerBytesMax);
  const length = writeFault(target, 0, fault);
  for (const form of [nativeForm, marqetaForm, commandForm]) {
    http.set(form, EntryStatus.malformed, 0, Reason.systemError, target.subarray(0, length));
    t.match(http, { status: 400, contentType: problemType });
    const detail = 'merchant.mcc must be a string of four digits (ISO 18245)';
    t.equal(
      text(),
      `{"type":"/api/docs/problems/invalid_request","title":"invalid_request","status":400,"detail":"${detail}",` +
        `"field":"merchant.mcc","errors":[{"field":"merchant.mcc","pointer":"/merchant/mcc","detail":"${detail}"}]}`,
    );
  }
});

t.test('the body of a fault fits its slab entry for any message', async (t) => {
  const others = Array.from({ length: 19 }, (_, index) => ({ field: `f${index}`, message: 'x'.repeat(300) }));
  const target = new Uint8Array(answerBytesMax + 1);
  for (const field of ['id', 'f'.repeat(5000), '💳'.repeat(5000)]) {
    const length = writeFault(target, 0, { field, message: 'is missing', others: field === 'id' ? others : [] });
    t.ok(length <= answerBytesMax, `${length} bytes`);
    http.set(nativeForm, EntryStatus.malformed, 0, Reason.systemError, target.subarray(0, length));
    t.equal(JSON.parse(text()).field, field.slice(0, 128));
  }
});

t.test('a command for an unknown account is a 404', async (t) => {
  http.set(commandForm, EntryStatus.unknownAccount, 0, Reason.systemError, new Uint8Array(0));
  t.match(http, { status: 404, contentType: problemType });
  t.match(JSON.parse(text()), { status: 404, title: 'not_found', detail: 'there is no account with this id' });
});

t.test('a message without a decision is declined, except a command, which may have been executed', async (t) => {
  for (const [reason, isShuttingDown, title, responseCode] of [
    [Reason.overloaded, false, 'overloaded', '91'],
    [Reason.systemError, false, 'system_error', '96'],
    [Reason.systemError, true, 'shutting_down', '96'],
  ] as const) {
    http.setUnavailable(nativeForm, reason, isShuttingDown);
    t.match(http, { status: 503, contentType: problemType });
    t.match(JSON.parse(text()), { title, status: 503, approved: false, reason: String, responseCode });
    http.setUnavailable(commandForm, reason, isShuttingDown);
    t.match(http, { status: 503, contentType: problemType });
    t.match(JSON.parse(text()), { title, status: 503 });
    t.notOk('approved' in JSON.parse(text()), 'the answer does not say that no money was moved');
    http.setUnavailable(marqetaForm, reason, isShuttingDown);
    t.match(http, { status: 503, contentType: jsonType });
    t.equal(text(), '{"jit_funding":{"decline_reason":"TRANSACTION_NOT_PERMITTED"}}');
  }
});

t.test('a declined method that is not served has the status of a decline', async (t) => {
  const bytes = Buffer.from(sampleText(marqetaSample({ method: 'pgfs.crypto.teleport' })));
  const codec = testMarqetaCodec();
  const request = new Request();
  codec.read(request, bytes, 0, bytes.length);
  t.equal(request.type, MessageType.authorization);
  const target = new Uint8Array(answerBytesMax);
  const length = codec.writeUnsupported!(target, 0, request);
  http.set(marqetaForm, EntryStatus.decided, AnswerFlag.unsupported, Reason.systemError, target.subarray(0, length));
  t.match(http, { status: 402, contentType: jsonType });
});
