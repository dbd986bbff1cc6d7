/** What the byte readers of processors' messages share to read signals: the fields of a table that say them. */
import type { Request } from '../../core/request.js';
import type { Fields } from './fields.js';
import type { MessageReader } from './message-reader.js';
import { keptOf } from './slow-parts.js';

/** How a protocol says its signals: in which fields, and what their codes mean. */
export interface SignalForm {
  readonly paths: readonly string[];
  /** @param kept of each path the code that its field keeps, 0 where the message says nothing */
  readonly set: (request: Request, kept: readonly number[]) => void;
}

/** Reads signals in place, without allocating. */
export class SignalReader {
  readonly #form: SignalForm;
  readonly #fields: MessageReader;
  readonly #indexes: readonly number[];
  readonly #kept: number[];

  constructor(form: SignalForm, fields: MessageReader) {
    this.#form = form;
    this.#fields = fields;
    this.#indexes = form.paths.map((path) => fields.indexOf(path));
    this.#kept = form.paths.map(() => 0);
  }

  /** After the reader has read a message into `request`. */
  set(request: Request): void {
    this.#fields.copyKept(this.#indexes, this.#kept);
    this.#form.set(request, this.#kept);
  }
}

/** The same of a parsed body. */
export function setSignals({ paths, set }: SignalForm, request: Request, fields: Fields, body: unknown): void {
  set(
    request,
    paths.map((path) => keptOf(fields, body, path)),
  );
}
