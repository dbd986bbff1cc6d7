/**
 * Keyset cursors: where the next page begins, as the sort key of the last row. Opaque to clients, bounded, and checked
 * when they come back, so that a query only ever sees values of the right kind. A cursor says nothing about who may see
 * what: the query that continues has the tenant in its condition like the first one.
 */
import type { FastifyInstance } from 'fastify';
import { isInstant } from './instants.js';
import { invalid } from './problem.js';
import type { Page } from './schemas.js';
import type { Seal } from './sealed.js';

/** Kinds of sort keys. Timestamps keep their microseconds. */
const kinds = {
  timestamp: (value: unknown) => typeof value === 'string' && value.endsWith('Z') && isInstant(value),
  integer: (value: unknown) => Number.isSafeInteger(value),
  count: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0,
  text: (value: unknown) => typeof value === 'string' && value.length <= 64 && !value.includes('\0'),
};
type Kind = keyof typeof kinds;
type ValueOf<K extends Kind> = K extends 'integer' | 'count' ? number : string;
type Values<K extends readonly Kind[]> = { readonly [I in keyof K]: ValueOf<K[I]> };

export class Cursor<const K extends readonly Kind[]> {
  readonly #list: string;
  readonly #kinds: K;

  /** @param list name of the list: a cursor of another one is refused */
  constructor(list: string, ...sortKey: K) {
    this.#list = list;
    this.#kinds = sortKey;
  }

  encode(values: Values<K>): string {
    return Buffer.from(JSON.stringify([this.#list, ...values])).toString('base64url');
  }

  /** The sort key to continue after; null for the first page. Throws a 400 that names `cursor`. */
  decode(text: string | undefined): Values<K> | null {
    if (text === undefined) return null;
    let parsed: unknown;
    try {
      parsed = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    } catch {
      throw wrongCursor();
    }
    if (!Array.isArray(parsed) || parsed.length !== this.#kinds.length + 1 || parsed[0] !== this.#list) {
      throw wrongCursor();
    }
    const values: unknown[] = parsed.slice(1);
    if (!values.every((value, index) => kinds[this.#kinds[index]!](value))) throw wrongCursor();
    return values as Values<K>;
  }

  /**
   * Makes the page of a query that asked for one row more than `limit`: the extra row only says that there is more.
   * @param keyOf sort key of a row
   * @param show the row as the API shows it
   */
  page<Row, Item>(
    rows: readonly Row[],
    limit: number,
    keyOf: (row: Row) => Values<K>,
    show: (row: Row) => Item,
  ): Page<Item> {
    const shown = rows.length > limit ? rows.slice(0, limit) : rows;
    const last = shown.at(-1);
    return {
      data: shown.map(show),
      next: rows.length > limit && last !== undefined ? this.encode(keyOf(last)) : null,
    };
  }
}

/** Fields of answers that are cursors. */
const cursorFields = ['next', 'nextEvents'] as const;

/** Cursors leave sealed and come back so: they name sort keys and numbers that are not for clients. */
export function registerCursors(app: FastifyInstance, seal: Seal): void {
  app.addHook('preHandler', async (request) => {
    const query = request.query as { cursor?: string } | undefined;
    if (query?.cursor === undefined) return;
    const opened = seal.open(query.cursor);
    if (opened === null) throw wrongCursor();
    query.cursor = opened.toString('base64url');
  });
  app.addHook('preSerialization', async (_request, _reply, payload: unknown) => {
    const fields = payload as Record<string, unknown>;
    for (const name of cursorFields) {
      const cursor = fields[name];
      if (typeof cursor === 'string') fields[name] = seal.seal(Buffer.from(cursor, 'base64url'));
    }
    return payload;
  });
}

function wrongCursor() {
  return invalid('cursor', 'is not one that this list gave: leave it out to start with the first page');
}
