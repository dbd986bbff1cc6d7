/** Ledger commands as bytes: what is read, what is refused by name, what is answered. */

import fc from 'fast-check';
import t from 'tap';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { MessageType, Protocol, packLetters } from '../../core/codes.js';
import { Outcome } from '../../core/outcome.js';
import { Reason, reasonTable } from '../../core/reasons.js';
import { idLengthMax, Request } from '../../core/request.js';
import { runs, testSeed } from '../../testing/runs.js';
import { answerBytesMax } from '../codec.js';
import { jsonText, Message, Random } from '../testing/mutate.js';
import { ledgerCodec, nativeCodec, testPanKeys } from '../testing/test-codecs.js';
import { commandIdPrefix } from './codec.js';

const good = { id: 'd-1', type: 'deposit', account: 'acct_1', amount: 1250 };

function read(value: unknown): { request: Request; refusal: FieldError | null } {
  const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(JSON.stringify(value) ?? '');
  const request = new Request();
  // Somewhere in a slab.
  const slab = new Uint8Array(new SharedArrayBuffer(bytes.length + 64));
  slab.set(bytes, 32);
  return { request, refusal: ledgerCodec.read(request, slab, 32, 32 + bytes.length) };
}

const text = (request: Request, slice: { start: number; end: number }) =>
  Buffer.from(request.source.subarray(slice.start, slice.end)).toString();

t.test('a command is read with all its fields, and its id is in the namespace of commands', async (t) => {
  for (const [type, number] of [
    ['deposit', MessageType.deposit],
    ['withdrawal', MessageType.withdrawal],
  ] as const) {
    const { request, refusal } = read({ ...good, type });
    t.equal(refusal, null);
    t.match(request, { type: number, amountMinor: 1250, currency: 0, protocol: Protocol.ledger });
    t.equal(text(request, request.id), `${commandIdPrefix}d-1`);
    t.equal(text(request, request.account), 'acct_1');
    t.equal(text(request, request.original), '');
  }
});

t.test('no processor can send the id of a command', async (t) => {
  const forged = { id: `${commandIdPrefix}d-1`, type: 'authorization', card: 'c', amount: 1, currency: 'USD' };
  const bytes = Buffer.from(JSON.stringify(forged));
  t.match(nativeCodec.read(new Request(), bytes, 0, bytes.length), { field: 'id' });
  t.match(read({ ...good, id: forged.id }).refusal, { field: 'id' }, 'a command id cannot carry the namespace itself');
});

t.test('an id that holds a card number is kept as a hash and answered as it was sent', async (t) => {
  const { request, refusal } = read({ ...good, id: 'top-up 4111 1111 1111 1111' });
  t.equal(refusal, null);
  t.match(text(request, request.id), /^\u0001ledger:hidden_[a-p]{40}$/);
  const target = new Uint8Array(answerBytesMax);
  const length = ledgerCodec.writeAnswer(target, 0, request, new Outcome(), request.source, request.id);
  t.equal(JSON.parse(Buffer.from(target.subarray(0, length)).toString()).id, 'top-up 4111 1111 1111 1111');
});

t.test('every malformed field is named', async (t) => {
  const cases: readonly (readonly [change: object, field: string])[] = [
    [{ id: undefined }, 'id'],
    [{ id: 1 }, 'id'],
    [{ id: 'x'.repeat(idLengthMax + 1) }, 'id'],
    [{ id: '\ud800' }, 'id'],
    [{ type: undefined }, 'type'],
    [{ type: 'authorization' }, 'type'],
    [{ type: 'Deposit' }, 'type'],
    [{ account: undefined }, 'account'],
    [{ account: '' }, 'account'],
    [{ account: 'a\0' }, 'account'],
    [{ account: '4111 1111 1111 1111' }, 'account'],
    [{ amount: undefined }, 'amount'],
    [{ amount: '1' }, 'amount'],
    [{ amount: 0.5 }, 'amount'],
    [{ amount: -1 }, 'amount'],
    [{ amount: 2 ** 53 }, 'amount'],
  ];
  for (const [change, field] of cases)
    t.equal(read({ ...good, ...change }).refusal?.field, field, JSON.stringify(change));
  t.equal(read('{"id":"d-1","type":"deposit","account":"acct_1","amount":1,"amount":999}').refusal?.field, 'amount');
  for (const body of ['', '{', '[]', 'null', '1', '"x"', '\ufeff{}']) t.equal(read(body).refusal?.field, '', body);
  t.equal(read({ ...good, note: 'ignored' }).refusal, null);
});

t.test('no bytes make the reader throw, and what it accepts is what JSON.parse reads', async (t) => {
  const random = new Random(testSeed);
  const { numRuns } = runs(20_000);
  const message = new Message(4096, ['"amount":7', '"type":"withdrawal"', '"account":"acct_2"', '"id":"x"']);
  let taken = 0;
  for (let run = 0; run < numRuns; run++) {
    if (run % 3 === 0) message.set(jsonText(random, good, random.oneIn(3)));
    message.mutate(random);
    const request = new Request();
    const refusal = ledgerCodec.read(request, message.bytes, 0, message.length);
    if (refusal !== null) continue;
    taken++;
    const { id, type, account, amount } = JSON.parse(Buffer.from(message.bytes.subarray(0, message.length)).toString());
    const read = [text(request, request.id), text(request, request.account), request.amountMinor, request.type];
    const meant = [commandIdPrefix + testPanKeys.keptForms(id)[0], account, amount + 0, type === 'deposit' ? 11 : 12];
    if (JSON.stringify(read) !== JSON.stringify(meant)) t.fail(`${read} should be ${meant}`);
  }
  t.ok(taken > 0, `${taken} were accepted`);
});

t.test('an answer has the whole books, fits its slab, and is valid JSON for any id', async (t) => {
  const minor = fc.integer({ min: -(10 ** 14), max: 10 ** 14 });
  const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((value) => [...value].length <= 64);
  fc.assert(
    fc.property(id, minor, minor, fc.nat(), fc.constantFrom(...reasonTable), (id, available, posted, held, reason) => {
      const { request, refusal } = read({ ...good, id });
      if (refusal !== null) return;
      const outcome = Object.assign(new Outcome(), {
        approved: reason.number === Reason.approved,
        reason: reason.number,
        amountMinor: 1250,
        availableMinor: available,
        heldMinor: held,
        postedMinor: posted,
        currency: packLetters('EUR'),
      });
      const target = new Uint8Array(answerBytesMax + 16);
      const length = ledgerCodec.writeAnswer(target, 16, request, outcome, request.source, request.id);
      const answer = JSON.parse(Buffer.from(target.subarray(16, 16 + length)).toString());
      if (answer.id !== id || answer.reason !== reason.name) throw new Error(JSON.stringify(answer));
      if (reason.number === Reason.duplicateConflict) return;
      const books = { id: 'acct_1', currency: 'EUR', funds: available + held + posted, available, held, posted };
      if (JSON.stringify(answer.account) !== JSON.stringify(books)) throw new Error(JSON.stringify(answer));
    }),
    runs(300),
  );
  const longest = '💳'.repeat(idLengthMax);
  const { request } = read({ ...good, id: longest, account: longest });
  const target = new Uint8Array(answerBytesMax);
  t.ok(ledgerCodec.writeAnswer(target, 0, request, new Outcome(), request.source, request.id) < answerBytesMax);
});
