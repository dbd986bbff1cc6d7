/** How many cards that are not closed one owner may have. */
export interface CardCaps {
  readonly company: number;
  readonly person: number;
}

export const cardCapsDefault: CardCaps = { company: 10_000, person: 100 };
