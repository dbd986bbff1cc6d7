/**
 * Finds the source text of a member in a JSON text. JSON.parse gives numbers as doubles; money is read from the digits
 * that were sent.
 */

/** A half-open range of characters. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Range of the value at `path` (names of nested object members) in `text`, which JSON.parse must have accepted. Of
 * equal names the last wins, as in JSON.parse.
 * @returns null when a name on the way is missing or its parent is no object
 */
export function memberText(text: string, path: readonly string[]): TextRange | null {
  let range: TextRange | null = { start: skipSpace(text, 0), end: text.length };
  for (const name of path) {
    range = memberOf(text, range.start, name);
    if (range === null) return null;
  }
  return range;
}

/** Range of the whole value of a JSON text. */
export function wholeText(text: string): TextRange {
  return { start: skipSpace(text, 0), end: text.length };
}

/** A member's name that comes twice in the object at `range`; null when there is none, or no object. */
export function repeatedName(text: string, range: TextRange): string | null {
  if (text[range.start] !== '{') return null;
  const names = new Set<string>();
  let index = skipSpace(text, range.start + 1);
  while (text[index] === '"') {
    const keyEnd = stringEnd(text, index);
    const name = JSON.parse(text.slice(index, keyEnd)) as string;
    if (names.has(name)) return name;
    names.add(name);
    index = skipSpace(text, valueEndOf(text, skipSpace(text, skipSpace(text, keyEnd) + 1)));
    if (text[index] === ',') index = skipSpace(text, index + 1);
  }
  return null;
}

/** `start` stands at a value. */
function memberOf(text: string, start: number, name: string): TextRange | null {
  if (text[start] !== '{') return null;
  let found: TextRange | null = null;
  let index = skipSpace(text, start + 1);
  while (text[index] === '"') {
    const keyEnd = stringEnd(text, index);
    const key: unknown = JSON.parse(text.slice(index, keyEnd));
    // One past the colon.
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const valueEnd = valueEndOf(text, valueStart);
    if (key === name) found = { start: valueStart, end: valueEnd };
    index = skipSpace(text, valueEnd);
    if (text[index] === ',') index = skipSpace(text, index + 1);
  }
  return found;
}

function skipSpace(text: string, start: number): number {
  let index = start;
  while (text[index] === ' ' || text[index] === '\n' || text[index] === '\r' || text[index] === '\t') index++;
  return index;
}

/** `start` stands at the opening quote; position after the closing one. */
function stringEnd(text: string, start: number): number {
  let index = start + 1;
  while (text[index] !== '"') index += text[index] === '\\' ? 2 : 1;
  return index + 1;
}

function valueEndOf(text: string, start: number): number {
  if (text[start] === '"') return stringEnd(text, start);
  let index = start;
  let depth = 0;
  while (index < text.length) {
    const character = text[index]!;
    if (character === '"') {
      index = stringEnd(text, index);
      continue;
    }
    if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      // The bracket that ends the parent ends a bare number or literal, too.
      if (depth === 0) return index;
      depth--;
      if (depth === 0) return index + 1;
    } else if (depth === 0 && (character === ',' || character <= ' ')) return index;
    index++;
  }
  return index;
}
