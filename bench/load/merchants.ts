/**
 * Shops of the generated traffic, with what they usually take: enough variety that nothing about a merchant is
 * constant.
 */
import type { Random } from './random.js';

/** Merchant category code, its share of card payments in percent, and the amount people spend there in minor units. */
interface Category {
  readonly mcc: string;
  readonly share: number;
  readonly names: readonly string[];
  readonly amountMedianMinor: number;
  readonly channels: readonly string[];
}

const inPerson = ['contactless', 'contactless', 'chip', 'chip', 'magstripe'];
const online = ['ecommerce', 'ecommerce', 'ecommerce', 'manual'];

/** Orders of magnitude, not statistics: groceries and coffee often and little, travel seldom and much. */
const categories: readonly Category[] = [
  {
    mcc: '5411',
    share: 24,
    names: ['Fresh Market', 'Corner Store', 'Green Basket'],
    amountMedianMinor: 3200,
    channels: inPerson,
  },
  {
    mcc: '5814',
    share: 20,
    names: ['Burger Stop', 'Coffee & Co', 'Noodle Bar'],
    amountMedianMinor: 900,
    channels: inPerson,
  },
  { mcc: '5812', share: 12, names: ['Trattoria Roma', 'The Old Mill'], amountMedianMinor: 3800, channels: inPerson },
  { mcc: '5541', share: 9, names: ['Highway Fuel', 'City Petrol'], amountMedianMinor: 4500, channels: inPerson },
  { mcc: '5311', share: 7, names: ['Main Street Store'], amountMedianMinor: 5200, channels: inPerson },
  { mcc: '5912', share: 6, names: ['Well Pharmacy'], amountMedianMinor: 1900, channels: inPerson },
  { mcc: '4111', share: 6, names: ['Metro Transit'], amountMedianMinor: 290, channels: inPerson },
  { mcc: '5999', share: 8, names: ['Web Shop Ltd', 'Parcel Direct'], amountMedianMinor: 3600, channels: online },
  { mcc: '5818', share: 5, names: ['Stream Box', 'App Market'], amountMedianMinor: 1200, channels: online },
  { mcc: '7011', share: 2, names: ['Harbour Hotel'], amountMedianMinor: 21_000, channels: ['chip', 'ecommerce'] },
  { mcc: '4511', share: 1, names: ['Blue Sky Air'], amountMedianMinor: 38_000, channels: online },
];
const countries = ['US', 'US', 'US', 'US', 'US', 'US', 'US', 'GB', 'DE', 'FR'];

export interface Merchant {
  readonly amountMedianMinor: number;
  /** End of a message in JSON, from the merchant on, per channel: `,"merchant":{…},"channel":"chip"}`. */
  readonly tails: readonly Uint8Array[];
}

/** Each category as often as its share. */
const categoryDeck = categories.flatMap((category) => Array<Category>(category.share).fill(category));

/** The same merchants for the same random numbers. */
export function makeMerchants(count: number, random: Random): Merchant[] {
  return Array.from({ length: count }, (_, index) => {
    const { mcc, names, amountMedianMinor, channels } = pickCategory(random);
    const name = `${names[random.below(names.length)]} ${1 + random.below(999)}`;
    const country = countries[random.below(countries.length)];
    const merchant = JSON.stringify({ id: `m-${index + 1}`, name, mcc, country });
    return {
      amountMedianMinor,
      tails: channels.map((channel) => Buffer.from(`,"merchant":${merchant},"channel":"${channel}"}`, 'latin1')),
    };
  });
}

function pickCategory(random: Random): Category {
  return categoryDeck[random.below(categoryDeck.length)]!;
}
