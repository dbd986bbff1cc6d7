/**
 * What is wrong with a field, in words: one set for the authorization port and the account API. A message completes the
 * sentence that begins with the field's name, and never repeats the value, which may be a password or a card number.
 */

/** What a JSON schema found: the parts of ajv's ErrorObject that words need, with `verbose`. */
export interface Violation {
  readonly keyword: string;
  /** JSON pointer of the value. */
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string | undefined;
  readonly parentSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly data?: unknown;
}

export interface Fault {
  /** Dotted path; '' is the whole body. */
  readonly field: string;
  readonly message: string;
}

export const words = {
  missing: 'is missing',
  unknown: 'is not a field of this request',
  blank: 'must not be blank',
  unprintable: 'must not have control characters or characters that turn the direction of text',
  email: 'must be an e-mail address, such as ada@example.com',
  dateTime: 'must be an RFC 3339 date-time, for example 2026-11-22T18:00:00Z',
  dateOrDateTime: 'must be an RFC 3339 date-time or a date, for example 2026-11-22T18:00:00Z or 2026-11-22',
  currency: 'must be a currency of ISO 4217 in upper-case letters, such as USD',
  mcc: 'must be a string of four digits (ISO 18245)',
  country: 'must be an ISO 3166 code of two upper-case letters',
  totp: 'must be the six digits of your authenticator',
  id: 'must be an id as this API gave it',
} as const;

/** By the pattern of the schema. */
const patternWords: Readonly<Record<string, string>> = {
  '^[A-Z]{3}$': words.currency,
  '^[0-9]{4}$': words.mcc,
  '^[A-Z]{2}$': words.country,
  '^[0-9]{6}$': words.totp,
  '^[A-Za-z0-9_-]+$': words.id,
};

const formatWords: Readonly<Record<string, string>> = {
  email: words.email,
  'date-time': words.dateTime,
  'date-or-date-time': words.dateOrDateTime,
};

const typeWords: Readonly<Record<string, string>> = {
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

/** More are no help, and an answer has an end. */
const faultsMax = 20;
/** Longest path that is echoed, in characters. */
const fieldLengthMax = 128;

/** Every field at fault, each once, in the order in which the schema found them. */
export function faultsOf(violations: readonly Violation[]): Fault[] {
  const unions = violations.filter(({ keyword }) => keyword === 'anyOf');
  const faults = new Map<string, Fault>();
  for (const violation of violations) {
    // Why each form of a union did not fit is no news once the union says what would.
    if (unions.some((union) => violation.schemaPath.startsWith(`${union.schemaPath}/`))) continue;
    const fault = faultOf(violation, violations);
    if (!faults.has(fault.field)) faults.set(fault.field, fault);
    if (faults.size === faultsMax) break;
  }
  return [...faults.values()];
}

function faultOf(violation: Violation, all: readonly Violation[]): Fault {
  const { keyword, params } = violation;
  const at = pathOf(violation.instancePath);
  const inside = (name: unknown) => (at === '' ? String(name) : `${at}.${name}`).slice(0, fieldLengthMax);
  switch (keyword) {
    case 'additionalProperties':
      return { field: inside(params['additionalProperty']), message: words.unknown };
    case 'required':
      return { field: inside(params['missingProperty']), message: words.missing };
    default:
      return { field: at.slice(0, fieldLengthMax), message: messageOf(violation, all) };
  }
}

function messageOf(violation: Violation, all: readonly Violation[]): string {
  const { keyword, params, parentSchema = {}, data, message = 'is not valid' } = violation;
  const limit = Number(params['limit']);
  switch (keyword) {
    case 'type':
      return `must be ${typesIn([params['type']].flat())}`;
    case 'anyOf': {
      const inner = all.filter(
        (other) => other.keyword === 'type' && other.schemaPath.startsWith(`${violation.schemaPath}/`),
      );
      return inner.length === 0 ? 'is not valid' : `must be ${typesIn(inner.map(({ params: { type } }) => type))}`;
    }
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'minLength':
      return isBlank(data) ? words.blank : `must have at least ${counted(limit, 'character')}`;
    case 'maxLength':
      return `must have at most ${counted(limit, 'character')}`;
    case 'pattern':
      if (isBlank(data)) return words.blank;
      return (
        patternWords[String(params['pattern'])] ??
        (String(params['pattern']).startsWith('^[^') ? words.unprintable : message)
      );
    case 'format':
      return formatWords[String(params['format'])] ?? message;
    case 'minimum':
      return `must be at least ${limit}`;
    case 'maximum':
      return `must be at most ${limit}`;
    case 'minProperties':
      return `must have at least ${limit === 1 ? 'one field' : `${limit} fields`}`;
    case 'maxProperties': {
      const names = Object.keys((parentSchema['properties'] as object | undefined) ?? {});
      return limit === 1 && names.length === 2
        ? `must have ${names.join(' or ')}, not both`
        : `must have at most ${counted(limit, 'field')}`;
    }
    case 'minItems':
      return `must have at least ${counted(limit, 'entry')}`;
    case 'maxItems':
      return `must have at most ${counted(limit, 'entry')}`;
    case 'uniqueItems':
      return 'must not have the same entry twice';
    default:
      return message;
  }
}

function isBlank(data: unknown): boolean {
  return typeof data === 'string' && data.trim() === '';
}

function typesIn(types: readonly unknown[]): string {
  return [...new Set(types)].map((type) => typeWords[String(type)] ?? String(type)).join(' or ');
}

function counted(count: number, what: string): string {
  if (count === 1) return `one ${what}`;
  return `${count} ${what === 'entry' ? 'entries' : `${what}s`}`;
}

/** `/merchant/mcc` → `merchant.mcc`. */
function pathOf(pointer: string): string {
  return pointer.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
}
