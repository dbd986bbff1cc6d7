/** What Marqeta's part writes: amounts with the decimals of the currency. */
import t from 'tap';
import { MarqetaNetwork } from './marqeta.js';
import { Port } from './port.js';

class NotingPort extends Port {
  readonly bodies: string[] = [];
  constructor(readonly available: string) {
    super('http://127.0.0.1:1');
  }
  override async post(...[path, body]: Parameters<Port['post']>): ReturnType<Port['post']> {
    this.bodies.push(String(body));
    const balances = `{"X":{"available_balance":${this.available}}}`;
    const text = `{"jit_funding":{"amount":${this.available},"balances":${balances}}}`;
    return { status: 200, text, json: path === '/marqeta/jit' ? JSON.parse(text) : {} };
  }
}

t.test('amounts have as many decimals as the currency', async (t) => {
  for (const [currency, written, available, minor] of [
    ['USD', '12.34', '99.5', 9950],
    ['JPY', '1234', '995', 995],
    ['BHD', '1.234', '99.5', 99_500],
  ] as const) {
    const port = new NotingPort(available);
    const credentials = { user: 'u', password: 'p', marqetaSecret: null, lithicSecret: null, stripeSecret: null };
    const life = new MarqetaNetwork(port, credentials).open({
      ...{ card: 'card_1', channel: 'chip', currency },
      merchant: { id: 'm', name: 'Shop', mcc: '5411', country: 'US' },
    });
    const say = { verb: 'authorize', amountMinor: 1234, isFinal: true, isPartialAllowed: false } as const;
    const answer = await life.play({ ...say, outcome: 'taken' }, (message) => message.send());
    t.equal(answer?.availableMinor, minor, currency);
    const [question, report] = port.bodies;
    t.match(question, `"amount":${written},`, currency);
    t.match(question, `"currency_code":"${currency}"`);
    t.match(report, `"currency_code":"${currency}"`);
    t.match(report, new RegExp(`"amount":"?${available.replace('.', '\\.')}`));
  }
});
