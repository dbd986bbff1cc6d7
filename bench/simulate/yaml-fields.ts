/**
 * YAML with places: every value knows its line and its path, so that each error names file, line and field. The only
 * importer of the YAML library.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { StoryError } from './story.js';

/** Stories are some kilobytes. */
export const yamlCharsMax = 256 * 1024;
/** Deeper than any field of a story. */
const depthMax = 12;

interface Source {
  readonly file: string;
  readonly lines: LineCounter;
}

export class YamlField {
  /** From the root, such as `steps.3.amount`; '': the root. */
  readonly path: string;
  readonly line: number;
  readonly #source: Source;
  readonly #node: Node | null;
  readonly #depth: number;

  private constructor(source: Source, node: Node | null, path: string, line: number, depth: number) {
    this.#source = source;
    this.#node = node;
    this.path = path;
    this.line = line;
    this.#depth = depth;
    if (depth > depthMax) throw this.error(`is nested deeper than ${depthMax} levels`);
    if (isAlias(node)) throw this.error('is an alias, which stories do not take');
  }

  /** @throws StoryError with the line of what is no YAML */
  static parse(file: string, text: string): YamlField {
    if (text.length > yamlCharsMax) throw new StoryError(`${file}: has more than ${yamlCharsMax} characters`);
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
    const [fault] = document.errors;
    if (fault !== undefined) {
      throw new StoryError(`${file}:${lines.linePos(fault.pos[0]).line}: is not YAML: ${fault.message}`);
    }
    return new YamlField({ file, lines }, document.contents as Node | null, '', 1, 0);
  }

  get isEmpty(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }
  get isMap(): boolean {
    return isMap(this.#node);
  }
  get scalar(): unknown {
    return isScalar(this.#node) ? this.#node.value : undefined;
  }

  error(must: string): StoryError {
    return new StoryError(`${this.#source.file}:${this.line}: ${this.path === '' ? 'the story' : this.path} ${must}`);
  }

  /** Members by name. @param known every name that may be there; null: any */
  members(known: readonly string[] | null): Map<string, YamlField> {
    if (!isMap(this.#node)) throw this.error('must be a map of fields');
    const members = new Map<string, YamlField>();
    for (const { key, value } of this.#node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const at = isScalar(key) && key.range ? this.#source.lines.linePos(key.range[0]).line : this.line;
      const field = this.#child(value as Node | null, name, at);
      if (known !== null && !known.includes(name)) throw field.error(`is not known here: ${suggestion(name, known)}`);
      members.set(name, field);
    }
    return members;
  }

  list(): YamlField[] {
    if (!isSeq(this.#node)) throw this.error('must be a list');
    return this.#node.items.map((item, index) => {
      const node = item as Node | null;
      const at = node?.range ? this.#source.lines.linePos(node.range[0]).line : this.line;
      return this.#child(node, String(index + 1), at);
    });
  }

  text(lengthMax = 200): string {
    const value = this.scalar;
    if (typeof value === 'string' && value !== '' && value.length <= lengthMax) return value;
    throw this.error(`must be a text of 1 to ${lengthMax} characters`);
  }

  integer(min: number, max: number): number {
    const value = this.scalar;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw this.error(`must be an integer from ${min} to ${max}`);
  }

  flag(): boolean {
    const value = this.scalar;
    if (typeof value === 'boolean') return value;
    throw this.error('must be true or false');
  }

  word<T extends string>(words: readonly T[]): T {
    const value = this.scalar;
    const found = words.find((word) => word === value);
    if (found !== undefined) return found;
    throw this.error(`must be one of ${words.join(', ')}`);
  }

  /** As JSON has it. */
  value(): unknown {
    if (this.#node === null) return null;
    if (isMap(this.#node)) return Object.fromEntries([...this.members(null)].map(([name, of]) => [name, of.value()]));
    return isSeq(this.#node) ? this.list().map((of) => of.value()) : this.scalar;
  }

  #child(node: Node | null, name: string, line: number): YamlField {
    const path = this.path === '' ? name : `${this.path}.${name}`;
    return new YamlField(this.#source, node, path, line, this.#depth + 1);
  }
}

/** The nearest known name, or all of them. */
export function suggestion(name: string, known: readonly string[]): string {
  const [nearest] = known
    .map((candidate) => ({ candidate, distance: editDistance(name.slice(0, 40), candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return nearest === undefined ? `known are ${known.join(', ')}` : `did you mean ${nearest.candidate}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
