/**
 * Types of cards. A virtual card has no rules beyond its limits. A single-use card makes one purchase. A
 * merchant-locked card belongs to the merchant of its first purchase.
 *
 * What a card of the last two types has done is owned state (spend.ts). It is a count of purchases, which no reversal
 * gives back, and the merchant of the first purchase. Only a revocation (law 7) lowers the count: that approval was
 * never answered.
 */
export const CardType = { virtual: 0, singleUse: 1, merchantLocked: 2 } as const;
export type CardType = (typeof CardType)[keyof typeof CardType];

/** Public names, indexed by CardType, as `cards.type` has them. */
export const cardTypeNames = ['virtual', 'single_use', 'merchant_locked'] as const;
export type CardTypeName = (typeof cardTypeNames)[number];

/** Of a name that this release does not know: profile-shape.ts sets its card apart. */
const unknownType = 3 as CardType;

export function isCardTypeName(name: unknown): name is CardTypeName {
  return cardTypeNames.includes(name as CardTypeName);
}

/** @param name absent in a profile that was written before cards had types: those cards are all virtual */
export function cardTypeNamed(name: string = 'virtual'): CardType {
  const type = cardTypeNames.indexOf(name as CardTypeName);
  return type < 0 ? unknownType : (type as CardType);
}

/** What a card that is not virtual has bought so far. */
export interface CardUse {
  /** Purchases, of which only revocations are undone. */
  readonly count: number;
  /** Id of the merchant of the first purchase that named one; '' while none did. */
  readonly merchant: string;
}

/** `use` after one purchase more or, with a negative delta, one fewer; null when none is left. */
export function usedAgain(use: CardUse | null, delta: number, merchant: string): CardUse | null {
  const count = (use?.count ?? 0) + delta;
  if (count <= 0) return null;
  const known = use?.merchant ?? '';
  return { count, merchant: known === '' && delta > 0 ? merchant : known };
}
