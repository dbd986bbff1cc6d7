import t from 'tap';
import { PanKeys } from '../../../platform/masking/hidden-ids.js';
import { holdsPan } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { Channel, MessageType, Protocol, packLetters } from '../../core/codes.js';
import { windowDetail } from '../../core/limit-names.js';
import { Outcome } from '../../core/outcome.js';
import { Reason, reasonTable } from '../../core/reasons.js';
import { Request } from '../../core/request.js';
import { answerBytesMax } from '../codec.js';
import { seen, textOf } from '../testing/same-request.js';
import { nativeCodec, testPanKeys } from '../testing/test-codecs.js';
import { createNativeCodec, patchResponseTime, responseTimeBytes } from './codec.js';
import { readSlow } from './slow-reader.js';

const plain = {
  id: 'q-1',
  type: 'authorization',
  card: 'card_000001_1',
  amount: 1250,
  currency: 'USD',
  merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
  channel: 'chip',
  partialAllowed: true,
  final: false,
  at: '2026-11-22T18:00:00Z',
};

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** Reads through the codec and through the slow reader alone; both must agree. */
function read(text: string | Uint8Array): { request: Request; field: string | null; message: string } {
  const bytes = typeof text === 'string' ? bytesOf(text) : text;
  const slowRequest = new Request();
  const slow = readSlow(slowRequest, bytes.slice(), 0, bytes.length, nativeCodec.rules);
  const request = new Request();
  const refusal = nativeCodec.read(request, bytes, 0, bytes.length);
  t.same(refusal, slow, 'both readers return the same');
  if (refusal === null) t.same(seen(request), seen(slowRequest));
  return { request, field: refusal?.field ?? null, message: refusal?.message ?? '' };
}

t.test('the byte reader reads every field of the common shape', async (t) => {
  const bytes = bytesOf(JSON.stringify(plain));
  const request = new Request();
  t.equal(nativeCodec.readFast(request, bytes, 0, bytes.length), true);
  t.equal(request.source, bytes);
  t.match(seen(request), {
    type: MessageType.authorization,
    protocol: Protocol.native,
    amountMinor: 1250,
    currency: packLetters('USD'),
    mcc: 5411,
    country: packLetters('US'),
    channel: Channel.chip,
    partialAllowed: true,
    final: false,
    id: 'q-1',
    card: 'card_000001_1',
    original: '',
    merchantId: 'm-1',
    merchantName: 'Corner Store',
    at: '2026-11-22T18:00:00Z',
  });
});

t.test('absent fields have their defaults', async (t) => {
  const { request } = read('{"id":"a","type":"balance_inquiry","card":"c"}');
  t.match(seen(request), {
    amountMinor: -1,
    currency: 0,
    mcc: -1,
    country: 0,
    channel: 0,
    partialAllowed: false,
    final: true,
  });
});

t.test('every malformed field is named', async (t) => {
  const long65 = 'x'.repeat(65);
  const badText = ['', long65, 5, null, true, {}, [], 'a\u0000b', 'tab\t', 'del\u007f', '\ud800', '\udc00x'];
  const badAmount = [-1, 1.5, '1250', null, true, [], {}, 2 ** 53];
  const table: ReadonlyArray<readonly [string, readonly unknown[]]> = [
    ['id', [...badText, undefined]],
    ['card', [...badText, undefined, '4111111111111111', '4111 1111_1111.1111/12']],
    ['original', badText],
    ['type', [undefined, null, 1, '', 'Authorization', 'expiry', 'late', 'authorization ', 'balanceInquiry']],
    ['amount', [...badAmount, undefined]],
    ['currency', [undefined, null, 840, '', 'US', 'USDX', 'usd', 'US1', 'É12', 'ZZZ', 'QQQ']],
    ['merchant', [null, 'm', 1, [], true]],
    ['merchant.id', badText],
    ['merchant.name', [1, true, [], {}]],
    ['merchant.mcc', ['', '541', '54111', '54 1', 5411, null, '５４１１']],
    ['merchant.country', ['', 'U', 'USA', 'us', 'U1', 840, null]],
    ['channel', ['', 'CHIP', 'swipe', null, 1, 'internal']],
    ['partialAllowed', [null, 0, 1, 'true', []]],
    ['final', [null, 0, 'false', {}]],
    [
      'at',
      [
        null,
        5,
        '',
        '2026-11-22',
        '2026-11-22T18:00:00',
        '2026-13-01T00:00:00Z',
        '2026-02-29T00:00:00Z',
        '2026-11-22 18:00:00Z',
        '2026-11-22T24:00:00Z',
        '2026-11-22T18:60:00Z',
        '2026-11-22T18:00:61Z',
        '2026-11-22T18:00:00.Z',
        '2026-11-22T18:00:00+24:00',
        `2026-11-22T18:00:00.${'1'.repeat(21)}Z`,
      ],
    ],
  ];
  for (const [path, values] of table) {
    for (const value of values) {
      const [outer, inner] = path.split('.') as [string, string?];
      const message: Record<string, unknown> = { ...plain };
      message[outer] = inner === undefined ? value : { ...plain.merchant, [inner]: value };
      const { field, message: words } = read(JSON.stringify(message));
      t.equal(field, path, `${path} = ${JSON.stringify(value)}`);
      if (typeof value === 'string' && /\d{8}|x{8}/.test(value))
        t.notMatch(words, value, 'the answer does not show the value');
    }
  }
});

t.test('a message without a field that its type requires is refused', async (t) => {
  const needsAmount = ['authorization', 'incremental', 'clearing', 'refund', 'advice'];
  const needsOriginal = ['incremental', 'reversal'];
  for (const type of [...needsAmount, 'reversal', 'verification', 'balance_inquiry']) {
    const full = { id: 'a', type, card: 'c', original: 'o', amount: 1, currency: 'USD' };
    t.equal(read(JSON.stringify(full)).field, null, type);
    t.equal(read(JSON.stringify({ ...full, amount: undefined })).field, needsAmount.includes(type) ? 'amount' : null);
    t.equal(
      read(JSON.stringify({ ...full, currency: undefined })).field,
      needsAmount.includes(type) ? 'currency' : null,
    );
    t.equal(
      read(JSON.stringify({ ...full, original: undefined })).field,
      needsOriginal.includes(type) ? 'original' : null,
    );
  }
});

t.test('a body that is no JSON object is refused as a whole', async (t) => {
  const text = JSON.stringify(plain);
  const bodies: ReadonlyArray<string | Uint8Array> = [
    '',
    ' ',
    'null',
    '[]',
    '"x"',
    '5',
    'tru',
    '{',
    text.slice(0, -1),
    `${text}x`,
    `${text}${text}`,
    `\ufeff${text}`,
    text.replace('1250', '01250'),
    text.replace('1250', '+1250'),
    text.replace('1250', '1.'),
    text.replace('1250', '1250,'),
    text.replace('q-1', 'q\n1'),
    text.replace('q-1', 'q\\x1'),
    text.replace('"id"', 'id'),
    text.replace('"id"', "'id'"),
    text.replace('{"id"', '{"x":01,"id"'),
    text.replace('{"id"', '{"x":"\t","id"'),
    text.replace('{"id"', '{"x":nul,"id"'),
    text.replace('{"id"', '{"x":[1,],"id"'),
    bytesOf(text).map((byte) => (byte === 0x71 ? 0xff : byte)),
    Uint8Array.from([...bytesOf('{"x":"'), 0xed, 0xa0, 0x80, ...bytesOf(`",${text.slice(1)}`)]),
  ];
  for (const body of bodies) t.equal(read(body).field, '', String(body).slice(0, 60));
});

t.test('unusual spellings of a valid message have the same meaning', async (t) => {
  const text = JSON.stringify(plain);
  const same: readonly string[] = [
    JSON.stringify(plain, null, 2),
    text.replace('1250', '1250.0'),
    text.replace('1250', '1.25e3'),
    text.replace('1250', '12500E-1'),
    text.replace('"id"', '"\\u0069d"'),
    text.replace('q-1', 'q\\u002d1'),
    text.replace('{"id"', '{"extra":{"deep":[1,2.5e-3,"\\n\\ud800é",null,{}]},"id"'),
    text.replace('{"id"', '{"__proto__":{"id":"x"},"id"'),
    text.replace('{"id"', `{"x":${'['.repeat(5000)}${']'.repeat(5000)},"id"`),
  ];
  for (const variant of same) t.same(seen(read(variant).request), seen(read(text).request), variant.slice(0, 60));
  t.equal(read(text.replace('1250', '-0')).request.amountMinor, 0);
  t.equal(Object.is(read(text.replace('1250', '-0')).request.amountMinor, 0), true);
  t.equal(read(text.replace('1250', '9007199254740991')).request.amountMinor, Number.MAX_SAFE_INTEGER);
});

t.test('a duplicate member refuses the message by its name, whether it is known or not', async (t) => {
  const text = JSON.stringify(plain);
  const table: ReadonlyArray<readonly [string, string]> = [
    [text.replace('"amount":1250', '"amount":1,"amount":999'), 'amount'],
    [text.replace('"amount":1250', '"amount":1250,"amount":1250'), 'amount'],
    [text.replace('"amount":1250', '"amount":1250,"amo\\u0075nt":1250'), 'amount'],
    [text.replace('"channel"', '"merchant":{"name":"B"},"channel"'), 'merchant'],
    [text.replace('"mcc"', '"mcc":"0001","mcc"'), 'merchant.mcc'],
    [text.replace('{"id"', '{"x":1,"x":1,"id"'), 'x'],
    [text.replace('"mcc"', '"y":1,"z":2,"y":1,"mcc"'), 'merchant.y'],
    [text.replace('{"id"', '{"id":5,"id"'), 'id'],
    [text.replace('{"id"', '{"":5,"":5,"id"'), ''],
  ];
  for (const [body, name] of table) {
    const { field, message } = read(body);
    t.equal(field, name, body);
    t.match(message, /comes twice/);
  }
  const many = Array.from({ length: 200 }, (_, index) => `"field${index}":${index}`);
  t.equal(read(text.replace('{"id"', `{${many.join(',')},"id"`)).field, null);
  t.equal(read(text.replace('{"id"', `{${many.join(',')},"field7":0,"id"`)).field, 'field7');
  t.equal(read(text.replace('{"id"', '{"x":{"a":1,"a":2},"id"')).field, null, 'an unread member may have any value');
  t.notMatch(read(text.replace('{"id"', '{"4111111111111111":1,"4111111111111111":1,"id"')).field, /\d{13}/);
});

t.test(
  'an unknown field is counted by its name, and with STRICT_FIELDS refused with the nearest known name',
  async (t) => {
    const codec = createNativeCodec({ panKeys: testPanKeys, strictFields: false });
    const strict = createNativeCodec({ panKeys: testPanKeys, strictFields: true });
    const message = { id: 'a', type: 'clearing', card: 'c', amount: 1, currency: 'USD' };
    const table: ReadonlyArray<readonly [object, string, RegExp]> = [
      [{ ...message, orginal: 'o' }, 'orginal', /did you mean original\?/],
      [{ ...message, merchnt: { mcc: '5411' } }, 'merchnt', /did you mean merchant\?/],
      [{ ...message, merchant: { MCC: '5411' } }, 'merchant.MCC', /did you mean merchant\.mcc\?/],
      [{ ...message, partial_allowed: true }, 'partial_allowed', /did you mean partialAllowed\?/],
      [{ type: 'reversal', id: 'a', card: 'c', orignial: 'o' }, 'orignial', /did you mean original\?/],
      [{ ...message, whatever: [1] }, 'whatever', /known are id, type/],
      [{ ...message, 'pan 4111111111111111\u202e': 1 }, 'pan ************1111', /is not a field/],
    ];
    for (const [body, name, words] of table) {
      const request = new Request();
      const bytes = bytesOf(JSON.stringify(body));
      const refusal = strict.read(request, bytes.slice(), 0, bytes.length);
      t.equal(refusal?.field, name);
      t.match(refusal?.message, words);
      codec.read(request, bytes, 0, bytes.length);
      const counted = codec.rules.unknownFields.names.filter((_, bit) => (request.unknownFields & (1 << bit)) !== 0);
      t.same(counted, [name]);
    }
    const known = bytesOf(JSON.stringify(plain));
    const request = new Request();
    t.equal(strict.read(request, known, 0, known.length), null);
    t.equal(request.source, known, 'the byte reader read the message');
    // However many names are sent, few are kept.
    for (let index = 0; index < 100; index++) {
      const bytes = bytesOf(JSON.stringify({ ...plain, [`unknown${index}`]: 1 }));
      codec.read(request, bytes, 0, bytes.length);
    }
    t.equal(codec.rules.unknownFields.names.length, 31);
    t.equal(codec.rules.unknownFields.names[30], 'other');
    t.equal(request.unknownFields, 1 << 30);
  },
);

t.test('an id that holds a card number is kept as a hash and answered as it was sent', async (t) => {
  for (const id of [
    'auth4111111111111111',
    '0004111111111111111',
    '4111.1111.1111.1111',
    '4111_1111/1111-1111',
    '4111\u00a01111\u20131111  1111',
    '４１１１１１１１１１１１１１１１',
    '41111111111111111226',
    '2200700012345673',
    'c0.4546743544545123',
  ]) {
    for (const type of ['authorization', 'reversal']) {
      const text = JSON.stringify({ ...plain, type, id, original: `o ${id}`, card: `card-${id}` });
      const { request, field } = read(text);
      t.equal(field, null, id);
      t.match(textOf(request, request.id), /^hidden_[a-p]{40}$/);
      t.match(textOf(request, request.original), /^hidden_[a-p]{40}$/);
      t.match(textOf(request, request.keptCard), /^hidden_[a-p]{40}$/);
      t.equal(textOf(request, request.card), `card-${id}`, 'the card is looked up by the token as it was sent');
      t.notOk(holdsPan(request.source, request.id.start, request.id.end));
      const kept = textOf(request, request.id);
      t.equal(textOf(read(text).request, request.id), kept, 'the same id has the same hash');
      const said = JSON.parse(answer(approved(), request, kept)) as Record<string, unknown>;
      t.match(said, { id, authorizationId: id });
      const follows = JSON.parse(answer(approved(), request, textOf(request, request.original)));
      t.equal(follows.authorizationId, `o ${id}`);
      t.equal(JSON.parse(answer(approved(), request, 'another')).authorizationId, 'another');
    }
  }
  const other = createNativeCodec({
    panKeys: new PanKeys(['another key', 'key-of-the-tests']),
    strictFields: false,
  });
  const bytes = bytesOf(JSON.stringify({ ...plain, id: '4111111111111111' }));
  const request = new Request();
  other.read(request, bytes.slice(), 0, bytes.length);
  const { request: before } = read(bytes);
  t.not(textOf(request, request.id), textOf(before, before.id), 'another key gives another hash');
  t.equal(textOf(request, request.hidden!.olderIds[0]!), textOf(before, before.id), 'the older key still finds the id');
});

t.test('a card token that merely contains a card number is accepted', async (t) => {
  for (const card of ['auth4111111111111111', '7d1e4c2a-4111-1111-1111-11111111b001', '4111111111111112', '1234']) {
    t.equal(read(JSON.stringify({ ...plain, card })).field, null, card);
  }
});

t.test('a merchant name is cleaned and cut, and never refused', async (t) => {
  const table: ReadonlyArray<readonly [string | null, string]> = [
    ['Corner\u0000 Store\u001f', 'Corner Store'],
    ['two\r\nlines\u0085here', 'two  lines here'],
    ['\u202eerotS renroC\u2066', 'erotS renroC'],
    ['C1 \u009b31m', 'C1 31m'],
    ['half \ud83d', 'half \ufffd'],
    ['é'.repeat(200), 'é'.repeat(128)],
    ['n'.repeat(129), 'n'.repeat(128)],
    [`${'n'.repeat(120)}4111111111111111`, `${'n'.repeat(120)}********`],
    ['4111\u200b1111\u00001111 1111', '************ 1111'.replace('************', '************')],
    ['', ''],
    ['\u0000', ''],
    [null, ''],
  ];
  for (const [name, kept] of table) {
    const { request, field } = read(JSON.stringify({ ...plain, merchant: { ...plain.merchant, name } }));
    t.equal(field, null, JSON.stringify(name));
    t.equal(textOf(request, request.merchantName), kept);
  }
});

t.test('the same bytes are a repeat, however often their texts were masked', async (t) => {
  const text = JSON.stringify({
    ...plain,
    merchant: { id: '4419834459135033 942472608929', name: 'SHOP 4419834459135033 942472608929' },
  });
  const bytes = bytesOf(text);
  const first = new Request();
  t.equal(nativeCodec.read(first, bytes, 0, bytes.length), null);
  const before = seen(first);
  for (let times = 0; times < 3; times++) {
    const again = new Request();
    t.equal(nativeCodec.read(again, bytes, 0, bytes.length), null);
    t.same(seen(again), before);
  }
  t.notMatch(textOf(first, first.merchantName), /\d{5}/);
});

t.test('lengths count characters, not bytes or UTF-16 units', async (t) => {
  const { request, field } = read(JSON.stringify({ ...plain, id: '😀'.repeat(64) }));
  t.equal(field, null);
  t.equal(textOf(request, request.id), '😀'.repeat(64));
  t.equal(read(JSON.stringify({ ...plain, id: '😀'.repeat(65) })).field, 'id');
});

t.test('both readers mask a card number in a merchant text in the slab', async (t) => {
  for (const name of ['PAY 4111 1111 1111 1111', 'é 4111111111111111']) {
    const bytes = bytesOf(JSON.stringify({ ...plain, merchant: { id: 'm 378282246310005', name } }));
    const { request } = read(bytes);
    t.equal(textOf(request, request.merchantId), 'm ***********0005');
    t.match(textOf(request, request.merchantName), /^\S+ [* ]+ ?1111$/);
  }
});

t.test('a message is read within its bounds at any offset of the slab', async (t) => {
  const text = bytesOf(JSON.stringify(plain));
  const slab = new Uint8Array(new SharedArrayBuffer(text.length + 64)).fill(0x39);
  slab.set(text, 32);
  const request = new Request();
  t.equal(nativeCodec.read(request, slab, 32, 32 + text.length), null);
  t.equal(textOf(request, request.card), plain.card);
  t.equal(nativeCodec.read(request, slab, 32, 31 + text.length)?.field, '');
  // The slow reader, too, takes shared memory.
  slab[33] = 0x20;
  slab.set(bytesOf('"\\u0069d"'), 32);
  t.equal(nativeCodec.read(request, slab, 32, 32 + text.length)?.field, '');
});

function answer(outcome: Outcome, request: Request, root = 'q-1'): string {
  const target = new Uint8Array(answerBytesMax + 32).fill(0x58);
  const rootBytes = bytesOf(root);
  const length = nativeCodec.writeAnswer(target, 16, request, outcome, rootBytes, { start: 0, end: rootBytes.length });
  t.equal(target[15], 0x58);
  t.equal(target[16 + length], 0x58);
  t.ok(length <= answerBytesMax);
  if (outcome.reason !== Reason.duplicateConflict) nativeCodec.stampResponseTime?.(target, 16 + length, 812);
  return Buffer.from(target.subarray(16, 16 + length)).toString();
}

function approved(): Outcome {
  const outcome = new Outcome();
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.amountMinor = 1250;
  outcome.approvedAmountMinor = 1250;
  outcome.availableMinor = 98750;
  outcome.currency = packLetters('USD');
  return outcome;
}

t.test('an answer has exactly these bytes', async (t) => {
  const { request } = read(JSON.stringify(plain));
  t.equal(
    answer(approved(), request),
    '{"id":"q-1","approved":true,"reason":"approved","responseCode":"00","authorizationId":"q-1","amount":1250,' +
      '"approvedAmount":1250,"available":98750,"currency":"USD","responseTimeMs":0.812     }',
  );
  const partial = approved();
  partial.partial = true;
  partial.approvedAmountMinor = 1000;
  partial.availableMinor = 0;
  t.match(answer(partial, request), '"responseCode":"10"');

  const limited = new Outcome();
  limited.reason = Reason.limitExceeded;
  limited.detail = windowDetail(0, 0, 'amount');
  limited.amountMinor = 9_007_199_254_740_991;
  limited.availableMinor = -9_007_199_254_740_991;
  limited.currency = packLetters('JPY');
  t.equal(
    answer(limited, request, 'ro"o\\té'),
    '{"id":"q-1","approved":false,"reason":"limit_exceeded","detail":"card.daily.amount","responseCode":"61",' +
      '"authorizationId":"ro\\"o\\\\té","amount":9007199254740991,"approvedAmount":0,' +
      '"available":-9007199254740991,"currency":"JPY","responseTimeMs":0.812     }',
  );
  limited.detail = windowDetail(2, 4, 'count');
  t.match(answer(limited, request), '"detail":"account.lifetime.count","responseCode":"65"');

  const unknown = new Outcome();
  unknown.reason = Reason.cardNotFound;
  const bare = read('{"id":"a\\"\\\\b","type":"balance_inquiry","card":"c"}').request;
  t.equal(
    answer(unknown, bare, ''),
    '{"id":"a\\"\\\\b","approved":false,"reason":"card_not_found","responseCode":"14","authorizationId":null,' +
      '"amount":0,"approvedAmount":0,"available":0,"currency":null,"responseTimeMs":0.812     }',
  );
});

t.test('a conflict is answered without amounts', async (t) => {
  const outcome = new Outcome();
  outcome.reason = Reason.duplicateConflict;
  const { request } = read(JSON.stringify(plain));
  t.equal(answer(outcome, request), '{"id":"q-1","approved":false,"reason":"duplicate_conflict","responseCode":"94"}');
});

t.test('every reason and the longest texts make valid JSON within the bound', async (t) => {
  for (const id of ['q', '"'.repeat(64), '\\'.repeat(64), '😀'.repeat(64)]) {
    const { request } = read(JSON.stringify({ ...plain, id }));
    for (const entry of reasonTable) {
      const outcome = new Outcome();
      outcome.reason = entry.number;
      outcome.approved = entry.number === Reason.approved;
      const body = JSON.parse(answer(outcome, request, id)) as Record<string, unknown>;
      t.equal(body['id'], id);
      t.equal(body['reason'], entry.name);
      t.equal(body['responseCode'], entry.responseCode);
    }
  }
});

t.test('the response time fills its ten bytes', async (t) => {
  const cases: ReadonlyArray<readonly [number, string]> = [
    [0, '0.000     '],
    [1, '0.001     '],
    [812, '0.812     '],
    [812.9, '0.812     '],
    [1500, '1.500     '],
    [99_999_999, '99999.999 '],
    [999_999_999, '999999.999'],
    [1e15, '999999.999'],
    [-5, '0.000     '],
    [Number.NaN, '0.000     '],
  ];
  for (const [micros, text] of cases) {
    const target = bytesOf('{"responseTimeMs":0         }|');
    patchResponseTime(target, target.length - 1, micros);
    t.equal(Buffer.from(target).toString(), `{"responseTimeMs":${text}}|`);
    t.equal(text.length, responseTimeBytes);
  }
});

t.test('one answer names all faults of a message', async (t) => {
  const bytes = bytesOf('{"id":"","type":"purchase","card":"c","amount":-1,"channel":"smoke"}');
  const refusal = nativeCodec.read(new Request(), bytes, 0, bytes.length)!;
  const { field, others = [] } = refusal as FieldError;
  t.same([field, ...others.map((other) => other.field)].sort(), ['amount', 'channel', 'id', 'type']);
});
