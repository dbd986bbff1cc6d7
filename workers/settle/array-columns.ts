/**
 * Builds the columns of a set of rows as PostgreSQL array literals (`{1,2,NULL}`): numbers stay numbers until each
 * column is joined once. A driver's generic array encoding costs several times as much. So does appending to a string
 * per column, which keeps every piece alive until the end and burdens the garbage collector.
 */

export class ArrayColumns {
  readonly #columns: (number | bigint | boolean | string)[][];
  #index = 0;

  constructor(columnCount: number) {
    this.#columns = Array.from({ length: columnCount }, () => []);
  }

  /** Ends the row; the next value goes into the first column again. Every row must fill every column. */
  endRow(): void {
    this.#index = 0;
  }

  /** An integer, a finite float or a boolean. */
  add(value: number | bigint | boolean): this {
    return this.#append(value);
  }

  /** A text that databaseText() has made storable. */
  addText(value: string): this {
    return this.#append(quoted(value));
  }

  /** One literal per column. */
  literals(): string[] {
    return this.#columns.map((values) => `{${values.join(',')}}`);
  }

  #append(value: number | bigint | boolean | string): this {
    this.#columns[this.#index++]!.push(value);
    return this;
  }
}

function quoted(value: string): string {
  return `"${escapable.test(value) ? value.replace(escapableAll, '\\$&') : value}"`;
}
const escapable = /["\\]/;
const escapableAll = /["\\]/g;

/**
 * A text as the database can hold it: PostgreSQL has no NUL character. Queries by id must use the same form. The
 * journal record keeps the exact bytes.
 */
export function databaseText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}
