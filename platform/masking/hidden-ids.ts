/**
 * Identifiers that hold a card number are kept as a keyed hash of what was sent. The same id gives the same hash on
 * every engine and API, so repeats are found. Without the key the number cannot be searched for. A hash without a key
 * would not do: there are fewer card numbers than a computer tries in an hour. The key is PAN_KEY of the environment
 * and not a row of the database, because who has the rows would then have the key too.
 */
import { createHmac } from 'node:crypto';
import { keepTexts, type TextEntry } from '../../engine/core/kept-texts.js';
import type { Request, TextSlice } from '../../engine/core/request.js';
import { ConfigError } from '../config/variables.js';
import { KeyedHash } from './keyed-hash.js';
import { holdsPan, textHoldsPan } from './redact.js';

const prefix = 'hidden_';
const hashBytes = 20;
const letterA = 0x61;
const panTokenPrefix = 'pan_';
/** 128 bits: who has a token can try to pay. With the prefix it fits into a row of Cards. */
const panTokenBytes = 16;
/** Before the digits of a card number. No identifier has a NUL, so none has the same hash. */
const panMark = 'pan\0';
/** ISO/IEC 7812 has at most 19. */
const panDigitsMax = 19;
/** Longest hash that is kept in the place of an identifier, with what stands before it (see keepIds) and behind it. */
export const keptFormBytesMax = 64;
/** Each key is one more hash of every identifier that holds a card number, and one more key of its lookup. */
export const panKeysMax = 16;

export class PanKeys {
  readonly #keys: readonly string[];
  readonly #ofPans: readonly KeyedHash[];

  /** @param keys newest first: the first one hashes what is new, the others find what was hashed before */
  constructor(keys: readonly string[]) {
    this.#keys = keys;
    this.#ofPans = keys.map((key) => new KeyedHash(key, panMark.length + panDigitsMax));
  }

  /**
   * What is kept of an identifier: itself, or its hash under the newest key when it holds a card number. Behind it what
   * may have been kept before, under the older keys.
   */
  keptForms(id: string): string[] {
    return textHoldsPan(id) ? this.#keys.map((key) => this.#hash(id, key)) : [id];
  }

  /**
   * The card tokens that stand for a card number, for protocols that have no other name of a card. The first is under
   * the newest key. No token is kept beside its number: a cache would hold the card numbers of the day in memory, and a
   * hash costs a microsecond.
   * @param pan at most 19 digits, and nothing else
   */
  panTokens(pan: string): string[] {
    return this.#ofPans.map((keyed) => panTokenPrefix + letters(keyed.of(panMark + pan), panTokenBytes));
  }

  #hash(id: string, key: string): string {
    return prefix + letters(createHmac('sha256', key).update(id).digest('binary'), hashBytes);
  }
}

const pairs = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(letterA + (byte >> 4), letterA + (byte & 15)),
);

/**
 * The first bytes of a hash, each as two letters from a to p: in digits it could pass for a card number itself.
 * @param digest a character for each byte: Node.js makes such a string in a third of the time of a buffer
 */
export function letters(digest: string, byteCount: number): string {
  let text = '';
  for (let index = 0; index < byteCount; index++) text += pairs[digest.charCodeAt(index)]!;
  return text;
}

/**
 * The keys of PAN_KEY, newest first. Without it each token of ENGINE_TOKEN gives a key, the same on every engine and
 * API of a database. So a program whose ids hold no card numbers need not keep one more secret.
 */
export function panKeysOf(keys: readonly string[], engineTokens: readonly string[]): readonly string[] {
  const derived = () => engineTokens.map((token) => createHmac('sha256', token).update('PAN_KEY').digest('hex'));
  const all = keys.length > 0 ? keys : derived();
  if (all.length > panKeysMax) {
    const name = keys.length > 0 ? 'PAN_KEY' : 'ENGINE_TOKEN';
    throw new ConfigError(`${name} must have at most ${panKeysMax} keys: take the oldest ones out`);
  }
  return all;
}

export interface SentIds {
  readonly id: string;
  readonly card: string;
  readonly original: string | undefined;
}

/**
 * Makes the texts the request's source, with the identifiers as they are kept. Where one is hidden, the request also
 * has them as they were sent: the id and the original for the answer, the card for a lookup.
 * @param idPrefix stands before the kept id, see ledger.ts
 */
export function keepIds(
  request: Request,
  keys: PanKeys,
  sent: SentIds,
  others: readonly TextEntry[],
  idPrefix = '',
): void {
  const { id, card, original } = sent;
  const ids = keys.keptForms(id).map((form) => idPrefix + form);
  const originals = original === undefined ? [] : keys.keptForms(original);
  const cards = keys.keptForms(card);
  const plain: TextEntry[] = [[request.id, ids[0]], [request.card, card], [request.original, originals[0]], ...others];
  if (ids[0] === idPrefix + id && cards[0] === card && originals[0] === original) {
    keepTexts(request, plain);
    return;
  }
  const hidden = request.hide();
  keepTexts(request, [
    ...plain,
    [hidden.sentId, id],
    [hidden.sentOriginal, original],
    [hidden.keptCard, cards[0]],
    ...olderForms(hidden.olderIds, ids),
    ...olderForms(hidden.olderOriginals, originals),
    ...olderForms(hidden.olderCards, cards),
  ]);
}

function olderForms(slices: TextSlice[], forms: readonly string[]): TextEntry[] {
  return forms.slice(1).map((form) => {
    const slice = { start: 0, end: 0 };
    slices.push(slice);
    return [slice, form];
  });
}

/** Whether an identifier of a message that was read in place, in ASCII, holds a card number. */
export function holdsPanInIds({ source, id, card, original }: Request): boolean {
  return (
    holdsPan(source, id.start, id.end) ||
    holdsPan(source, card.start, card.end) ||
    holdsPan(source, original.start, original.end)
  );
}

/** The same as keepIds() for a message that was read in place, its other texts masked: without parsing it once more. */
export function keepReadIds(request: Request, keys: PanKeys): void {
  const { source, id, card, original, merchantId, merchantName, at, echoes } = request;
  const text = ({ start, end }: TextSlice): string =>
    Buffer.from(source.buffer, source.byteOffset + start, end - start).toString('latin1');
  const others = [merchantId, merchantName, at, ...echoes];
  const sent = { id: text(id), card: text(card), original: text(original) || undefined };
  keepIds(
    request,
    keys,
    sent,
    others.map((slice): TextEntry => [slice, text(slice)]),
  );
}
