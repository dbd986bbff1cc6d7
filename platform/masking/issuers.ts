/**
 * Issuer ranges of payment cards by their first four digits, and the lengths that the network issues from 13 digits on.
 *
 * Source: ISO/IEC 7812-1 and the networks' own ranges as collected in Wikipedia, "Payment card number" (section "Issuer
 * identification number"), checked 2026-11-27. Ranges that are finer than four digits are widened to them: Hipercard
 * (606282, 384100) and Elo (5067, 6277, 650…) lie within RuPay, Diners Club and Maestro here. Maestro issues 12 digits,
 * too; references of that length are too common to count.
 */
type Range = readonly [from: number, to: number, lengths: readonly number[]];

const any = [13, 14, 15, 16, 17, 18, 19];

const ranges: readonly Range[] = [
  [1000, 1999, [15]], // UATP
  [1946, 1946, [16, 18, 19]], // GPN
  [2200, 2204, [16, 17, 18, 19]], // Mir
  [2221, 2720, [16]], // Mastercard
  [3000, 3059, [14, 15, 16, 17, 18, 19]], // Diners Club
  [3095, 3095, [14, 15, 16, 17, 18, 19]], // Diners Club
  [3100, 3199, [19]], // T-Union
  [3400, 3499, [15]], // American Express
  [3528, 3589, [16, 17, 18, 19]], // JCB, LankaPay
  [3600, 3699, [14, 15, 16, 17, 18, 19]], // Diners Club
  [3700, 3799, [15]], // American Express
  [3800, 3999, [14, 15, 16, 17, 18, 19]], // Diners Club, Hipercard
  [4000, 4999, [13, 16, 19]], // Visa, Elo, Dankort
  [5000, 5099, any], // Maestro, RuPay, Elo, Verve, Dankort
  [5100, 5599, [16]], // Mastercard, Diners Club in North America
  [5600, 5899, any], // Maestro
  [6000, 6999, any], // Discover, UnionPay, RuPay, Maestro, Hipercard, Elo, Troy, Verve, InterPayment, UkrCard
  [8100, 8299, [16, 17, 18, 19]], // RuPay, UnionPay
  [8600, 8600, [16]], // UzCard
  [9112, 9112, [16]], // Belkart
  [9704, 9704, [16, 19]], // Napas
  [9792, 9792, [16]], // Troy
  [9860, 9860, [16]], // Humo
];

export const panDigitsMin = 13;
export const panDigitsMax = 19;

/** Bit n: the network that owns the first four digits issues numbers of panDigitsMin + n digits. */
export const lengthsByPrefix = new Uint8Array(10_000);

for (const [from, to, lengths] of ranges) {
  for (let prefix = from; prefix <= to; prefix++) {
    for (const length of lengths) lengthsByPrefix[prefix]! |= 1 << (length - panDigitsMin);
  }
}
