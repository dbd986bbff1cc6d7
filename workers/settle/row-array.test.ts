import { test } from 'tap';
import { RowArray } from './row-array.js';

/** The literal as strings build it. */
function literalOf(rows: readonly (readonly (number | bigint | boolean | string | null)[])[]): string {
  const escaped = (text: string) => text.replaceAll(/["\\]/g, '\\$&');
  const field = (text: string) => (text !== '' && !/["\\(),]/.test(text) ? text : escaped(`"${escaped(text)}"`));
  const value = (one: number | bigint | boolean | string | null) =>
    one === null ? '' : typeof one === 'string' ? field(one) : String(one);
  return `{${rows.map((row) => `"(${row.map(value).join(',')})"`).join(',')}}`;
}

function built(rows: readonly (readonly (number | bigint | boolean | string | null)[])[]): string {
  const array = new RowArray();
  for (const row of rows) {
    for (const one of row) {
      if (one === null) array.addNull();
      else if (typeof one === 'string') array.addText(one);
      else array.add(one);
    }
    array.endRow();
  }
  return array.literal();
}

test('an array without rows is an empty literal', async (t) => {
  t.equal(new RowArray().literal(), '{}');
});

test('integers of every length are written in full', async (t) => {
  const numbers: number[] = [0, -1, 2 ** 31 - 1, 2 ** 31, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  for (let power = 1; power < 1e15; power *= 10) numbers.push(power - 1, power, -power, power + 7);
  t.equal(built([numbers, numbers]), literalOf([numbers, numbers]));
});

test('fractions, large integers and truth values are written as JavaScript prints them', async (t) => {
  const row = [0.5, -1.25, 1.5e300, 2n ** 63n - 1n, -(2n ** 63n), true, false, null];
  t.equal(built([row]), literalOf([row]));
});

test('texts with quotes, backslashes, separators and characters beyond ASCII keep their content', async (t) => {
  const rows = [
    ['', 'plain', 'a"b', 'a\\b', '(a,b)', null],
    ['Zürich', '日本', '💳', '"Zürich"', '\\'.repeat(50), '"'.repeat(50)],
    ['x'.repeat(100_000), 'ü'.repeat(100_000), '"'.repeat(100_000), 'plain', '', null],
  ];
  t.equal(built(rows), literalOf(rows));
});

test('a row that has ended receives the text of its last column', async (t) => {
  const rows = [['first', null] as const, ['second', null] as const, ['third', null] as const];
  const array = new RowArray();
  for (const [text] of rows) array.addText(text).addNull().endRow();
  array.fillLast(2, 'ü "3"');
  array.fillLast(0, 'one');
  t.equal(
    array.literal(),
    literalOf([
      ['first', 'one'],
      ['second', null],
      ['third', 'ü "3"'],
    ]),
  );
});
