/** Cursors come back as they went out, and nothing else is taken for one. */
import t from 'tap';
import { Cursor } from './cursor.js';

const cursor = new Cursor('cards', 'timestamp', 'integer', 'text');
const key = ['2026-11-24T05:44:50.123456Z', 7, 'txn_1'] as const;

t.test('a cursor keeps the sort key with its microseconds', async (t) => {
  t.same(cursor.decode(cursor.encode(key)), key);
  t.match(cursor.encode(key), /^[A-Za-z0-9_-]+$/);
  t.ok(cursor.encode(['2026-11-24T05:44:50.123456Z', Number.MAX_SAFE_INTEGER, 'x'.repeat(64)]).length <= 256);
  t.equal(cursor.decode(undefined), null);
});

t.test('a foreign, broken or forged cursor is a 400 that names the field', async (t) => {
  const raw = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const bad = [
    'x',
    '',
    raw({}),
    raw(['cards']),
    raw(['users', ...key]),
    raw(['cards', 'yesterday', 7, 'a']),
    raw(['cards', '2026-99-24T05:44:50.123456Z', 7, 'a']),
    raw(['cards', key[0], '7', 'a']),
    raw(['cards', key[0], 7.5, 'a']),
    raw(['cards', key[0], 7, 'a\0']),
    raw(['cards', key[0], 7, 'x'.repeat(65)]),
    raw(['cards', ...key, 1]),
    new Cursor('other', 'timestamp', 'integer', 'text').encode(key),
  ];
  for (const text of bad) {
    t.throws(() => cursor.decode(text), { name: 'Problem', message: /^cursor / }, text);
  }
});

t.test('a page has one row less than was read, and a cursor only when there are more rows', async (t) => {
  const numbers = new Cursor('numbers', 'integer');
  const makePage = (rows: number[]) =>
    numbers.page(
      rows,
      2,
      (row) => [row] as const,
      (row) => ({ n: row }),
    );
  t.same(makePage([]), { data: [], next: null });
  t.same(makePage([1, 2]), { data: [{ n: 1 }, { n: 2 }], next: null });
  const more = makePage([1, 2, 3]);
  t.same(more.data, [{ n: 1 }, { n: 2 }]);
  t.same(numbers.decode(more.next!), [2]);
});
