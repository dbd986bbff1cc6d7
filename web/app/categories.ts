/** What kind of shop a merchant category code (ISO 18245) means, in the few kinds that people tell apart. */

export const categories = [
  'groceries',
  'restaurants',
  'fuel',
  'lodging',
  'travel',
  'health',
  'clothes',
  'household',
  'entertainment',
  'gambling',
  'cash',
  'digital',
  'utilities',
  'other',
] as const;
export type Category = (typeof categories)[number];

/** Ranges of codes, both ends included; the first that holds the code decides. */
const ranges: readonly (readonly [from: number, to: number, category: Category])[] = [
  [3000, 3499, 'travel'],
  [3500, 3999, 'lodging'],
  [4011, 4789, 'travel'],
  [4812, 4900, 'utilities'],
  [5200, 5399, 'household'],
  [5411, 5499, 'groceries'],
  [5541, 5542, 'fuel'],
  [5552, 5552, 'fuel'],
  [5600, 5699, 'clothes'],
  [5712, 5735, 'household'],
  [5811, 5814, 'restaurants'],
  [5815, 5818, 'digital'],
  [5912, 5912, 'health'],
  [6010, 6011, 'cash'],
  [7011, 7011, 'lodging'],
  [7512, 7523, 'travel'],
  [7800, 7802, 'gambling'],
  [7995, 7995, 'gambling'],
  [7829, 7999, 'entertainment'],
  [8011, 8099, 'health'],
];

export function categoryOf(mcc: string | null): Category {
  const code = Number(mcc);
  return ranges.find(([from, to]) => code >= from && code <= to)?.[2] ?? 'other';
}
