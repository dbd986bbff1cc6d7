/** Limits as the console's form has them, and back. Pure, so that tests read it without a browser. */
import { amountText, minorOf } from '../../kit/format.js';
import type { RollingWindow } from '../../kit/rolling.js';

export const windowNames = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;
export const listNames = ['mcc', 'merchants', 'countries', 'channels', 'wallets'] as const;
export const verificationNames = ['avs', 'cvv', 'threeDS'] as const;
/** What a purchase must bring along: the words that each field takes. */
const wordFields = [
  ...verificationNames.map((name) => ({ name: `verification.${name}`, words: ['require', 'allow', 'block'] })),
  { name: 'recurring', words: ['allow', 'block'] },
];
export type WindowName = (typeof windowNames)[number];
type ListName = (typeof listNames)[number];

interface WindowLimit {
  readonly amount?: number;
  readonly count?: number;
}
type AllowOrBlock = { readonly allow?: readonly string[]; readonly block?: readonly string[] };
export type Limits = {
  readonly perAuthorization?: number;
  readonly verification?: Partial<Record<(typeof verificationNames)[number], string>>;
  readonly recurring?: string;
  readonly rolling?: readonly RollingWindow[];
} & Partial<Record<WindowName, WindowLimit>> &
  Partial<Record<ListName, AllowOrBlock>>;

/** What is typed, by field. Lists keep how they were meant: allow or block. */
export type Draft = Readonly<Record<string, string>>;

export function draftOf(limits: Limits, currency: string): Draft {
  const money = (minor?: number) => (minor === undefined ? '' : amountText(minor, currency, 'en').replaceAll(',', ''));
  return Object.fromEntries([
    ['perAuthorization', money(limits.perAuthorization)],
    ...windowNames.flatMap((name) => [
      [`${name}.amount`, money(limits[name]?.amount)],
      [`${name}.count`, String(limits[name]?.count ?? '')],
    ]),
    ...verificationNames.map((name) => [`verification.${name}`, limits.verification?.[name] ?? '']),
    ['recurring', limits.recurring ?? ''],
    ...listNames.flatMap((name) => [
      [`${name}.allow`, limits[name]?.allow?.join(' ') ?? ''],
      [`${name}.block`, limits[name]?.block?.join(' ') ?? ''],
    ]),
  ]);
}

/** What the form has no field for stays as it was. */
function unshownOf(limits: Limits): Record<string, unknown> {
  const shown = ['perAuthorization', 'verification', 'recurring', 'rolling', ...windowNames, ...listNames];
  return Object.fromEntries(Object.entries(limits).filter(([name]) => !shown.includes(name)));
}

/** Whether the form would take an entry apart. */
function hasSeparators(list: AllowOrBlock | undefined): boolean {
  return [...(list?.allow ?? []), ...(list?.block ?? [])].some((one) => /[\s,]/.test(one));
}

/**
 * The limits that a draft means, or the names of the fields that mean nothing.
 * @param before the limits as they are
 * @param rolling the windows of the last hours, which have rows of their own
 */
export function limitsOf(
  draft: Draft,
  currency: string,
  before: Limits = {},
  rolling: readonly RollingWindow[] = before.rolling ?? [],
): { readonly limits: Limits; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T | null): T | undefined => {
    const text = (draft[name] ?? '').trim();
    if (text === '') return undefined;
    const value = parse(text);
    if (value === null) faults.push(name);
    return value ?? undefined;
  };
  const money = (name: string) => read(name, (text) => minorOf(text, currency));
  const count = (name: string) => read(name, (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null));
  const words = (name: string) => (draft[name] ?? '').split(/[\s,]+/).filter((one) => one !== '');
  const limits: Record<string, unknown> = unshownOf(before);
  const unchanged = draftOf(before, currency);
  const perAuthorization = money('perAuthorization');
  if (perAuthorization !== undefined) limits['perAuthorization'] = perAuthorization;
  for (const name of windowNames) {
    const window = { amount: money(`${name}.amount`), count: count(`${name}.count`) };
    const set = Object.entries(window).filter(([, value]) => value !== undefined);
    if (set.length > 0) limits[name] = Object.fromEntries(set);
  }
  for (const name of listNames) {
    // What cannot be typed stays: an id with a space, or an allow list without entries, which declines everything.
    if (['allow', 'block'].every((kind) => draft[`${name}.${kind}`] === unchanged[`${name}.${kind}`])) {
      if (before[name] !== undefined) limits[name] = before[name];
      continue;
    }
    if (hasSeparators(before[name])) faults.push(`${name}.block`);
    const [allow, block] = [words(`${name}.allow`), words(`${name}.block`)];
    if (allow.length > 0 && block.length > 0) faults.push(`${name}.block`);
    if (allow.length > 0) limits[name] = { allow };
    else if (block.length > 0) limits[name] = { block };
  }
  const chosen = Object.fromEntries(
    wordFields.map(({ name, words }) => [name, read(name, (text) => (words.includes(text) ? text : null))]),
  );
  const modes = verificationNames.map((name) => [name, chosen[`verification.${name}`]] as const);
  const set = modes.filter(([, mode]) => mode !== undefined);
  if (set.length > 0) limits['verification'] = Object.fromEntries(set);
  if (rolling.length > 0) limits['rolling'] = rolling;
  if (chosen['recurring'] !== undefined) limits['recurring'] = chosen['recurring'];
  return { limits: limits as Limits, faults };
}
