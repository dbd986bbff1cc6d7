/**
 * What people write first: Fastify, and one transaction per authorization that locks the account's row, looks, decides
 * and writes. Five round trips to Postgres. Durable: Postgres commits with synchronous_commit on before the answer
 * leaves.
 */
import Fastify from 'fastify';
import type postgres from 'postgres';
import { BasicAuth } from '../../engine/transports/http/basic-auth.js';
import type { FrontOptions } from './front.js';
import { connectPeer } from './postgres-schema.js';
import { answerText, type Outcome, type Peer, type Question, readQuestion } from './question.js';

interface AuthorizationRow {
  readonly card: string;
  readonly amount: string;
  readonly approved: boolean;
  readonly reason: Outcome['reason'];
  readonly available: string;
}

export class RowLockPeer implements Peer {
  readonly #sql: postgres.Sql;

  constructor(databaseUrl: string, schema: string) {
    this.#sql = connectPeer(databaseUrl, schema);
  }

  authorize({ id, card, amount, currency, merchant }: Question): Promise<Outcome> {
    return this.#sql
      .begin(async (sql): Promise<Outcome> => {
        const [account] = await sql<{ status: string; available: string }[]>`
        select status, available from accounts where card = ${card} for update`;
        const [seen] = await sql<AuthorizationRow[]>`
        select card, amount, approved, reason, available from authorizations where id = ${id}`;
        if (seen !== undefined) {
          const { approved, reason, available } = seen;
          const conflict = seen.card !== card || Number(seen.amount) !== amount;
          return { approved, reason, available: Number(available), conflict };
        }
        if (account === undefined) return { approved: false, reason: 'card_not_found', available: 0, conflict: false };
        const before = Number(account.available);
        const reason =
          account.status !== 'active' ? 'card_inactive' : before < amount ? 'insufficient_funds' : 'approved';
        const approved = reason === 'approved';
        const available = approved ? before - amount : before;
        if (approved) {
          await sql`update accounts set available = available - ${amount}, held = held + ${amount}
            where card = ${card}`;
        }
        const inserted = await sql`
        insert into authorizations (id, card, amount, currency, merchant, approved, reason, available)
        values (${id}, ${card}, ${amount}, ${currency}, ${merchant}, ${approved}, ${reason}, ${available})
        on conflict (id) do nothing returning 1`;
        // Another card's question with this id came first, a moment ago: undo all of it.
        if (inserted.length === 0) throw new ConflictError();
        return { approved, reason, available, conflict: false };
      })
      .catch((error: unknown): Outcome => {
        if (error instanceof ConflictError)
          return { approved: false, reason: 'approved', available: 0, conflict: true };
        throw error;
      }) as Promise<Outcome>;
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 5 });
  }
}

class ConflictError extends Error {}

/** Serves until the process ends. Resolves when it listens. */
export async function serveFastify(peer: Peer, options: FrontOptions): Promise<void> {
  const auth = new BasicAuth(options.user, [options.password]);
  const app = Fastify({ bodyLimit: 64 * 1024 });
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.post('/v1/authorizations', async (request, reply) => {
    const startedMs = performance.now();
    reply.type('application/json');
    if (!auth.accepts(request.headers.authorization ?? '')) return reply.code(401).send('{}');
    const question = readQuestion(String(request.body));
    if (question === null) return reply.code(400).send('{}');
    const outcome = await peer.authorize(question);
    return reply.code(outcome.conflict ? 409 : 200).send(answerText(question, outcome, performance.now() - startedMs));
  });
  await app.listen({ host: options.host, port: options.port });
}
