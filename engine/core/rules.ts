/**
 * Limits and allow/block lists of a card, a user or an account. They are compiled from the JSON that the account API
 * stores (`limits` column), so that a decision looks nothing up twice.
 */
import { channelNames, packLetters } from './codes.js';
import { windowCount, windowNames } from './limit-names.js';
import { type VerificationMode, type VerificationName, verificationNames, walletNames } from './vocabulary.js';

/**
 * The JSON shape of limits, as the account API takes them (`PUT …/limits`); amounts in minor units of the account's
 * currency.
 */
export interface Limits {
  readonly perAuthorization?: number;
  readonly daily?: WindowLimit;
  readonly weekly?: WindowLimit;
  readonly monthly?: WindowLimit;
  readonly yearly?: WindowLimit;
  readonly lifetime?: WindowLimit;
  readonly mcc?: AllowOrBlock;
  readonly merchants?: AllowOrBlock;
  readonly countries?: AllowOrBlock;
  readonly channels?: AllowOrBlock;
  readonly verification?: Readonly<Partial<Record<VerificationName, VerificationMode>>>;
  readonly wallets?: AllowOrBlock;
  readonly recurring?: 'allow' | 'block';
  /** Windows of the last hours, at most rollingMax of them. */
  readonly rolling?: readonly RollingLimit[];
}
export interface RollingLimit extends WindowLimit {
  readonly hours: number;
}
export interface WindowLimit {
  readonly amount?: number;
  readonly count?: number;
}
export interface AllowOrBlock {
  readonly allow?: readonly string[];
  readonly block?: readonly string[];
}

/** No limit: larger than any sum that can be spent. */
export const unlimited = Number.MAX_SAFE_INTEGER;

/** A compiled list: membership means refused when `block`, allowed when not. */
export interface ListRule<T> {
  readonly block: boolean;
  readonly members: ReadonlySet<T>;
}

/** Lists in the order in which they are checked: the place of each in listBits. */
export const Lists = { mcc: 0, merchants: 1, countries: 2, channels: 3 } as const;
export const listBitsEach = 2;
export const listAllows = 1;
export const listBlocks = 2;

export interface Rules {
  readonly perAuthorization: number;
  /** By window index; `unlimited` where there is none. */
  readonly amounts: readonly number[];
  readonly counts: readonly number[];
  readonly hasWindows: boolean;
  /** For the trace. Bits of what is limited: 1 << index an amount, 1 << (windowCount + index) a count. */
  readonly windowBits: number;
  /** For the trace. Two bits a list, by Lists: 0 there is none, 1 it allows, 2 it blocks. */
  readonly listBits: number;
  readonly mcc: ListRule<number> | null;
  readonly merchants: ListRule<string> | null;
  readonly countries: ListRule<number> | null;
  readonly channels: ListRule<number> | null;
  /**
   * What is asked of signals. Two bits a check by verificationNames: 0 nothing, 1 a match, 2 no mismatch. Then two bits
   * of the list of wallets as in listBits, and one bit where recurring purchases are blocked.
   */
  readonly signalBits: number;
  readonly wallets: ListRule<number> | null;
  /** Empty where there are none. */
  readonly rolling: readonly RollingRule[];
}

export interface RollingRule {
  readonly hours: number;
  /** `unlimited` where there is none. */
  readonly amount: number;
  readonly count: number;
}

export const verificationBitsEach = 2;
export const verificationRequires = 1;
export const verificationBlocks = 2;
export const walletsShift = verificationBitsEach * verificationNames.length;
export const recurringBit = 1 << (walletsShift + listBitsEach);
/** Bits that the signals of one level take. */
export const signalLevelShift = walletsShift + listBitsEach + 1;

/** Compiles limits; null when they limit nothing, so that a decision can skip them with one test. */
export function compileRules(limits: Limits | null | undefined): Rules | null {
  if (limits === null || limits === undefined) return null;
  const amounts: number[] = [];
  const counts: number[] = [];
  let windowBits = 0;
  for (let index = 0; index < windowCount; index++) {
    const window = limits[windowNames[index]!];
    amounts.push(window?.amount ?? unlimited);
    counts.push(window?.count ?? unlimited);
    if (window?.amount !== undefined && window.amount !== unlimited) windowBits |= 1 << index;
    if (window?.count !== undefined && window.count !== unlimited) windowBits |= 1 << (windowCount + index);
  }
  const hasWindows = windowBits !== 0;
  const lists = {
    mcc: compileList(limits.mcc, Number),
    merchants: compileList(limits.merchants, String),
    countries: compileList(limits.countries, packLetters),
    channels: compileList(limits.channels, (name) => channelNames.indexOf(name as (typeof channelNames)[number])),
  };
  const listBits = (Object.keys(lists) as (keyof typeof lists)[]).reduce(
    (bits, name) => bits | (kindOf(lists[name]) << (listBitsEach * Lists[name])),
    0,
  );
  const perAuthorization = limits.perAuthorization ?? unlimited;
  const wallets = compileList(limits.wallets, (name) => walletNames.indexOf(name as (typeof walletNames)[number]));
  const signalBits = signalBitsOf(limits, wallets);
  const windows = { amounts, counts, hasWindows, windowBits };
  const rolling = (limits.rolling ?? []).map(({ hours, amount = unlimited, count = unlimited }) => ({
    hours,
    amount,
    count,
  }));
  const rules: Rules = { perAuthorization, ...windows, listBits, ...lists, signalBits, wallets, rolling };
  const hasLists = listBits !== 0 || signalBits !== 0;
  return perAuthorization === unlimited && !hasWindows && !hasLists && rolling.length === 0 ? null : rules;
}

function signalBitsOf({ verification, recurring }: Limits, wallets: ListRule<number> | null): number {
  let bits = (kindOf(wallets) << walletsShift) | (recurring === 'block' ? recurringBit : 0);
  for (const [index, name] of verificationNames.entries()) {
    const mode = verification?.[name];
    if (mode === 'require') bits |= verificationRequires << (verificationBitsEach * index);
    if (mode === 'block') bits |= verificationBlocks << (verificationBitsEach * index);
  }
  return bits;
}

function kindOf(list: ListRule<unknown> | null): number {
  return list === null ? 0 : list.block ? listBlocks : listAllows;
}

function compileList<T>(list: AllowOrBlock | undefined, convert: (text: string) => T): ListRule<T> | null {
  if (list?.allow !== undefined) return { block: false, members: new Set(list.allow.map(convert)) };
  if (list?.block !== undefined) return { block: true, members: new Set(list.block.map(convert)) };
  return null;
}

/**
 * Whether a list refuses `value`. An absent value (`absent` true) passes a block list and fails an allow list: what is
 * not named cannot be on it.
 */
export function listDeclines<T>(rule: ListRule<T> | null, value: T, absent: boolean): boolean {
  if (rule === null) return false;
  if (absent) return !rule.block;
  return rule.members.has(value) === rule.block;
}
