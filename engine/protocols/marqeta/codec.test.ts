import t from 'tap';
import { Channel, MessageType, Protocol, packLetters } from '../../core/codes.js';
import { windowDetail } from '../../core/limit-names.js';
import { Outcome } from '../../core/outcome.js';
import { Reason, reasonTable } from '../../core/reasons.js';
import { Request } from '../../core/request.js';
import { answerBytesMax } from '../codec.js';
import { isUnsupported, type Refusal } from '../refusal.js';
import { marqetaSample, sampleText } from '../testing/marqeta-sample.js';
import { NumberText } from '../testing/mutate.js';
import { seen, textOf } from '../testing/same-request.js';
import { testMarqetaCodec, testPanKeys } from '../testing/test-codecs.js';
import { declineReasons } from './reasons.js';
import { readSlow } from './slow-reader.js';

const codec = testMarqetaCodec();
const jit = 'gpa_order.jit_funding';
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const n = (text: string): NumberText => new NumberText(text);

function read(text: string): { request: Request; refusal: Refusal | null } {
  const bytes = bytesOf(text);
  const slowRequest = new Request();
  const slow = readSlow(slowRequest, bytes.slice(), 0, bytes.length, testPanKeys);
  const request = new Request();
  const refusal = codec.read(request, bytes, 0, bytes.length);
  t.same(refusal, slow, 'both readers return the same');
  if (refusal === null) t.same(seen(request), seen(slowRequest));
  return { request, refusal };
}

/** Sets `value` at a dotted path of a fresh sample. */
function withPath(path: string, value: unknown): string {
  const sample = marqetaSample();
  const steps = path.split('.');
  let parent = sample;
  for (const step of steps.slice(0, -1)) parent = parent[step] as Record<string, unknown>;
  parent[steps.at(-1)!] = value;
  return sampleText(sample);
}

t.test('the byte reader reads every field of the usual request', async (t) => {
  const bytes = bytesOf(sampleText(marqetaSample()));
  const request = new Request();
  t.equal(codec.readFast(request, bytes, 0, bytes.length), true);
  t.match(seen(request), {
    type: MessageType.authorization,
    protocol: Protocol.marqeta,
    amountMinor: 8420,
    currency: packLetters('USD'),
    mcc: 5411,
    country: packLetters('US'),
    channel: Channel.contactless,
    partialAllowed: true,
    capture: false,
    id: '7d1e4c2a-0000-4000-8000-00000000b001',
    card: 'card-77',
    original: '',
    merchantId: 'SHOP00000000042',
    merchantName: 'CORNER GROCER',
    echoes: ['pgfs.authorization', 'emp-204', 'emp-204'],
  });
});

t.test('each way in which a terminal permits partial approval is read', async (t) => {
  for (const [value, expected] of [
    [true, true],
    ['TRUE', true],
    ['1', true],
    ['0', false],
    [false, false],
    [null, false],
    [1, false],
  ] as const) {
    t.equal(read(withPath('pos.partial_approval_capable', value)).request.partialAllowed, expected);
  }
  const sample = marqetaSample() as Record<string, Record<string, unknown>>;
  delete sample['pos'];
  sample['card_acceptor']!['poi'] = { partial_approval_capable: true };
  t.equal(read(sampleText(sample)).request.partialAllowed, true);
});

t.test('a method determines the type, whether money moves at once, and the cash machine', async (t) => {
  const A = MessageType.authorization;
  const table: ReadonlyArray<readonly [string, MessageType, boolean, boolean]> = [
    ['pgfs.authorization', A, false, false],
    ['pgfs.authorization.cashback', A, false, false],
    ['pgfs.authorization.quasi.cash', A, false, false],
    ['pgfs.atm.withdrawal', A, false, true],
    ['pgfs.authorization.atm.withdrawal', A, false, true],
    ['pgfs.pindebit.atm.withdrawal', A, true, true],
    ['pgfs.pindebit', A, true, false],
    ['pgfs.pindebit.cashback', A, true, false],
    ['pgfs.pindebit.quasi.cash', A, true, false],
    ['pgfs.pindebit.authorization', A, false, false],
    ['pgfs.auth_plus_capture', A, true, false],
    ['pgfs.authorization.account_verification', MessageType.verification, false, false],
    ['pgfs.balanceinquiry', MessageType.balanceInquiry, false, false],
    ['pgfs.pindebit.balanceinquiry', MessageType.balanceInquiry, false, false],
  ];
  for (const [method, type, capture, atm] of table) {
    const { request, refusal } = read(sampleText(marqetaSample({ method })));
    t.equal(refusal, null);
    t.match(
      seen(request),
      { type, capture, echoes: [method, 'emp-204', 'emp-204'], channel: atm ? Channel.atm : Channel.contactless },
      method,
    );
  }
  const original = '7d1e4c2a-0000-4000-8000-00000000b000';
  const increment = sampleText(
    marqetaSample({ method: 'pgfs.authorization.incremental', original_jit_funding_token: original }),
  );
  t.match(seen(read(increment).request), { type: MessageType.incremental, original });
  t.match(read(sampleText(marqetaSample({ amount: n('0.00') }))).request.type, MessageType.verification);
});

t.test('an unknown method is declined with its echo, not refused', async (t) => {
  for (const method of ['pgfs.crypto.teleport', 'pgfs.authorization.reversal', 'pgfs.pay "4111111111111111"']) {
    const { request, refusal } = read(sampleText(marqetaSample({ method })));
    t.ok(refusal !== null && isUnsupported(refusal));
    if (refusal === null || !isUnsupported(refusal)) continue;
    t.notMatch(refusal.kind, /\d{13}/);
    const target = new Uint8Array(answerBytesMax);
    const length = codec.writeUnsupported!(target, 0, request);
    t.same(JSON.parse(Buffer.from(target.subarray(0, length)).toString()), {
      jit_funding: {
        token: '7d1e4c2a-0000-4000-8000-00000000b001',
        method,
        user_token: 'emp-204',
        acting_user_token: 'emp-204',
        amount: 84.2,
        decline_reason: 'TRANSACTION_NOT_PERMITTED',
      },
    });
  }
});

t.test('amounts are exact, in the units of their currency', async (t) => {
  const table: ReadonlyArray<readonly [string, string, number | null]> = [
    ['USD', '84.2', 8420],
    ['USD', '84.20', 8420],
    ['USD', '84.2000', 8420],
    ['USD', '0.29', 29],
    ['USD', '1.005', null],
    ['USD', '1e2', 10_000],
    ['USD', '12345e-2', 12_345],
    ['USD', '1.5e-2', null],
    ['USD', '90071992547409.91', Number.MAX_SAFE_INTEGER],
    ['USD', '90071992547409.92', null],
    ['USD', '4503599627370.49', 450_359_962_737_049],
    ['USD', '-1', null],
    ['JPY', '84', 84],
    ['JPY', '84.0', 84],
    ['JPY', '84.5', null],
    ['KWD', '1.005', 1005],
  ];
  for (const [currency, amount, minor] of table) {
    const sample = marqetaSample({ amount: n(amount) }) as Record<string, Record<string, unknown>>;
    sample['gpa_order']!['currency_code'] = currency;
    const { request, refusal } = read(sampleText(sample));
    if (minor === null) t.equal(refusal?.field, 'gpa_order.jit_funding.amount', `${amount} ${currency}`);
    else t.equal(request.amountMinor, minor, `${amount} ${currency}`);
  }
});

t.test('a duplicate member refuses the message by its path, whether it is known or not', async (t) => {
  const text = sampleText(marqetaSample());
  const table: ReadonlyArray<readonly [string, string]> = [
    [text.replace('"method"', '"amount":1,"\\u0061mount":2.25,"method"'), `${jit}.amount`],
    [text.replace('"method"', '"amount":1,"method"'), `${jit}.amount`],
    [text.replace('"mcc"', '"mcc":"0001","mcc"'), 'card_acceptor.mcc'],
    [text.replace('"mcc"', '"x":1,"y":1,"x":1,"mcc"'), 'card_acceptor.x'],
    [text.replace('{', '{"state":1,"state":2,'), 'state'],
    [text.replace('{', '{"card_token":"other",'), 'card_token'],
  ];
  for (const [body, field] of table) {
    const { refusal } = read(body);
    t.equal(refusal?.field, field, body);
    t.match(refusal?.message, /comes twice/);
  }
  t.equal(read(text.replace('{', '{"unread":{"a":1,"a":2},')).refusal, null);
});

t.test('an id that holds a card number is kept as a hash and echoed as it was sent', async (t) => {
  const id = 'auth 4111.1111.1111.1111';
  const changes = { token: id, original_jit_funding_token: `o${id}`, user_token: `u${id}` };
  const { request, refusal } = read(sampleText(marqetaSample(changes)));
  t.equal(refusal, null);
  t.match(textOf(request, request.id), /^hidden_[a-p]{40}$/);
  t.match(textOf(request, request.original), /^hidden_[a-p]{40}$/);
  t.match(JSON.parse(answer(new Outcome(), request)).jit_funding, changes);
  t.equal(read(withPath('card_token', '4111 1111 1111 1111')).refusal?.field, 'card_token');
  t.equal(read(withPath('card_token', 'tok-4111111111111111')).refusal, null);
});

t.test('a merchant name is cleaned and cut, and an unused date may be impossible', async (t) => {
  for (const [name, kept] of [
    ['Corner\u0000 Store\n\u202e', 'Corner Store '],
    ['x'.repeat(129), 'x'.repeat(128)],
    ['C1\u0085 \ud800', 'C1  \ufffd'],
  ] as const) {
    const { request, refusal } = read(withPath('card_acceptor.name', name));
    t.equal(refusal, null, name);
    t.equal(textOf(request, request.merchantName), kept);
  }
  for (const field of ['created_time', 'user_transaction_time', 'settlement_date', 'local_transaction_date']) {
    t.equal(read(withPath(field, '2026-02-31T25:61:00Z')).refusal, null, field);
  }
});

t.test('the country is read from the first of three members that names one', async (t) => {
  const acceptor = { mid: 'm', mcc: '5411' };
  const table: ReadonlyArray<readonly [object, object, string]> = [
    [{ country_code: 'USA', country: 'DEU' }, { country_code: '250' }, 'US'],
    [{ country: 'DEU' }, { country_code: '250' }, 'DE'],
    [{ country: 'de' }, {}, 'DE'],
    [{}, { country_code: '250' }, 'FR'],
    [{}, { country_code: 250 }, 'FR'],
    [{ country_code: '' }, { country_code: 8 }, 'AL'],
    [{ country_code: 'ZZZ', country: null }, { country_code: '840' }, 'US'],
    [{ country_code: 840 }, {}, 'US'],
    [{}, {}, ''],
  ];
  for (const [card, pos, alpha2] of table) {
    const sample = { ...marqetaSample(), card_acceptor: { ...acceptor, ...card }, pos: { terminal_id: 't', ...pos } };
    const { request, refusal } = read(sampleText(sample));
    t.equal(refusal, null);
    t.equal(request.country, packLetters(alpha2), JSON.stringify([card, pos]));
  }
});

t.test('the currency comes from the order, or else from the message', async (t) => {
  const sample = marqetaSample() as Record<string, Record<string, unknown>>;
  sample['gpa_order']!['currency_code'] = undefined;
  t.equal(read(sampleText(sample)).request.currency, packLetters('USD'));
  delete sample['currency_code'];
  t.equal(read(sampleText(sample)).refusal?.field, 'currency_code');
  const inquiry = marqetaSample({ method: 'pgfs.balanceinquiry', amount: n('0') }) as Record<
    string,
    Record<string, unknown>
  >;
  delete inquiry['currency_code'];
  inquiry['gpa_order']!['currency_code'] = undefined;
  t.match(seen(read(sampleText(inquiry)).request), { type: MessageType.balanceInquiry, currency: 0, amountMinor: 0 });
});

t.test('countries are read in three spellings and channels from three members', async (t) => {
  for (const [code, alpha2] of [
    ['USA', 'US'],
    ['GBR', 'GB'],
    ['DE', 'DE'],
    ['826', 'GB'],
    ['004', 'AF'],
    ['ZZZ', ''],
    ['', ''],
    ['usa', 'US'],
    ['4', 'AF'],
    ['U1', ''],
  ] as const) {
    t.equal(read(withPath('card_acceptor.country_code', code)).request.country, packLetters(alpha2), code);
  }
  const modes: ReadonlyArray<readonly [string, Channel]> = [
    ['CHIP', Channel.chip],
    ['CHIP_CONTACTLESS', Channel.contactless],
    ['MAG_STRIPE_CONTACTLESS', Channel.contactless],
    ['MAG_STRIPE', Channel.magstripe],
    ['CHIP_FALLBACK', Channel.magstripe],
    ['MANUAL', Channel.manual],
    ['KEY_ENTERED', Channel.manual],
    ['CARD_ON_FILE', Channel.ecommerce],
    ['CREDENTIALS_ON_FILE', Channel.ecommerce],
    ['UNKNOWN', Channel.absent],
    ['toString', Channel.absent],
  ];
  for (const [mode, channel] of modes)
    t.equal(read(withPath('pos.pan_entry_mode', mode)).request.channel, channel, mode);
  t.equal(read(withPath('transaction_metadata.payment_channel', 'ECOMMERCE')).request.channel, Channel.ecommerce);
  t.equal(read(withPath('transaction_metadata.payment_channel', 'ATM')).request.channel, Channel.atm);
});

t.test('an optional member may be null or empty', async (t) => {
  for (const path of [
    'card_acceptor',
    'pos',
    'transaction_metadata',
    'card_acceptor.mid',
    'card_acceptor.name',
    'card_acceptor.mcc',
    'card_acceptor.country_code',
    'card_acceptor.poi',
    'pos.pan_entry_mode',
    'currency_code',
    'gpa_order.jit_funding.user_token',
  ]) {
    t.equal(read(withPath(path, null)).refusal, null, path);
    t.equal(read(withPath(path, undefined)).refusal, null, path);
  }
  for (const path of [
    'card_acceptor.mid',
    'card_acceptor.name',
    'card_acceptor.mcc',
    'gpa_order.jit_funding.acting_user_token',
  ]) {
    t.equal(read(withPath(path, '')).refusal, null, path);
  }
});

t.test('every malformed member is named by its path', async (t) => {
  const badToken = ['', 'x'.repeat(65), 5, null, undefined, [], 'a\u0001', '\udfff'];
  const table: ReadonlyArray<readonly [string, readonly unknown[]]> = [
    ['card_token', [...badToken, '4111111111111111']],
    [`${jit}.token`, badToken],
    [`${jit}.method`, ['', 'x'.repeat(65), 5, null, undefined]],
    [`${jit}.user_token`, ['x'.repeat(65), 5, {}]],
    [`${jit}.acting_user_token`, ['x'.repeat(65), 5, {}]],
    [`${jit}.original_jit_funding_token`, ['x'.repeat(65), 5]],
    [`${jit}.amount`, ['84.20', null, undefined, true, {}, n('-0.01'), n('1.001'), n('1e400'), n('1e99')]],
    ['gpa_order', [null, undefined, [], 5]],
    [jit, [null, undefined, [], 5]],
    ['gpa_order.currency_code', ['', 'US', 'usd', 5, 'QQQ']],
    ['currency_code', ['', 'US', 840]],
    ['card_acceptor', [5, [], 'x']],
    ['card_acceptor.mid', ['x'.repeat(65), 5]],
    ['card_acceptor.name', [5, []]],
    ['card_acceptor.mcc', ['541', 5411, '54111']],
    ['card_acceptor.country_code', [[], true]],
    ['card_acceptor.country', [{}]],
    ['pos.country_code', [[]]],
    ['card_acceptor.poi', [5, 'x']],
    ['pos', [5, []]],
    ['pos.pan_entry_mode', [5, {}]],
    ['transaction_metadata', [5]],
    ['transaction_metadata.payment_channel', [5]],
  ];
  for (const [path, values] of table) {
    for (const value of values) {
      const { refusal } = read(withPath(path, value));
      t.equal(refusal?.field, path, `${path} = ${JSON.stringify(value)}`);
      if (refusal !== null) t.notOk(isUnsupported(refusal), 'the message is refused, not declined');
    }
  }
  const text = sampleText(marqetaSample());
  for (const body of ['', '[]', text.slice(0, -1), `${text}}`, text.replace('84.2', '084.2')]) {
    t.equal(read(body).refusal?.field, '');
  }
  t.equal(
    read(sampleText(marqetaSample({ method: 'pgfs.authorization.incremental' }))).refusal?.field,
    `${jit}.original_jit_funding_token`,
  );
});

t.test('the content hash covers method and users, and keeps their borders', async (t) => {
  const hash = (changes: Record<string, unknown>): number => read(sampleText(marqetaSample(changes))).request.extraHash;
  const hashes = [
    hash({}),
    hash({ method: 'pgfs.pindebit' }),
    hash({ user_token: 'emp-205' }),
    hash({ acting_user_token: undefined }),
    hash({ user_token: 'emp-204emp', acting_user_token: '-204' }),
    hash({ user_token: 'emp-204emp-204', acting_user_token: undefined }),
    hash({ user_token: undefined, acting_user_token: 'emp-204emp-204' }),
  ];
  t.equal(new Set(hashes).size, hashes.length);
  t.ok(hashes.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32));
});

function answer(outcome: Outcome, request: Request): string {
  const target = new Uint8Array(answerBytesMax + 2).fill(0x58);
  const length = codec.writeAnswer(target, 1, request, outcome, request.source, request.id);
  t.ok(length <= answerBytesMax);
  t.equal(target[0], 0x58);
  t.equal(target[1 + length], 0x58);
  return Buffer.from(target.subarray(1, 1 + length)).toString();
}

t.test('an answer has exactly these bytes', async (t) => {
  const echo =
    '{"jit_funding":{"token":"7d1e4c2a-0000-4000-8000-00000000b001","method":"pgfs.authorization",' +
    '"user_token":"emp-204","acting_user_token":"emp-204","amount":';
  const { request } = read(sampleText(marqetaSample()));
  const outcome = new Outcome();
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.approvedAmountMinor = 8420;
  outcome.currency = packLetters('USD');
  t.equal(answer(outcome, request), `${echo}84.20}}`);
  outcome.partial = true;
  outcome.approvedAmountMinor = 5;
  t.equal(answer(outcome, request), `${echo}0.05}}`);

  outcome.reset();
  outcome.reason = Reason.limitExceeded;
  outcome.detail = windowDetail(0, 1, 'amount');
  t.equal(answer(outcome, request), `${echo}84.20,"decline_reason":"AMOUNT_LIMIT_EXCEEDED"}}`);
  outcome.detail = windowDetail(0, 1, 'count');
  t.equal(answer(outcome, request), `${echo}84.20,"decline_reason":"TRANSACTION_COUNT_LIMIT_EXCEEDED"}}`);
  outcome.detail = 0;
  for (const entry of reasonTable) {
    if (entry.number === Reason.approved) continue;
    outcome.reason = entry.number;
    t.equal(answer(outcome, request), `${echo}84.20,"decline_reason":"${declineReasons[entry.number]}"}}`);
  }

  const increment = marqetaSample({
    method: 'pgfs.authorization.incremental',
    original_jit_funding_token: 'first"1',
    acting_user_token: undefined,
  });
  outcome.reset();
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.approvedAmountMinor = 8420;
  t.equal(
    answer(outcome, read(sampleText(increment)).request),
    '{"jit_funding":{"token":"7d1e4c2a-0000-4000-8000-00000000b001","method":"pgfs.authorization.incremental",' +
      '"user_token":"emp-204","original_jit_funding_token":"first\\"1","amount":84.20}}',
  );
});

t.test('a balance inquiry is answered with balances', async (t) => {
  const { request } = read(sampleText(marqetaSample({ method: 'pgfs.balanceinquiry', amount: n('0') })));
  const outcome = new Outcome();
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.currency = packLetters('USD');
  outcome.availableMinor = 41_240;
  outcome.heldMinor = 10_000;
  t.equal(
    answer(outcome, request),
    '{"jit_funding":{"token":"7d1e4c2a-0000-4000-8000-00000000b001","method":"pgfs.balanceinquiry",' +
      '"user_token":"emp-204",' +
      '"acting_user_token":"emp-204","amount":0.00,"balances":{"USD":{"currency_code":"USD","ledger_balance":512.40,' +
      '"available_balance":412.40}}}}',
  );
  outcome.availableMinor = -5;
  outcome.heldMinor = 0;
  t.same(JSON.parse(answer(outcome, request)).jit_funding.balances.USD.available_balance, -0.05);
});

t.test('the longest texts stay within the bound', async (t) => {
  const long = '😀'.repeat(64);
  const { request, refusal } = read(
    sampleText(
      marqetaSample({
        token: long,
        user_token: long,
        acting_user_token: '"'.repeat(64),
        original_jit_funding_token: long,
      }),
    ),
  );
  t.equal(refusal, null);
  const outcome = new Outcome();
  outcome.reason = Reason.merchantBlocked;
  t.equal(JSON.parse(answer(outcome, request)).jit_funding.token, long);
});

t.test('a card number in the merchant name is masked', async (t) => {
  const { request } = read(withPath('card_acceptor.name', 'PAY 4111 1111 1111 1111'));
  t.equal(textOf(request, request.merchantName), 'PAY **** **** **** 1111');
});
