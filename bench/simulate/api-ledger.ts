/**
 * The ledger of a running stack. The account API makes a customer with account, money and cards, and shows what was
 * settled. The engine's ops port says what the books have now.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Books, Ledger, OpenedAccount } from './ledger.js';
import { letters } from './networks/ids.js';
import { CredentialsRefused, EngineUnreachable } from './networks/port.js';
import type { Places } from './places.js';
import { type CardChange, type CardPlan, type ExpectedTransaction, StoryError, transactionStatuses } from './story.js';

/** A freeze is in force within a feed's lease. */
const effectiveMsMax = 40_000;
const effectiveLookMs = 50;
const answerMsMax = 15_000;
const retryWaitsMs = [100, 200, 400, 800, 1600, 3200];

interface Opened extends OpenedAccount {
  /** Ids of the account API by the names of the story. */
  readonly cardIds: Readonly<Record<string, string>>;
  /** Of its customer, for the account API. */
  readonly token: string;
}

export class ApiLedger implements Ledger {
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  async open(fundsMinor: number, cards: Readonly<Record<string, CardPlan>>): Promise<Opened> {
    const name = `sim-${letters(16)}`;
    const person = {
      email: `${name}@example.com`,
      password: letters(24),
      name: 'Simulated customer',
      kind: 'personal',
    };
    const { token } = (await this.#api('POST', '/api/auth/register', null, person)) as { token: string };
    const { data } = (await this.#api('GET', '/api/accounts', token)) as { data: { id: string; currency: string }[] };
    const account = data[0]!;
    if (fundsMinor > 0) await this.#api('POST', `/api/accounts/${account.id}/deposits`, token, { amount: fundsMinor });
    const tokens: Record<string, string> = {};
    const cardIds: Record<string, string> = {};
    for (const [cardName, plan] of Object.entries(cards)) {
      const card = await this.#openCard(token, account.id, cardName, plan);
      tokens[cardName] = card.token;
      cardIds[cardName] = card.id;
    }
    return { id: account.id, currency: account.currency, cards: tokens, cardIds, token };
  }

  async books({ id }: OpenedAccount): Promise<Books> {
    const { opsUrl, engineToken } = this.#places;
    if (engineToken === null)
      throw new StoryError('ENGINE_TOKEN is not known: set it, or DATA_DIR to that of make run');
    return (await ask(`${opsUrl}/admin/accounts/${encodeURIComponent(id)}`, {
      headers: { authorization: `Bearer ${engineToken}` },
    })) as Books;
  }

  async transaction(account: OpenedAccount, id: string): Promise<ExpectedTransaction | null | undefined> {
    const { token } = account as Opened;
    const path = `/api/transactions/${encodeURIComponent(id)}`;
    const found = (await this.#api('GET', path, token).catch((error: unknown) => {
      // What was not settled yet is not found.
      if (error instanceof StoryError && error.message.includes(' 404 ')) return null;
      throw error;
    })) as { heldAmount: number; postedAmount: number; refundedAmount: number; status: string } | null;
    if (found === null) return null;
    const status = transactionStatuses.find((known) => known === found.status)!;
    return { held: found.heldAmount, posted: found.postedAmount, refunded: found.refundedAmount, status };
  }

  async change(account: OpenedAccount, card: string, change: CardChange): Promise<void> {
    const { token, cardIds } = account as Opened;
    const path = `/api/cards/${cardIds[card]!}`;
    if ('status' in change) await this.#change(token, path, ['PATCH', path, change]);
    else await this.#change(token, path, ['PUT', `${path}/limits`, change.limits]);
  }

  async #openCard(token: string, accountId: string, name: string, { status, limits }: CardPlan) {
    const order = { accountId, name, ...(limits === null ? {} : { limits }) };
    const card = (await this.#api('POST', '/api/cards', token, order)) as { id: string; token: string };
    if (status === 'frozen') {
      const path = `/api/cards/${card.id}`;
      await this.#change(token, path, ['PATCH', path, { status }]);
    }
    return card;
  }

  /** @param path of the card, which says whether its newest version is in force */
  async #change(token: string, path: string, [method, target, body]: [string, string, object]): Promise<void> {
    let changed = (await this.#api(method, target, token, body)) as { effective: boolean };
    const giveUpAtMs = performance.now() + effectiveMsMax;
    while (!changed.effective) {
      if (performance.now() > giveUpAtMs) throw new StoryError(`${method} ${target} is not in force`);
      await delay(effectiveLookMs);
      changed = (await this.#api('GET', `${path}/effective`, token)) as { effective: boolean };
    }
  }

  #api(method: string, path: string, token: string | null, body?: object): Promise<unknown> {
    return ask(`${this.#places.apiUrl}${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/**
 * A 503 is tried again; a POST has its idempotency key, so what it did counts once.
 * @throws EngineUnreachable without an answer, CredentialsRefused with a 401, StoryError with another one than success
 */
async function ask(url: string, init: RequestInit): Promise<unknown> {
  let [status, text] = await tried(url, init);
  for (const waitMs of retryWaitsMs) {
    if (status !== 503) break;
    await delay(waitMs);
    [status, text] = await tried(url, init);
  }
  if (status === 401) throw new CredentialsRefused(`${url} answers 401`);
  if (status >= 300) throw new StoryError(`${init.method ?? 'GET'} ${url}: ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

async function tried(url: string, init: RequestInit): Promise<[status: number, text: string]> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(answerMsMax) });
    return [response.status, await response.text()];
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new EngineUnreachable(`${url} does not answer: ${(cause as Error).message}`);
  }
}

/** An account and cards that are there already: every card of a story is the one that is given. */
export class GivenLedger extends ApiLedger {
  readonly #account: string;
  readonly #card: string;

  constructor(places: Places, account: string, card: string) {
    super(places);
    this.#account = account;
    this.#card = card;
  }

  override async open(_fundsMinor: number, cards: Readonly<Record<string, CardPlan>>): Promise<Opened> {
    const plain = Object.values(cards).every(({ status, limits }) => status === 'active' && limits === null);
    if (!plain) throw new StoryError('the story needs a card with limits, or a frozen one: leave --card out');
    const tokens = Object.fromEntries(Object.keys(cards).map((name) => [name, this.#card]));
    return { id: this.#account, currency: 'USD', cards: tokens, cardIds: {}, token: '' };
  }

  override async change(): Promise<void> {
    throw new StoryError('the story changes its card: leave --card out');
  }

  /** Its customer has not signed in here. */
  override async transaction(): Promise<undefined> {
    return undefined;
  }
}
