/**
 * Requests for an operation of the OpenAPI document: mostly as its schemas have them, sometimes broken in one place.
 */
import fc from 'fast-check';

// biome-ignore lint/suspicious/noExplicitAny: the document has the shape of the specification
export type Json = any;

export interface GeneratedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What nothing should fall over. */
const junk = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 2 ** 53, -(2 ** 63), 1e308, '', ' ', '\0', '\ud83d', [], {}, [[]]),
  fc.constantFrom<unknown>('__proto__', '0001-01-01', '9999-12-31', '2026-02-30T00:00:00Z', '-0', '%00', '../..', '🙂'),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 2 }),
);

export class RequestArbitraries {
  readonly #document: Json;
  readonly #ids: Readonly<Record<string, readonly string[]>>;

  /** @param ids values for fields and parameters of these names, so that requests find something */
  constructor(document: Json, ids: Readonly<Record<string, readonly string[]>>) {
    this.#document = document;
    this.#ids = ids;
  }

  /** @param pathIds values for the `id` in the path */
  of(path: string, operation: Json, pathIds: readonly string[]): fc.Arbitrary<GeneratedRequest> {
    const parameters: Json[] = operation.parameters.map((parameter: Json) => this.#resolved(parameter));
    const inside = (where: string) => parameters.filter((parameter) => parameter.in === where);
    const schema = operation.requestBody?.content['application/json']?.schema;
    return fc
      .record({
        id: fc.oneof({ arbitrary: fc.constantFrom(...pathIds), weight: 9 }, { arbitrary: fc.string(), weight: 1 }),
        query: this.#values(inside('query')),
        headers: this.#values(inside('header')),
        body: schema === undefined ? fc.constant(undefined) : this.#maybeBroken(schema),
      })
      .map(({ id, query, headers, body }) => ({
        path: path.replaceAll(/\{\w+\}/g, segmentOf(id)) + queryOf(query),
        headers: headersOf(headers),
        body,
      }));
  }

  /** Some of the parameters, now and then one with another value, or one that is not declared. */
  #values(parameters: readonly Json[]): fc.Arbitrary<Record<string, unknown>> {
    const declared: Record<string, fc.Arbitrary<unknown>> = {};
    for (const { name, schema } of parameters) {
      const value = this.#value(schema, name);
      declared[name] = fc.oneof({ arbitrary: value, weight: 8 }, { arbitrary: junk, weight: 1 });
    }
    return fc.record(declared, { requiredKeys: [] });
  }

  #maybeBroken(schema: Json): fc.Arbitrary<unknown> {
    const valid = this.#value(schema, '');
    const broken = fc.tuple(valid, fc.nat(), junk).map(([value, at, other]) => brokenAt(value, at, other));
    return fc.oneof({ arbitrary: valid, weight: 4 }, { arbitrary: broken, weight: 3 }, { arbitrary: junk, weight: 1 });
  }

  #resolved(value: Json): Json {
    if (value.$ref === undefined) return value;
    return value.$ref
      .slice(2)
      .split('/')
      .reduce((at: Json, name: string) => at[name], this.#document);
  }

  #value(unresolved: Json, name: string): fc.Arbitrary<unknown> {
    const schema = this.#resolved(unresolved);
    const known = this.#ids[name];
    if (known !== undefined && schema.type === 'string') return fc.constantFrom(...known);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if (schema.const !== undefined) return fc.constant(schema.const);
    const anyOf = schema.anyOf ?? schema.oneOf;
    if (anyOf !== undefined) return fc.oneof(...anyOf.map((one: Json) => this.#value(one, name)));
    switch (schema.type) {
      case 'string':
        return textOf(schema);
      case 'integer':
      case 'number':
        return integerOf(schema);
      case 'boolean':
        return fc.boolean();
      case 'array':
        return fc.array(this.#value(schema.items, name), {
          minLength: schema.minItems ?? 0,
          maxLength: Math.min(schema.maxItems ?? 3, 3),
        });
      case 'object':
        return this.#object(schema);
      case 'null':
        return fc.constant(null);
      default:
        return junk;
    }
  }

  #object({ properties = {}, required = [], additionalProperties, maxProperties }: Json): fc.Arbitrary<unknown> {
    const fields = Object.entries<Json>(properties).map(([name, of]) => [name, this.#value(of, name)] as const);
    if (maxProperties === 1) {
      return fc.oneof(...fields.map(([name, value]) => value.map((of) => ({ [name]: of }))));
    }
    const open =
      typeof additionalProperties === 'object'
        ? fc.dictionary(fc.string({ maxLength: 8 }), this.#value(additionalProperties, ''))
        : null;
    const closed = fc.record(Object.fromEntries(fields), { requiredKeys: required });
    return open === null ? closed : fc.tuple(closed, open).map(([one, other]) => ({ ...other, ...(one as object) }));
  }
}

function textOf({ format, pattern, minLength = 0, maxLength = 40 }: Json): fc.Arbitrary<string> {
  switch (format) {
    case 'date-time':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') })
        .map((at) => at.toISOString());
    case 'date':
      return fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('2099-01-01') })
        .map((at) => at.toISOString().slice(0, 10));
    case 'date-or-date-time':
      return fc.oneof(
        textOf({ format: 'date' }),
        textOf({ format: 'date-time' }),
        fc.constantFrom('0001-01-01', '9999-12-31'),
      );
    case 'email':
      return fc.nat(20).map((number) => `fuzz${number}@example.com`);
  }
  if (pattern !== undefined) {
    try {
      return fc
        .stringMatching(new RegExp(pattern, 'u'))
        .filter((text) => text.length <= maxLength && text.length >= minLength);
    } catch {
      // A form that the generator does not read: plain text passes most of them.
    }
  }
  return fc.string({ minLength: Math.min(minLength, 20), maxLength: Math.min(maxLength, 40) });
}

function integerOf({ minimum = -1000, maximum = 1000 }: Json): fc.Arbitrary<number> {
  const min = Math.max(minimum, Number.MIN_SAFE_INTEGER);
  const max = Math.min(maximum, Number.MAX_SAFE_INTEGER);
  return fc.oneof(
    fc.integer({ min, max: Math.min(max, min + 5000) }),
    fc.maxSafeInteger().map((value) => Math.min(Math.max(value, min), max)),
  );
}

/** The value with one of its fields dropped, replaced or added, at any depth. */
function brokenAt(value: unknown, at: number, other: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return other;
  const names = Object.keys(value);
  const name = names[at % (names.length + 1)];
  if (name === undefined) return { ...value, unknown: other };
  const { [name]: inner, ...rest } = value as Record<string, unknown>;
  switch (at % 3) {
    case 0:
      return rest;
    case 1:
      return { ...rest, [name]: other };
    default:
      return { ...rest, [name]: brokenAt(inner, Math.floor(at / 3), other) };
  }
}

/** Not '.' or '..', which a client resolves, and no lone surrogate, which has no URL. */
function segmentOf(id: string): string {
  const text = encodeURIComponent(wellFormed(id));
  return /^\.{0,2}$/.test(text) ? 'x' : text;
}

function queryOf(values: Record<string, unknown>): string {
  const text = new URLSearchParams(
    Object.entries(values).map(([name, value]): [string, string] => [name, textFrom(value)]),
  ).toString();
  return text === '' ? '' : `?${text}`;
}

/** What a header can carry at all. */
function headersOf(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, textFrom(value).replaceAll(/[^\x20-\x7e]/g, '?')]),
  );
}

/** Halves of characters become the replacement character, as they do in UTF-8. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

function textFrom(value: unknown): string {
  return typeof value === 'string' ? wellFormed(value) : (JSON.stringify(value) ?? '');
}
