/**
 * Whether the engine can apply a profile that the database has. The account API writes no other; a person with SQL, a
 * damaged row or another release may. Such a profile is set apart (set-apart.ts): one bad row must stop nothing else.
 */
import { cardTypeNames, isCardTypeName } from './card-types.js';
import { isSafeCount, type Profile } from './feed.js';
import { limitsBytesMax, tokenBytesMax } from './limits.js';
import { isLimits } from './limits-shape.js';
import type { AccountRow } from './partition-rows.js';
import type { Limits } from './rules.js';
import { isZoneName } from './window.js';

/** '' where the profile can be applied; else what is wrong with it, in words without anything of its content. */
export function faultOf(topic: Profile['topic'], profile: Partial<Profile['payload']>): string {
  const fault = limitsFault(profile.limits);
  if (fault !== '') return fault;
  const { expiresDay, timeZone, type, spendNumber } = profile as Readonly<Record<string, unknown>>;
  if (topic === 'card' && !Number.isSafeInteger(expiresDay)) return 'its expiry is no date';
  if (topic === 'card' && !isTypeOrAbsent(type)) return 'its type is unknown';
  if (topic === 'card' && spendNumber !== undefined && !isSafeCount(spendNumber)) return 'it spends as no card';
  if (topic === 'account' && !isZoneName(timeZone)) return 'its time zone is unknown';
  return '';
}

/** A profile has the type's name, a row of a lookup its number. */
function isTypeOrAbsent(type: unknown): boolean {
  return type === undefined || isCardTypeName(type) || isCardTypeName(cardTypeNames[type as number]);
}

function limitsFault(limits: Limits | null | undefined): string {
  if (limits === null) return '';
  if (limits === undefined) return `its limits are longer than ${limitsBytesMax} bytes, or missing`;
  if (!isLimits(limits)) return 'its limits have not the shape that the account API writes';
  const bytes = Buffer.byteLength(JSON.stringify(limits));
  return bytes <= limitsBytesMax ? '' : `its limits have ${bytes} bytes, at most ${limitsBytesMax} are kept`;
}

/** '' where an account's books can be taken over. */
export function booksFault({ funds, held, posted }: AccountRow): string {
  const isSafe = [funds, held, posted, funds - held - posted].every(Number.isSafeInteger) && held >= 0;
  return isSafe ? '' : 'its books are no amounts that can be reckoned with';
}

/** Whether a payload says at least whose profile it is, and so whom to decline. */
export function isIdentified(topic: Profile['topic'], payload: unknown): payload is Profile['payload'] {
  if (typeof payload !== 'object' || payload === null) return false;
  const { number, version, ownerKey, token } = payload as Readonly<Record<string, unknown>>;
  if (!isSafeCount(number) || !isSafeCount(version) || !isSafeCount(ownerKey)) return false;
  return topic !== 'card' || (typeof token === 'string' && token !== '' && Buffer.byteLength(token) <= tokenBytesMax);
}
