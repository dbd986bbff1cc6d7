/**
 * Cached values as bytes: msgpack, written and read by our own processes, never bytes from outside. The only importer
 * of msgpackr besides the feed's frames. A value from Redis is checked before it is used. A value that is too long,
 * torn, or of another shape counts as missing.
 */
import { Packr } from 'msgpackr';
import { isCardTypeName } from '../../engine/core/card-types.js';
import type { CardPayload } from '../../engine/core/feed.js';
import { isLimits } from '../../engine/core/limits-shape.js';

/** A card's profile, and how far it is known to be current. */
export interface CachedCard {
  readonly card: CardPayload;
  /** Every change of the card up to this place in the feed is in it; perhaps later ones too. */
  readonly asOf: number;
}

/** Larger values cost more to move than to read again. */
export const valueBytesMax = 262_144;
const statuses: readonly string[] = ['active', 'frozen', 'closed'];

// Plain maps, no shared record structures: any process reads what any other has written.
const packr = new Packr({ useRecords: false, moreTypes: false });

/** null: too long to be kept. */
export function pack(value: unknown): Buffer | null {
  const bytes = packr.pack(value);
  return bytes.length > valueBytesMax ? null : bytes;
}

/** Undefined when these are no bytes of ours. */
export function unpack(bytes: Uint8Array): unknown {
  if (bytes.length > valueBytesMax) return undefined;
  try {
    return packr.unpack(bytes);
  } catch {
    return undefined;
  }
}

export function packCard({ card, asOf }: CachedCard): Buffer | null {
  const { token, number, version, status, expiresDay, limits, accountNumber, userNumber, ownerKey } = card;
  const { type = 'virtual', spendNumber = number } = card;
  const owners = [accountNumber, userNumber, ownerKey];
  return pack([asOf, token, number, version, status, expiresDay, limits, ...owners, type, spendNumber]);
}

/** null when it is not the profile of that card. */
export function readCard(bytes: Uint8Array, tokenAsked: string): CachedCard | null {
  const value = unpack(bytes);
  if (!Array.isArray(value) || value.length !== 12) return null;
  const [asOf, token, number, version, status, expiresDay, limits, ...others] = value;
  const [accountNumber, userNumber, ownerKey, type, spendNumber] = others;
  const numbers = [asOf, number, version, accountNumber, userNumber, ownerKey, spendNumber];
  if (token !== tokenAsked || !numbers.every(isCount) || !Number.isSafeInteger(expiresDay)) return null;
  if (!statuses.includes(status) || !isLimits(limits) || !isCardTypeName(type)) return null;
  const owners = { accountNumber, userNumber, ownerKey };
  return { asOf, card: { token, number, version, status, expiresDay, limits, ...owners, type, spendNumber } };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
