/**
 * The client's side of tests that kill engines. Its traffic comes from a ledger of its own, which knows what was
 * acknowledged. It repeats messages without an answer, and compares answers and books after every start.
 *
 * Of one engine, the end of a connection ends the traffic. Of several, each message goes to any of them and its repeats
 * go to another one; a lost connection is an attempt without an answer.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { MessageType } from '../core/codes.js';
import type { Random } from '../protocols/testing/mutate.js';
import { Client, ConnectionLost, type Reply, stableBody } from './client.js';
import { type AccountBooks, engineBooks, testToken } from './engine-process.js';
import type { Asked, Ledger } from './ledger.js';
import type { Decided } from './linearizability.js';

const inFlight = 24;
/** Of what was acknowledged and verified before, so many are asked once more after every restart. */
const oldSample = 200;
/** An answer of 503 is none: asked again so often while the engine lives. */
const attemptsMax = 200;
const attemptPauseMs = 20;
/** Of several engines one may stand still: longer than every deadline, then another one is asked. */
const severalTimeoutMs = 1_500;
/** Whatever happens to single engines, a message has its answer within this. */
const severalPatienceMs = 60_000;
/**
 * Between two messages of one of those in flight, so that engines and client share a small machine: about 400 messages
 * a second. Faults and moves take seconds whatever is asked; each message is asked again in the end.
 */
const severalPauseMs = 60;
/** Before an attempt that was refused is made again at another one. */
const severalAttemptPauseMs = 20;

/** The client's side of the story. */
export class CrashRun {
  readonly ledger: Ledger;
  repeats = 0;
  undecided = 0;
  lost = 0;
  /** Accounts about which an answer was wrong. */
  readonly suspects = new Set<string>();
  readonly #t: Test;
  readonly #random: Random;
  /** Where engines listen now. */
  places: readonly Ports[];
  /** Set to end the traffic when what is under way is answered. */
  isEnding = false;
  readonly #isOfSeveral: boolean;
  #clients: Clients | null = null;
  /** Acknowledged, and not yet seen to be the same after a kill. */
  #unverified: Asked[] = [];
  #verifiedUpTo = 0;

  constructor(t: Test, ledger: Ledger, random: Random, places: readonly Ports[], isOfSeveral = false) {
    this.#t = t;
    this.ledger = ledger;
    this.#random = random;
    this.places = places;
    this.#isOfSeveral = isOfSeveral;
  }

  recheckAll(): void {
    this.#unverified = [...this.ledger.acknowledged];
  }

  /**
   * After a (re)start: what is unknown is asked again, what is known is checked, the books are compared, then traffic.
   */
  async live(trafficMessages: number): Promise<void> {
    const { ledger } = this;
    const client: Clients = new Map();
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
    for (const { cards, ops } of this.#clients?.values() ?? []) {
      cards.close();
      ops.close();
    }
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
    if (wrong === '') return;
    this.#t.fail(wrong);
    this.suspects.add(asked.account.id);
  }

  async #repeat(client: Clients, asked: Asked): Promise<void> {
    this.repeats++;
    const body = stableBody(await this.#ask(client, asked));
    if (body === asked.answer) return;
    this.suspects.add(asked.account.id);
    this.#t.fail(`two answers to ${asked.text}:\n${asked.answer}\n${body}`);
  }

  /** The body of a 200. */
  async #ask(client: Clients, asked: Asked): Promise<string> {
    const { text } = asked;
    const giveUpAtMs = performance.now() + severalPatienceMs;
    for (let attempt = 0; ; attempt++) {
      const reply = await this.#askOnce(client, asked, text).catch((error: unknown) => {
        if (!this.#isOfSeveral || !isLost(error)) throw error;
        this.lost++;
        return null;
      });
      if (reply?.status === 200) return reply.body;
      const isPatient = this.#isOfSeveral ? performance.now() < giveUpAtMs : attempt < attemptsMax;
      if ((reply !== null && reply.status !== 503) || !isPatient) {
        throw new Error(`${reply?.status} ${reply?.body} to ${text}`);
      }
      this.undecided++;
      await delay(this.#isOfSeveral ? severalAttemptPauseMs : attemptPauseMs);
    }
  }

  #askOnce(client: Clients, asked: Asked, body: string): Promise<Reply> {
    // An engine that stands still would take a new connection, and never answer.
    if (client !== this.#clients) return Promise.reject(new ConnectionLost('the connections were given up'));
    const { command, account } = asked;
    const place = this.#placeFor(asked);
    asked.askedOf = place.authPort;
    const { cards, ops } = clientsOf(client, place);
    const timeoutMs = this.#isOfSeveral ? severalTimeoutMs : undefined;
    if (command === null) return cards.ask({ body }, timeoutMs);
    const path = `/admin/accounts/${account.id}/${command}`;
    return ops.ask({ path, body, headers: { authorization: `Bearer ${testToken}` } }, timeoutMs);
  }

  /** Any engine, and for another attempt or a repeat another one. */
  #placeFor({ askedOf }: Asked): Ports {
    const others = this.places.filter(({ authPort }) => authPort !== askedOf);
    return this.#random.pick(others.length > 0 ? others : this.places);
  }

  async #traffic(client: Clients, messages: number): Promise<void> {
    for (let count = 0; count < messages && !this.isEnding; count++) {
      if (this.#isOfSeveral) await delay(this.#random.below(2 * severalPauseMs));
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
      const reply = await this.#askOnce(client, earlier, JSON.stringify(other)).catch((error: unknown) => {
        if (!this.#isOfSeveral || !isLost(error)) throw error;
        return { status: 503, body: '' };
      });
      const { status, body } = reply;
      if (status !== 409 && status !== 503) this.#t.fail(`other content under an earlier id: ${status} ${body}`);
      return;
    }
    const asked = this.ledger.draw();
    // Nothing free to ask about: let the others go on.
    if (asked === null) return delay(0);
    await this.#resolve(client, asked);
  }

  /** A busy machine answers 503 after a deadline: asked again, as a message is. */
  async #booksOf(id: string): Promise<AccountBooks> {
    const giveUpAtMs = performance.now() + severalPatienceMs;
    for (;;) {
      try {
        return await engineBooks(this.#random.pick(this.places), id);
      } catch (error) {
        const isBusy = error instanceof Error && error.message.startsWith(`account ${id}: 503 `);
        if (!isBusy || this.#clients === null || performance.now() > giveUpAtMs) throw error;
        await delay(severalAttemptPauseMs);
      }
    }
  }

  /** Nothing is under way: the engine must have what the ledger has. */
  async #compareBooks(): Promise<void> {
    const { accounts, unknown } = this.ledger;
    if (unknown.size > 0) throw new Error('books are compared when nothing is unknown');
    for (const { id, funds, held, posted } of accounts) {
      const books = await this.#booksOf(id);
      const expected = { id, currency: 'USD', funds, available: funds - held - posted, held, posted };
      if (JSON.stringify(books) !== JSON.stringify(expected)) {
        this.#t.fail(`the engine has ${JSON.stringify(books)}, acknowledged was ${JSON.stringify(expected)}`);
      }
    }
  }
}

export interface Ports {
  readonly authPort: number;
  readonly opsPort: number;
}

/** Of each engine. Card messages go to the authorization port, money in and out to the ops port. */
type Clients = Map<Ports, { readonly cards: Client; readonly ops: Client }>;

function clientsOf(clients: Clients, place: Ports) {
  const known = clients.get(place);
  if (known !== undefined) return known;
  const made = { cards: new Client(place.authPort), ops: new Client(place.opsPort) };
  clients.set(place, made);
  return made;
}

/** A connection that ended, on either port. */
function isLost(error: unknown): boolean {
  return error instanceof ConnectionLost || (error instanceof TypeError && error.message === 'fetch failed');
}

/** For a person who looks for the reason: what Postgres has about accounts that were answered wrongly. */
export async function eventsOf(sql: postgres.Sql, accounts: ReadonlySet<string>): Promise<string[]> {
  const rows = await sql`
    select public_id, partition, sequence, at, request_id, transaction_id, type, approved, reason,
      transaction_events.amount, approved_amount, held_delta, posted_delta, available_delta
    from transaction_events join accounts on accounts.id = account_id where public_id = any(${[...accounts]})
    order by partition, sequence limit 1000`;
  const frames = await sql`
    select partition, position, epoch, first_sequence, record_count from journal_frames where record_count = 0
    order by partition, position limit 200`;
  return [...rows, ...frames].map((row) => JSON.stringify(row));
}

/** The decisions about an account in the order of its partition. */
export async function decidedOf(sql: postgres.Sql, account: string): Promise<Decided[]> {
  const rows = await sql<{ id: string; type: number; funds: string; held: string; posted: string }[]>`
    select request_id as id, type, funds_delta as funds, held_delta as held, posted_delta as posted
    from transaction_events join accounts on accounts.id = account_id
    where public_id = ${account} and request_id is not null order by sequence`;
  return rows.map(({ id, type, funds, held, posted }) => ({
    requestId: id,
    isRevocation: type === MessageType.revocation,
    moved: { funds: Number(funds), held: Number(held), posted: Number(posted) },
  }));
}

/**
 * Nothing is lost and nothing doubled: Postgres has exactly what was acknowledged. Every engine has stopped.
 * @param commandsMin more deposits, and more withdrawals, must have been acknowledged
 */
export async function judgeBooks(t: Test, sql: postgres.Sql, ledger: Ledger, commandsMin: number): Promise<void> {
  const report = await auditBooks(sql);
  t.same(report.findings, [], 'the books in Postgres balance');
  const rows = await sql<{ id: string; funds: string; available: string; held: string; posted: string }[]>`
    select public_id as id, funds, available, held, posted from accounts
    where public_id = any(${ledger.accounts.map(({ id }) => id)}) order by public_id`;
  t.same(
    rows.map(({ id, funds, available, held, posted }) => [id, funds, available, held, posted].join(' ')),
    ledger.accounts.map(({ id, funds, held, posted }) => [id, funds, funds - held - posted, held, posted].join(' ')),
    'Postgres has every acknowledged amount, account by account',
  );
  const commands = ledger.acknowledged.filter(({ command }) => command !== null);
  for (const kind of ['deposits', 'withdrawals']) {
    const approved = commands.filter(({ command, answer }) => command === kind && JSON.parse(answer).approved);
    t.ok(approved.length > commandsMin, `${approved.length} ${kind} were acknowledged`);
  }
  const [events] = await sql<{ twice: number }[]>`
    select count(*)::integer as twice from (
      select request_id from transaction_events where request_id is not null
      -- A late approval that was revoked (type 10) is no answer: its id is decided again.
      group by request_id
      having count(*) filter (where type <> ${MessageType.revocation})
        - count(*) filter (where type = ${MessageType.revocation}) > 1) as repeated`;
  t.equal(events?.twice, 0, 'no message was journaled twice');
}
