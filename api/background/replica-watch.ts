/**
 * How far the standbys of DATABASE_URL are behind their primary. Each server is asked by itself, with functions that
 * every role may call. With one server in the URL there is nothing to watch.
 */
import { BoundedConnections } from '../../platform/postgres/bounded-connections.js';
import { serverUrls } from '../../platform/postgres/connect.js';
import { Rounds } from './rounds.js';

const everyMs = 5_000;
const answerMs = 2_000;
const connectTimeoutS = 2;

export interface ServerState {
  readonly server: string;
  readonly isUp: boolean;
  readonly isPrimary: boolean;
  /** WAL that the primary has written and this one has not replayed; null: this or the primary did not answer. */
  readonly lagBytes: number | null;
  /** For so long the primary has had something that this one has not replayed; 0: nothing. */
  readonly lagSeconds: number | null;
}

interface Answer {
  readonly isStandby: boolean;
  readonly place: string;
}

/** Where the primary was at a look. */
interface Place {
  readonly bytes: number;
  readonly atMs: number;
}

/** An hour of looks: of a standby that is further behind, the lag counts from there. */
const placesMax = 720;

export class ReplicaWatch {
  readonly #servers: readonly { readonly name: string; readonly connections: BoundedConnections }[];
  readonly #rounds = new Rounds(() => this.look().then(() => everyMs));
  readonly #places: Place[] = [];
  /** At the last look; empty before it, and where there is one server. */
  states: readonly ServerState[] = [];

  constructor(databaseUrl: string) {
    const options = {
      max: 1,
      connect_timeout: connectTimeoutS,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: 'replica watch', statement_timeout: answerMs },
    };
    this.#servers = serverUrls(databaseUrl).map(({ name, url }) => ({
      name,
      connections: new BoundedConnections(url, options),
    }));
  }

  start(): void {
    if (this.#servers.length > 0) this.#rounds.start(0);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#rounds.stop(), ...this.#servers.map(({ connections }) => connections.close())]);
  }

  async look(): Promise<void> {
    const answers = await Promise.all(
      this.#servers.map(async ({ name, connections }) => ({
        name,
        answer: await connections.run(answerMs, ask).catch(() => null),
      })),
    );
    const primaries = answers.flatMap(({ answer }) => (answer?.isStandby === false ? bytesOf(answer.place) : []));
    const nowMs = performance.now();
    const newest = primaries.length === 0 ? null : Math.max(...primaries);
    if (newest !== null && newest !== this.#places.at(-1)?.bytes) this.#places.push({ bytes: newest, atMs: nowMs });
    if (this.#places.length > placesMax) this.#places.shift();
    this.states = answers.map(({ name, answer }) => this.#stateOf(name, answer, newest, nowMs));
  }

  #stateOf(server: string, answer: Answer | null, newest: number | null, nowMs: number): ServerState {
    const isPrimary = answer?.isStandby === false;
    if (answer === null || newest === null) {
      return { server, isUp: answer !== null, isPrimary, lagBytes: null, lagSeconds: null };
    }
    const replayed = bytesOf(answer.place);
    const missing = this.#places.find(({ bytes }) => bytes > replayed);
    const lagSeconds = missing === undefined ? 0 : (nowMs - missing.atMs) / 1000;
    return { server, isUp: true, isPrimary, lagBytes: Math.max(0, newest - replayed), lagSeconds };
  }
}

const question = `select pg_is_in_recovery() as "isStandby",
  (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as place`;

async function ask(sql: { unsafe(text: string): PromiseLike<unknown> }): Promise<Answer> {
  const [row] = (await sql.unsafe(question)) as Answer[];
  return row!;
}

/** `16/B374D848`: two halves of 32 bits. */
function bytesOf(place: string): number {
  const [high = '0', low = '0'] = place.split('/');
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}
