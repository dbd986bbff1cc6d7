/** Signatures of processors, by known vectors and by the processors' own clients. */
import Lithic from 'lithic';
import Stripe from 'stripe';
import t from 'tap';
import { lithicHeaders, lithicSecret, stripeHeaders, stripeSecret } from '../../testing/signing.js';
import { marqetaSignatures, standardWebhooks, stripeSignatures } from './signatures.js';

type Headers = Readonly<Record<string, string>>;
const request = (headers: Headers) => ({ getHeader: (name: string) => headers[name] ?? '' });
const vector = {
  secret: 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX',
  body: '{"token":"11111111-1111-4111-8111-111111111111","status":"AUTHORIZATION"}',
  headers: {
    'webhook-id': 'msg_demo_0001',
    'webhook-timestamp': '1900000000',
    'webhook-signature': 'v1,tzQgbuzmqeqJxv9EjzmYPWYf+XdPjOQJJECYcGZNgXI=',
  },
};

function accepts(secrets: readonly string[], headers: Headers, body: string, atMs: number): boolean {
  const check = standardWebhooks(secrets);
  const proof = check.proofOf(request(headers));
  return proof !== null && check.accepts(proof, Buffer.from(body), atMs);
}

t.test(
  'a Standard Webhooks signature is accepted by any of the secrets, within five minutes, for its bytes',
  async (t) => {
    const { secret, body, headers } = vector;
    const atMs = 1_900_000_000_000;
    const signature = headers['webhook-signature'];
    const cases: readonly (readonly [string, readonly string[], Headers, string, number, boolean])[] = [
      ['as sent', [secret], headers, body, atMs, true],
      ['the older secret of two', [lithicSecret, secret], headers, body, atMs, true],
      ['a secret without its prefix', [secret.slice(6)], headers, body, atMs, true],
      ['another secret', [lithicSecret], headers, body, atMs, false],
      ['another body', [secret], headers, body.replace('AUTH', 'auth'), atMs, false],
      ['a space more', [secret], headers, `${body} `, atMs, false],
      ['another id', [secret], { ...headers, 'webhook-id': 'msg_demo_0002' }, body, atMs, false],
      ['another time', [secret], { ...headers, 'webhook-timestamp': '1900000001' }, body, atMs, false],
      ['five minutes late', [secret], headers, body, atMs + 300_000, true],
      ['five minutes and a bit late', [secret], headers, body, atMs + 300_001, false],
      ['five minutes early', [secret], headers, body, atMs - 300_000, true],
      ['five minutes and a bit early', [secret], headers, body, atMs - 300_001, false],
      ['no id', [secret], { ...headers, 'webhook-id': '' }, body, atMs, false],
      ['no signature', [secret], { ...headers, 'webhook-signature': '' }, body, atMs, false],
      [
        'another version',
        [secret],
        { ...headers, 'webhook-signature': signature.replace('v1', 'v2') },
        body,
        atMs,
        false,
      ],
      [
        'behind a wrong one',
        [secret],
        { ...headers, 'webhook-signature': `v1,AAAA v2,x ${signature}` },
        body,
        atMs,
        true,
      ],
      ['cut short', [secret], { ...headers, 'webhook-signature': signature.slice(0, -4) }, body, atMs, false],
      [
        'behind too many',
        [secret],
        { ...headers, 'webhook-signature': `${'v1,AA== '.repeat(9)}${signature}` },
        body,
        atMs,
        false,
      ],
      [
        'a longer header',
        [secret],
        { ...headers, 'webhook-signature': `${signature}${' '.repeat(2000)}` },
        body,
        atMs,
        false,
      ],
    ];
    for (const [name, secrets, sent, text, now, isAccepted] of cases) {
      t.equal(accepts(secrets, sent, text, now), isAccepted, name);
    }
  },
);

t.test("what Lithic's own client accepts is accepted, and what it refuses is refused", async (t) => {
  const client = new Lithic({ apiKey: 'none', webhookSecret: lithicSecret });
  const body = '{"event_type":"card_transaction.updated","token":"t"}';
  for (const [name, headers] of [
    ['right', lithicHeaders(body)],
    ['another body', lithicHeaders(`${body} `)],
    ['late', lithicHeaders(body, { atMs: Date.now() - 400_000 })],
    ['early', lithicHeaders(body, { atMs: Date.now() + 400_000 })],
    ['another secret', lithicHeaders(body, { secret: vector.secret })],
  ] as const) {
    let isRight = true;
    try {
      client.webhooks.parse(body, { headers, secret: lithicSecret });
    } catch {
      isRight = false;
    }
    t.equal(isRight, name === 'right', `${name}: the client`);
    t.equal(accepts([lithicSecret], headers, body, Date.now()), isRight, name);
  }
});

const stripeVector = {
  secret: 'whsec_demo0123456789abcdef',
  body: '{"id":"evt_demo_1","type":"issuing_authorization.request"}',
  header: 't=1900000000,v1=66ae8101085bf57fbe27dad86b39bb7746044ef273cf192538f4aa141724776b',
};

function acceptsStripe(secrets: readonly string[], header: string, body: string, atMs: number): boolean {
  const check = stripeSignatures(secrets);
  const proof = check.proofOf(request({ 'stripe-signature': header }));
  return proof !== null && check.accepts(proof, Buffer.from(body), atMs);
}

t.test('a Stripe signature is accepted by any of the secrets, within five minutes, for its bytes', async (t) => {
  const { secret, body, header } = stripeVector;
  const atMs = 1_900_000_000_000;
  const [time = '', right = ''] = header.split(',');
  const wrong = `v1=${'0'.repeat(64)}`;
  const cases: readonly (readonly [string, readonly string[], string, string, number, boolean])[] = [
    ['as sent', [secret], header, body, atMs, true],
    ['the older secret of two', [stripeSecret, secret], header, body, atMs, true],
    ['behind a wrong one', [secret], `${time},${wrong},${right},v0=x`, body, atMs, true],
    ['another secret', [stripeSecret], header, body, atMs, false],
    ['the secret without its prefix', [secret.slice(6)], header, body, atMs, false],
    ['another body', [secret], header, `${body} `, atMs, false],
    ['another time', [secret], `t=1900000001,${right}`, body, atMs, false],
    ['five minutes late', [secret], header, body, atMs + 300_000, true],
    ['five minutes and a bit late', [secret], header, body, atMs + 300_001, false],
    ['five minutes and a bit early', [secret], header, body, atMs - 300_001, false],
    ['another scheme', [secret], header.replace('v1=', 'v0='), body, atMs, false],
    ['no time', [secret], right, body, atMs, false],
    ['a time that is none', [secret], `t=1e9,${right}`, body, atMs, false],
    ['no signature', [secret], time, body, atMs, false],
    ['nothing', [secret], '', body, atMs, false],
    ['commas', [secret], ',,,=,=,', body, atMs, false],
    ['behind too many', [secret], `${time}${`,${wrong}`.repeat(8)},${right}`, body, atMs, false],
  ];
  for (const [name, secrets, sent, text, now, isAccepted] of cases) {
    t.equal(acceptsStripe(secrets, sent, text, now), isAccepted, name);
  }
});

t.test("what Stripe's own client accepts is accepted, and what it refuses is refused", async (t) => {
  const { webhooks } = new Stripe('none');
  const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'issuing_authorization.created' });
  const timestamp = Math.floor(Date.now() / 1000);
  const signed = (changes: Partial<Parameters<typeof webhooks.generateTestHeaderString>[0]> = {}) =>
    webhooks.generateTestHeaderString({ payload: body, secret: stripeSecret, timestamp, ...changes });
  for (const [name, header] of [
    ['right', signed()],
    ['two signatures', stripeHeaders(body, { secrets: ['another', stripeSecret] })['stripe-signature']!],
    ['another body', signed({ payload: `${body} ` })],
    ['late', signed({ timestamp: timestamp - 400 })],
    ['another secret', signed({ secret: 'another' })],
    ['another scheme', signed({ scheme: 'v0' })],
  ] as const) {
    let isRight = true;
    try {
      webhooks.constructEvent(body, header, stripeSecret);
    } catch {
      isRight = false;
    }
    t.equal(isRight, name === 'right' || name === 'two signatures', `${name}: the client`);
    t.equal(acceptsStripe([stripeSecret], header, body, Date.now()), isRight, name);
  }
});

t.test('a signature of Marqeta is accepted by known vectors, and never without Basic authentication', async (t) => {
  const body = Buffer.from('{"pings":[{"token":"marqeta","payload":"healthcheck"}]}');
  const sha1 = 'ec704ef28487150e4f67b0c2ea0a7e49fc1b6f20';
  const sha256 = 'f1d753f25a92d3fed8a0cce6a18455ca18d8744fc450cff6de307890d608f68b';
  const secret = 'marq-demo-secret-42';
  const check = (secrets: readonly string[], signature: string, isRight = true) => {
    const marqeta = marqetaSignatures(secrets, { accepts: () => isRight });
    const proof = marqeta.proofOf(request({ 'x-marqeta-signature': signature }));
    return proof !== null && marqeta.accepts(proof, body, 0);
  };
  for (const [name, secrets, signature, isAccepted] of [
    ['SHA-1', [secret], sha1, true],
    ['SHA-256', [secret], sha256, true],
    ['the older secret of two', ['another', secret], sha256, true],
    ['another secret', ['another'], sha256, false],
    ['half of SHA-256', [secret], sha256.slice(0, 40), false],
    ['capitals', [secret], sha256.toUpperCase(), false],
    ['more behind it', [secret], `${sha256}00`, false],
    ['none', [secret], '', false],
    ['none, and no secret', [], '', true],
    ['any, and no secret', [], sha1, true],
  ] as const) {
    t.equal(check(secrets, signature), isAccepted, name);
    t.equal(check(secrets, signature, false), false, `${name}, without Basic authentication`);
  }
});
