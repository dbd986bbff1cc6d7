/**
 * A customer who freezes cards while engines come and go. Once the API says that a freeze is in force, no engine may
 * approve the card until it is unfrozen.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import type { Random } from '../../engine/protocols/testing/mutate.js';
import { Client, ConnectionLost } from '../../engine/testing/client.js';
import type { Ports } from '../../engine/testing/crash-run.js';
import { request } from './api-inside.js';
import { ApiProcess } from './api-process.js';
import { Customer, fresh } from './customer.js';

const cardCount = 6;
const depositMinor = 100_000_000;
/** An engine that says nothing is out of the way after FEED_STALE_MS_MAX and a quarter. */
const effectiveLooksMax = 20;
const frozenMsMax = 4_000;
const pauseMs = 20;
const answerMsMax = 4_000;

interface Card {
  readonly id: string;
  readonly token: string;
}

export class FrozenCards {
  /** Freezes that came into force, and messages that were refused then. */
  freezes = 0;
  checks = 0;
  isEnding = false;
  readonly #t: Test;
  readonly #customer: Customer;
  readonly #cards: readonly Card[];

  private constructor(t: Test, customer: Customer, cards: readonly Card[]) {
    this.#t = t;
    this.#customer = customer;
    this.#cards = cards;
  }

  static async start(
    t: Test,
    place: { readonly databaseUrl: string; readonly redisUrl: string; readonly opsPort: number },
  ): Promise<FrozenCards> {
    const api = new ApiProcess(await findFreePort(), {
      DATABASE_URL: place.databaseUrl,
      REDIS_URL: place.redisUrl,
      ENGINE_URL: `http://127.0.0.1:${place.opsPort}`,
      LOG_LEVEL: 'warn',
    });
    t.teardown(() => api.stop());
    await api.ready();
    const customer = await Customer.register(
      { engine: null, request: (method, path, options) => request(api.url, method, path, options) },
      'business',
    );
    const account = await customer.accountId();
    const deposit = await customer.post(`/api/accounts/${account}/deposits`, { amount: depositMinor });
    if (deposit.status !== 201) throw new Error(`no deposit: ${deposit.status} ${deposit.text}`);
    const cards: Card[] = [];
    while (cards.length < cardCount) cards.push(await customer.card(account));
    return new FrozenCards(t, customer, cards);
  }

  /** Freezes one card after the other until `isEnding`. @param places engines that may be asked now */
  async live(places: () => readonly Ports[], random: Random): Promise<void> {
    while (!this.isEnding) {
      const card = random.pick(this.#cards);
      for (let count = 0; count < 3; count++) await this.#isApproved(random.pick(places()), card);
      const isFrozen = await this.#set(card, 'frozen');
      if (isFrozen) {
        this.freezes++;
        await this.#check(card, places, random);
      }
      await this.#set(card, 'active');
    }
  }

  async #check(card: Card, places: () => readonly Ports[], random: Random): Promise<void> {
    const untilMs = performance.now() + random.below(frozenMsMax);
    while (performance.now() < untilMs) {
      const place = random.pick(places());
      const approval = await this.#isApproved(place, card);
      if (approval !== '') this.#t.fail(`a frozen card was approved on port ${place.authPort}: ${approval}`);
      this.checks++;
      await delay(pauseMs);
    }
  }

  /** @returns whether it is in force on every engine */
  async #set({ id }: Card, status: 'frozen' | 'active'): Promise<boolean> {
    let reply = await this.#customer.change('PATCH', `/api/cards/${id}`, { status });
    for (let looks = 0; looks < effectiveLooksMax; looks++) {
      if (reply.status !== 200 && reply.status !== 202) throw new Error(`${status}: ${reply.status} ${reply.text}`);
      if (reply.json.effective === true) return true;
      reply = await this.#customer.get(`/api/cards/${id}/effective`);
    }
    return false;
  }

  /** @returns the approval, '' for anything else */
  async #isApproved(place: Ports | undefined, { token: card }: Card): Promise<string> {
    if (place === undefined) return '';
    const client = new Client(place.authPort);
    const message = { id: fresh('frozen'), type: 'authorization', card, amount: 1, currency: 'USD' };
    try {
      const { status, body } = await client.ask({ body: JSON.stringify(message) }, answerMsMax);
      return status === 200 && JSON.parse(body).approved === true ? body : '';
    } catch (error) {
      if (error instanceof ConnectionLost) return '';
      throw error;
    } finally {
      client.close();
    }
  }
}
