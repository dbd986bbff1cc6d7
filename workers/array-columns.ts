/**
 * Builds the columns of a set of rows as PostgreSQL array literals (`{1,2,NULL}`), by appending: one string per column
 * instead of a value per cell. A driver's generic array encoding costs several times as much.
 */

export class ArrayColumns {
  readonly #texts: string[];
  #index = 0;
  #rows = 0;

  constructor(columnCount: number) {
    this.#texts = new Array<string>(columnCount).fill('');
  }

  /** Ends the row; the next value goes into the first column again. Every row must fill every column. */
  endRow(): void {
    this.#index = 0;
    this.#rows++;
  }

  /** An integer, a finite float or a boolean. */
  add(value: number | bigint | boolean): this {
    return this.#append(`${value}`);
  }

  addNull(): this {
    return this.#append('NULL');
  }

  /** Numbers of owners and instants: 0 means absent. */
  addPositive(value: number): this {
    return value > 0 ? this.add(value) : this.addNull();
  }

  /** A text that databaseText() has made storable. */
  addText(value: string): this {
    return this.#append(`"${escapable.test(value) ? value.replace(escapableAll, '\\$&') : value}"`);
  }

  addTextOrNull(value: string): this {
    return value === '' ? this.addNull() : this.addText(value);
  }

  /** One literal per column. */
  literals(): string[] {
    return this.#texts.map((text) => `{${text}}`);
  }

  #append(text: string): this {
    const index = this.#index++;
    this.#texts[index] = this.#rows === 0 ? text : `${this.#texts[index]!},${text}`;
    return this;
  }
}

const escapable = /["\\]/;
const escapableAll = /["\\]/g;

/**
 * A text as the database can hold it: PostgreSQL has no NUL character. Queries by id must use the same form. The journal
 * record keeps the exact bytes.
 */
export function databaseText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}
