/** Limits as long as the account API takes them: almost limitsBytesMax of merchant ids, every other list full. */
import { channelNames } from '../core/codes.js';
import { limitsBytesMax } from '../core/limits.js';
import type { Limits } from '../core/rules.js';

const windows = { amount: 999_999_999_999, count: 1_000_000_000 };

export function longestLimits(): Limits {
  const limits = (letters: number): Limits => ({
    perAuthorization: 999_999_999_999,
    daily: windows,
    weekly: windows,
    monthly: windows,
    yearly: windows,
    lifetime: windows,
    mcc: { block: Array.from({ length: 500 }, (_, index) => String(1000 + index)) },
    merchants: { block: Array.from({ length: 500 }, (_, index) => `${index}`.padStart(letters, 'ü')) },
    countries: { block: ['KP'] },
    channels: { block: channelNames.filter((name) => name !== '' && name !== 'ecommerce').slice(0, 2) },
  });
  let letters = 64;
  while (Buffer.byteLength(JSON.stringify(limits(letters))) > limitsBytesMax) letters--;
  return limits(letters);
}
