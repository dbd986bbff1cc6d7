/**
 * Reads variables of the environment one by one, each with its rule. A bad or missing one throws a ConfigError of one
 * line that names the variable and says what would be right; never the value, which may be a secret. By hand, because a
 * schema validator takes a start longer to load than to ask the database.
 */
import { hostsProblem } from '../postgres/connect.js';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** The levels of pino; the first one is the default. */
export const logLevels = ['info', 'trace', 'debug', 'warn', 'error', 'fatal', 'silent'] as const;

export interface TextRule {
  /** Undefined: the variable must be set. */
  readonly fallback?: string;
  readonly lengthMax?: number;
  readonly pattern?: RegExp;
}

export interface IntegerRule<Fallback> {
  readonly fallback: Fallback;
  readonly min: number;
  readonly max: number;
}

export class Variables {
  readonly #environment: Readonly<Record<string, string | undefined>>;

  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.#environment = environment;
  }

  text(name: string, { fallback, lengthMax, pattern }: TextRule = {}): string {
    const given = this.#given(name);
    if (given === undefined) {
      if (fallback !== undefined) return fallback;
      throw new ConfigError(`${name} is not set: give it in the environment (make run makes one for the demo)`);
    }
    if (lengthMax !== undefined && given.length > lengthMax) {
      throw new ConfigError(`${name} must have at most ${lengthMax} characters`);
    }
    if (pattern !== undefined && !pattern.test(given)) throw new ConfigError(`${name} must match ${pattern.source}`);
    return given;
  }

  /** Of one server, or of a primary and its standbys. */
  postgresUrl(name: string, fallback?: string): string {
    const url = this.text(name, { pattern: /^postgres(ql)?:\/\//, ...(fallback === undefined ? {} : { fallback }) });
    const problem = hostsProblem(url);
    if (problem !== '') throw new ConfigError(`${name}: ${problem}`);
    return url;
  }

  /** A secret with its predecessors, newest first, separated by commas; empty where it is not set and may be. */
  list(name: string, isRequired = false): readonly string[] {
    const rule = { lengthMax: 2000, pattern: /^[^,\s]+(,[^,\s]+)*$/ };
    const text = this.text(name, isRequired ? rule : { ...rule, fallback: '' });
    return Object.freeze(text === '' ? [] : text.split(','));
  }

  /** Secrets, newest first, separated by commas: at least one. */
  secrets(name: string, lengthMax: number): readonly string[] {
    const values = this.text(name, { lengthMax: 2000 }).split(',');
    if (values.some((value) => value === '' || value.length > lengthMax)) {
      throw new ConfigError(`${name} must be secrets of 1 to ${lengthMax} characters, separated by commas`);
    }
    return Object.freeze(values);
  }

  integer<Fallback>(name: string, { fallback, min, max }: IntegerRule<Fallback>): number | Fallback {
    const value = this.#number(name);
    if (value === undefined) return fallback;
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new ConfigError(`${name} must be an integer from ${min} to ${max}`);
  }

  /** Above zero, with any fraction. */
  positive(name: string, fallback: number, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#number(name);
    if (value === undefined) return fallback;
    if (value > 0 && value <= max) return value;
    throw new ConfigError(`${name} must be a number above 0, at most ${max}`);
  }

  /** From 0 to 1, with any fraction. */
  share(name: string, fallback: number): number {
    const value = this.#number(name);
    if (value === undefined) return fallback;
    if (value >= 0 && value <= 1) return value;
    throw new ConfigError(`${name} must be a number from 0 to 1`);
  }

  isTrue(name: string): boolean {
    return this.oneOf(name, ['false', 'true']) === 'true';
  }

  /** The first one is the default. */
  oneOf<const Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice {
    const given = this.#given(name);
    if (given === undefined) return choices[0];
    const found = choices.find((choice) => choice === given);
    if (found === undefined) throw new ConfigError(`${name} must be one of ${choices.join(', ')}`);
    return found;
  }

  /** NaN for what is no number. */
  #number(name: string): number | undefined {
    const given = this.#given(name);
    if (given === undefined) return undefined;
    return given.trim() === '' ? Number.NaN : Number(given);
  }

  /** An empty variable means "not set", as shells and compose files write it. */
  #given(name: string): string | undefined {
    return this.#environment[name] || undefined;
  }
}
