/**
 * Messages that later ones may name otherwise than by DE 90: the retrieval reference number with trace number, terminal
 * and merchant, or the network's trace id. It lives in memory alone. What is forgotten, and what came before the start
 * of this engine or to another one, is found by DE 90.
 */
import type { OriginalFinder, Reference } from '../../protocols/iso8583/questions.js';

/** Of all links: some 50 MB when full, and what a busy network sends in minutes. */
const originalsMax = 65_536;

export class KnownOriginals implements OriginalFinder {
  /** By id, in order of arrival. */
  readonly #byId = new Map<string, Reference>();
  readonly #byReference = new Map<string, Reference>();
  readonly #max: number;

  constructor(max = originalsMax) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  find({ retrieval, trace }: Pick<Reference, 'retrieval' | 'trace'>): Reference | undefined {
    return this.#byReference.get(retrieval) ?? this.#byReference.get(trace);
  }

  /** A message was approved that a later one may follow. The first message of a trace id is what the others follow. */
  note(reference: Reference): void {
    const { id, retrieval, trace } = reference;
    if (this.#byId.has(id)) return;
    if (this.#byId.size >= this.#max) this.#forgetOldest();
    this.#byId.set(id, reference);
    for (const name of [retrieval, trace]) {
      if (name !== '' && !this.#byReference.has(name)) this.#byReference.set(name, reference);
    }
  }

  #forgetOldest(): void {
    const oldest = this.#byId.values().next().value;
    if (oldest === undefined) return;
    this.#byId.delete(oldest.id);
    for (const name of [oldest.retrieval, oldest.trace]) {
      if (this.#byReference.get(name) === oldest) this.#byReference.delete(name);
    }
  }
}
