/** STANDIN: the rule as an operator writes it, a JSON object or the path of a file that has one. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../../platform/config/variables.js';
import { packLetters } from '../core/codes.js';
import { amountMinorMax } from '../core/request.js';
import type { ListRule } from '../core/rules.js';
import type { StandInRule } from '../core/stand-in.js';

/** More than a deployment has engines; each has its share of the caps. */
const enginesMax = 1000;
/** A day: older knowledge of cards is none. */
const stateAgeMsMax = 86_400_000;
const names = ['currency', 'perCardMinor', 'perDayMinor', 'amountMaxMinor', 'mcc', 'stateAgeMsMax', 'engines'];

/**
 * @param text of the variable; '' where stand-in is off
 * @param defaults `engines` undefined: it must be given
 * @throws ConfigError with one line that names what is wrong
 */
export function readStandIn(
  text: string,
  defaults: { readonly stateAgeMsMax: number; readonly engines: number | undefined },
): StandInRule | null {
  if (text === '') return null;
  const settings = parse(text);
  for (const name of Object.keys(settings)) if (!names.includes(name)) fail(`does not know ${name}`);
  const integer = (name: string, max: number, fallback?: number): number => {
    const value = settings[name] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number;
    return fail(`needs ${name}, an integer from 1 to ${max}`);
  };
  const { currency } = settings;
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) fail('needs currency, three capital letters');
  const engines = integer('engines', enginesMax, defaults.engines);
  const share = (name: string): number => {
    const capMinor = Math.floor(integer(name, amountMinorMax) / engines);
    return capMinor >= 1 ? capMinor : fail(`needs ${name} of at least 1 for each of the ${engines} engines`);
  };
  return Object.freeze({
    currency: packLetters(currency as string),
    perCardMinor: share('perCardMinor'),
    perDayMinor: share('perDayMinor'),
    amountMaxMinor: integer('amountMaxMinor', amountMinorMax),
    mcc: readMcc(settings['mcc']),
    engines,
    stateAgeMsMax: integer('stateAgeMsMax', stateAgeMsMax, defaults.stateAgeMsMax),
  });
}

function fail(what: string): never {
  throw new ConfigError(`STANDIN ${what} (docs/standin.md)`);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let json = text;
  if (!text.trimStart().startsWith('{')) {
    try {
      json = readFileSync(text, 'utf8');
    } catch {
      fail('must be a JSON object, or the path of a file that can be read');
    }
  }
  try {
    const parsed = JSON.parse(json) as unknown;
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Readonly<Record<string, unknown>>;
    }
  } catch {
    // Said below.
  }
  return fail('must be a JSON object');
}

function readMcc(mcc: unknown): ListRule<number> | null {
  if (mcc === undefined) return null;
  const lists = typeof mcc === 'object' && mcc !== null ? Object.entries(mcc) : [];
  const [name, codes] = lists[0] ?? [];
  const isList = Array.isArray(codes) && codes.every((code) => typeof code === 'string' && /^[0-9]{4}$/.test(code));
  if (lists.length !== 1 || (name !== 'allow' && name !== 'block') || !isList) {
    fail('needs mcc, { "block": [...] } or { "allow": [...] } with codes of four digits');
  }
  return { block: name === 'block', members: new Set((codes as string[]).map(Number)) };
}
