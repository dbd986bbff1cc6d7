/**
 * Builds an array of rows of a composite type as a PostgreSQL literal (`{"(1,2,)","(3,4,five)"}`). Postgres reads it in
 * a third of the time that it needs for an array per column.
 */

export class RowArray {
  readonly #rows: string[] = [];
  #row = '';
  #separator = '';

  /** Ends the row. It must have had a value, or addNull(), for every column. */
  endRow(): void {
    this.#rows.push(this.#row);
    this.#row = '';
    this.#separator = '';
  }

  /** An integer, a finite float or a boolean. */
  add(value: number | bigint | boolean): this {
    this.#row += `${this.#separator}${value}`;
    this.#separator = ',';
    return this;
  }

  addNull(): this {
    this.#row += this.#separator;
    this.#separator = ',';
    return this;
  }

  /** Numbers of owners and instants: 0 means absent. */
  addPositive(value: number): this {
    return value > 0 ? this.add(value) : this.addNull();
  }

  /** A text that databaseText() has made storable. */
  addText(value: string): this {
    this.#row += this.#separator + fieldOf(value);
    this.#separator = ',';
    return this;
  }

  addTextOrNull(value: string): this {
    return value === '' ? this.addNull() : this.addText(value);
  }

  /** Gives a row that ended the text of its last column, which was null. */
  fillLast(row: number, value: string): void {
    this.#rows[row] += fieldOf(value);
  }

  literal(): string {
    return this.#rows.length === 0 ? '{}' : `{"(${this.#rows.join(')","(')})"}`;
  }
}

/** A text as a row has it, and that as an array has it: both know quotes and backslashes. */
function fieldOf(value: string): string {
  if (value !== '' && !special.test(value)) return value;
  return escaped(`"${escaped(value)}"`);
}

const special = /["\\(),]/;
const escaped = (text: string): string => text.replaceAll(/["\\]/g, '\\$&');
