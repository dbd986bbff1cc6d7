/**
 * Every message and value of our processes in Redis carries a code (HMAC-SHA256) under a key that Redis does not have.
 * A program that can write to Redis, but has no key, changes no decision. The code covers the place as well, so a value
 * that is copied to another key or channel is refused too. A value that is put back later passes: its reader must know
 * by its content whether it is still good.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** In front of the bytes. Half of the hash: as hard to guess as the key is. */
export const sealBytes = 16;
const keyBytes = 32;
const warnEveryMs = 60_000;

type Warn = (fields: { readonly place: string; readonly refused: number }, message: string) => void;

export class Seals {
  readonly #keys: readonly Buffer[];
  readonly #warn: Warn;
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  /** Values and messages without a valid code. */
  refused = 0;

  /**
   * @param keys newest first: the first one seals, all of them open
   * @param warn hears of refused values, once a minute at most
   */
  constructor(keys: readonly string[], warn: Warn = () => undefined) {
    this.#keys = keys.map((key) => Buffer.from(hkdfSync('sha256', key, '', 'atlanticfrewaycard redis', keyBytes)));
    this.#warn = warn;
  }

  /** @param place the key or the channel where the bytes go */
  seal(place: string, bytes: Uint8Array): Buffer {
    return Buffer.concat([codeOf(this.#keys[0]!, place, bytes), bytes]);
  }

  /** The bytes that were sealed for this place; null where they were not. */
  open(place: string, sealed: Uint8Array): Uint8Array | null {
    const bytes = sealed.subarray(sealBytes);
    if (sealed.length >= sealBytes) {
      const code = sealed.subarray(0, sealBytes);
      for (const key of this.#keys) if (timingSafeEqual(code, codeOf(key, place, bytes))) return bytes;
    }
    this.#refuse(place);
    return null;
  }

  #refuse(place: string): void {
    this.refused++;
    const nowMs = performance.now();
    if (nowMs - this.#warnedAtMs < warnEveryMs) return;
    this.#warnedAtMs = nowMs;
    this.#warn(
      { place, refused: this.refused },
      'Redis holds what no process with our FEED_KEY wrote: it is not used; another release, another key, or an ' +
        'intruder',
    );
  }
}

/** The keys of FEED_KEY; without it those of ENGINE_TOKEN, which every engine and API of a database has alike. */
export function feedKeysOf(feedKeys: readonly string[], engineTokens: readonly string[]): readonly string[] {
  return feedKeys.length > 0 ? feedKeys : engineTokens;
}

function codeOf(key: Buffer, place: string, bytes: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(4);
  const name = Buffer.from(place);
  length.writeUInt32LE(name.length);
  return createHmac('sha256', key).update(length).update(name).update(bytes).digest().subarray(0, sealBytes);
}
