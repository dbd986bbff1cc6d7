/**
 * Which of several servers is the one to write to: a primary and its standbys stand in one DATABASE_URL, and a failover
 * makes another one the primary. The driver's own choice among hosts can wait forever (its issue 815), so it gets
 * connected sockets from here.
 *
 * Every choice asks all servers. Of several that take writes the one with the newest timeline is the primary: a former
 * primary that was started again after a failover still believes that it is one. Connections to any other server than
 * the chosen one are closed, because a server that was made read-only answers questions with what was true before.
 */
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import postgres from 'postgres';
import { withDeadline } from '../process/deadline.js';

/** As in the URL, with the port. */
export interface Host {
  readonly name: string;
  readonly port: number;
}

interface Answer {
  readonly host: Host;
  /** Why it is not the one; '' when it takes writes. */
  readonly problem: string;
  readonly timeline: number;
}

/** A server in the next building answers in milliseconds; one behind a lost packet gets a second try within it. */
const answerMs = 2000;
/** After the first server that takes writes. A machine that is gone does not answer, and must not delay the others. */
const newerMs = 250;
/** For this long connections are opened to the last choice without asking again. */
const choiceMs = 1000;

export class WritableHost {
  readonly #hosts: readonly Host[];
  readonly #urlOf: (host: Host) => string;
  readonly #sockets = new Map<Socket, Host>();
  #choosing: Promise<Host> | null = null;
  #chosen: Host | null = null;
  #chosenAtMs = Number.NEGATIVE_INFINITY;

  /** @param urlOf URL with that host alone */
  constructor(hosts: readonly Host[], urlOf: (host: Host) => string) {
    this.#hosts = hosts;
    this.#urlOf = urlOf;
  }

  /**
   * A connected socket for the driver. Never rejects: the driver would count the connection as busy forever. A socket
   * that fails at the first write has the reason.
   * @param isEnded whether the driver's connections were closed meanwhile: it would keep one that comes now
   */
  async open(isEnded: () => boolean): Promise<Duplex> {
    try {
      const host = await this.#choose();
      const socket = await this.#connect(host);
      if (!isEnded()) return socket;
      socket.destroy();
      throw new Error('the connections were closed');
    } catch (error) {
      return failing(error as Error);
    }
  }

  /** Asks again before the next connection: the last choice did not answer, or did not take a write. */
  doubt(): void {
    this.#chosenAtMs = Number.NEGATIVE_INFINITY;
  }

  async #choose(): Promise<Host> {
    if (this.#chosen !== null && performance.now() - this.#chosenAtMs < choiceMs) return this.#chosen;
    this.#choosing ??= this.#ask().finally(() => {
      this.#choosing = null;
    });
    return this.#choosing;
  }

  async #ask(): Promise<Host> {
    const answers: Answer[] = [];
    const all = this.#hosts.map(async (host) => {
      const answer = await this.#answerOf(host);
      answers.push(answer);
      return answer;
    });
    const someTime = new Promise<void>((resolve) => {
      for (const one of all) {
        void one.then(({ problem }) => {
          if (problem === '') setTimeout(resolve, newerMs);
        });
      }
    });
    await Promise.race([Promise.all(all), someTime]);
    const newest = answers
      .filter(({ problem }) => problem === '')
      .reduce<Answer | null>((best, one) => (best === null || one.timeline > best.timeline ? one : best), null);
    if (newest === null) throw noHost(answers);
    this.#chosen = newest.host;
    this.#chosenAtMs = performance.now();
    for (const [socket, host] of this.#sockets) if (host !== newest.host) socket.destroy();
    return newest.host;
  }

  async #answerOf(host: Host): Promise<Answer> {
    const sql = postgres(this.#urlOf(host), {
      max: 1,
      connect_timeout: answerMs / 1000,
      fetch_types: false,
      onnotice: () => undefined,
      connection: { application_name: 'host choice' },
    });
    try {
      return await withDeadline(answerOf(sql, host), answerMs, () => refusal(host, `no answer within ${answerMs} ms`));
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      return refusal(host, message || code || 'no answer');
    } finally {
      sql.end({ timeout: 0 }).catch(() => undefined);
    }
  }

  #connect(host: Host): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: host.name, port: host.port });
      const fail = (error: Error) => {
        socket.destroy();
        this.doubt();
        reject(error);
      };
      socket.setTimeout(answerMs, () => fail(connectError(`${nameOf(host)} did not answer within ${answerMs} ms`)));
      socket.once('error', fail);
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.off('error', fail);
        // The driver takes all listeners off a socket that it encrypts, so none here would know of its end.
        for (const known of this.#sockets.keys()) if (known.destroyed) this.#sockets.delete(known);
        this.#sockets.set(socket, host);
        // The driver names the server in a TLS handshake, and in its errors, by these.
        resolve(Object.assign(socket, { host: host.name, port: host.port }));
      });
    });
  }
}

async function answerOf(sql: postgres.Sql, host: Host): Promise<Answer> {
  const [state] = await sql.unsafe<{ standby: boolean; readOnly: boolean }[]>(
    `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as "readOnly"`,
  );
  if (state!.standby) return refusal(host, 'is a standby');
  if (state!.readOnly) return refusal(host, 'is read-only');
  // Some services have PostgreSQL's protocol and not its log: there the order in the URL counts.
  const rows = await sql
    .unsafe<{ segment: string }[]>('select pg_walfile_name(pg_current_wal_lsn()) as segment')
    .catch(() => []);
  return { host, problem: '', timeline: Number.parseInt(rows[0]?.segment.slice(0, 8) ?? '0', 16) };
}

function refusal(host: Host, problem: string): Answer {
  return { host, problem, timeline: 0 };
}

function noHost(answers: readonly Answer[]): Error {
  const each = answers.map(({ host, problem }) => `${nameOf(host)}: ${problem}`).join('; ');
  return connectError(`no server of DATABASE_URL takes writes (${each})`);
}

function nameOf({ name, port }: Host): string {
  return `${name}:${port}`;
}

function connectError(message: string): Error {
  return Object.assign(new Error(message), { code: 'CONNECT_NO_HOST' });
}

/** Fails at the first write: earlier, and the driver would keep that write for its next connection. */
function failing(error: Error): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done(error) });
}
