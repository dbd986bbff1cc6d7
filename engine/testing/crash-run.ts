/**
 * The client's side of tests that kill engines. Its traffic comes from a ledger of its own, which knows what was
 * acknowledged. It repeats messages without an answer, and compares answers and books after every start.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import type { Random } from '../protocols/testing/mutate.js';
import { Client, ConnectionLost, type Reply, stableBody } from './client.js';
import { engineBooks, testToken } from './engine-process.js';
import type { Asked, Ledger } from './ledger.js';

const inFlight = 24;
/** Of what was acknowledged and verified before, so many are asked once more after every restart. */
const oldSample = 200;
/** An answer of 503 is none: asked again so often while the engine lives. */
const attemptsMax = 200;
const attemptPauseMs = 5;

/** The client's side of the story. */
export class CrashRun {
  readonly ledger: Ledger;
  repeats = 0;
  undecided = 0;
  lost = 0;
  readonly #t: Test;
  readonly #random: Random;
  /** Where the engine listens now. */
  place: Ports;
  #clients: Clients | null = null;
  /** Acknowledged, and not yet seen to be the same after a kill. */
  #unverified: Asked[] = [];
  #verifiedUpTo = 0;

  constructor(t: Test, ledger: Ledger, random: Random, place: Ports) {
    this.#t = t;
    this.ledger = ledger;
    this.#random = random;
    this.place = place;
  }

  recheckAll(): void {
    this.#unverified = [...this.ledger.acknowledged];
  }

  /**
   * After a (re)start: what is unknown is asked again, what is known is checked, the books are compared, then traffic.
   */
  async live(trafficMessages: number): Promise<void> {
    const { ledger } = this;
    const client: Clients = { cards: new Client(this.place.authPort), ops: new Client(this.place.opsPort) };
    this.#clients = client;
    try {
      await this.#inParallel([...ledger.unknown], (asked) => this.#resolve(client, asked));
      const fresh = ledger.acknowledged.slice(this.#verifiedUpTo);
      this.#verifiedUpTo = ledger.acknowledged.length;
      this.#unverified.push(...fresh);
      for (let count = 0; count < oldSample && ledger.acknowledged.length > 0; count++) {
        this.#unverified.push(this.#random.pick(ledger.acknowledged));
      }
      const unverified = this.#unverified;
      this.#unverified = [];
      await this.#inParallel(unverified, (asked) => this.#repeat(client, asked));
      await this.#compareBooks();
      const loops = Array.from({ length: inFlight }, () => this.#traffic(client, trafficMessages));
      const ends = await Promise.allSettled(loops);
      for (const end of ends) if (end.status === 'rejected') throw end.reason as Error;
    } catch (error) {
      // The kill. Anything else is a failure of the test.
      if (!isLost(error) && this.#clients !== null) throw error;
    } finally {
      this.abandon();
    }
  }

  /** Ends the connections: what was asked on them stays unknown, and live() returns. */
  abandon(): void {
    this.#clients?.cards.close();
    this.#clients?.ops.close();
    this.#clients = null;
  }

  /** All are tried, whatever happens to one; the first loss is thrown after that. */
  async #inParallel(list: readonly Asked[], one: (asked: Asked) => Promise<void>): Promise<void> {
    let next = 0;
    const loop = async () => {
      while (next < list.length) {
        const asked = list[next++]!;
        try {
          await one(asked);
        } catch (error) {
          if (asked.answer !== '')
            this.#unverified.push(asked, ...list.slice(next).filter(({ answer }) => answer !== ''));
          next = list.length;
          throw error;
        }
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: inFlight }, loop));
    for (const end of ends) if (end.status === 'rejected') throw end.reason as Error;
  }

  /** Asks until there is an answer. Throws when the connection is lost; then the outcome stays unknown. */
  async #resolve(client: Clients, asked: Asked): Promise<void> {
    const body = await this.#ask(client, asked);
    const wrong = this.ledger.acknowledge(asked, body);
    if (wrong !== '') this.#t.fail(wrong);
  }

  async #repeat(client: Clients, asked: Asked): Promise<void> {
    this.repeats++;
    const body = stableBody(await this.#ask(client, asked));
    if (body !== asked.answer) this.#t.fail(`two answers to ${asked.text}:\n${asked.answer}\n${body}`);
  }

  /** The body of a 200. */
  async #ask(client: Clients, asked: Asked): Promise<string> {
    const { text } = asked;
    for (let attempt = 0; ; attempt++) {
      const reply = await this.#askOnce(client, asked, text);
      if (reply.status === 200) return reply.body;
      if (reply.status !== 503 || attempt >= attemptsMax) throw new Error(`${reply.status} ${reply.body} to ${text}`);
      this.undecided++;
      await delay(attemptPauseMs);
    }
  }

  #askOnce(client: Clients, { command, account }: Asked, body: string): Promise<Reply> {
    // An engine that stands still would take a new connection, and never answer.
    if (client !== this.#clients) return Promise.reject(new ConnectionLost('the connections were given up'));
    if (command === null) return client.cards.ask({ body });
    const path = `/admin/accounts/${account.id}/${command}`;
    return client.ops.ask({ path, body, headers: { authorization: `Bearer ${testToken}` } });
  }

  async #traffic(client: Clients, messages: number): Promise<void> {
    for (let count = 0; count < messages; count++) {
      try {
        await this.#one(client);
      } catch (error) {
        if (isLost(error)) this.lost++;
        throw error;
      }
    }
  }

  async #one(client: Clients): Promise<void> {
    const roll = this.#random.below(100);
    const earlier = roll < 10 ? this.ledger.drawAcknowledged() : null;
    if (earlier !== null) {
      if (roll < 8) return this.#repeat(client, earlier);
      const amount = (earlier.message.amount ?? 0) + 1;
      const { id } = earlier.message;
      const other = earlier.command === null ? { ...earlier.message, amount, currency: 'USD' } : { id, amount };
      const { status, body } = await this.#askOnce(client, earlier, JSON.stringify(other));
      if (status !== 409 && status !== 503) this.#t.fail(`other content under an earlier id: ${status} ${body}`);
      return;
    }
    const asked = this.ledger.draw();
    // Nothing free to ask about: let the others go on.
    if (asked === null) return delay(0);
    await this.#resolve(client, asked);
  }

  /** Nothing is under way: the engine must have what the ledger has. */
  async #compareBooks(): Promise<void> {
    const { accounts, unknown } = this.ledger;
    if (unknown.size > 0) throw new Error('books are compared when nothing is unknown');
    for (const { id, funds, held, posted } of accounts) {
      const books = await engineBooks(this.place, id);
      const expected = { id, currency: 'USD', funds, available: funds - held - posted, held, posted };
      if (JSON.stringify(books) !== JSON.stringify(expected)) {
        this.#t.fail(`the engine has ${JSON.stringify(books)}, acknowledged was ${JSON.stringify(expected)}`);
      }
    }
  }
}

interface Ports {
  readonly authPort: number;
  readonly opsPort: number;
}

/** Card messages go to the authorization port, money in and out to the ops port. */
interface Clients {
  readonly cards: Client;
  readonly ops: Client;
}

/** A connection that ended, on either port. */
function isLost(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof TypeError && error.message === 'fetch failed');
}

/** Nothing is lost and nothing doubled: Postgres has exactly what was acknowledged. Every engine has stopped. */
export async function judgeBooks(t: Test, sql: postgres.Sql, ledger: Ledger, kills: number): Promise<void> {
  const report = await auditBooks(sql);
  t.same(report.findings, [], 'the books in Postgres balance');
  const rows = await sql<{ id: string; funds: string; available: string; held: string; posted: string }[]>`
    select public_id as id, funds, available, held, posted from accounts order by public_id`;
  t.same(
    rows.map(({ id, funds, available, held, posted }) => [id, funds, available, held, posted].join(' ')),
    ledger.accounts.map(({ id, funds, held, posted }) => [id, funds, funds - held - posted, held, posted].join(' ')),
    'Postgres has every acknowledged amount, account by account',
  );
  const commands = ledger.acknowledged.filter(({ command }) => command !== null);
  for (const kind of ['deposits', 'withdrawals']) {
    const approved = commands.filter(({ command, answer }) => command === kind && JSON.parse(answer).approved);
    t.ok(approved.length > kills, `${approved.length} ${kind} were acknowledged`);
  }
  const [events] = await sql<{ twice: number }[]>`
    select count(*)::integer as twice from (
      select request_id from transaction_events where request_id is not null
      -- A late approval that was revoked (type 10) is no answer: its id is decided again.
      group by request_id having count(*) filter (where type <> 10) - count(*) filter (where type = 10) >
      1) as repeated`;
  t.equal(events?.twice, 0, 'no message was journaled twice');
}
