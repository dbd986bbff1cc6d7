/**
 * Every bound of the data plane in one place, with its reason; relations between them are asserted at import.
 */
import { assert } from './invariant.js';
import { recordBytesMax } from './record.js';

/** Largest body on the authorization port; a larger one is answered 413. Marqeta's largest requests are a few KiB. */
export const bodyBytesMax = 64 * 1024;

/** Largest answer body: ids of 64 characters at 4 bytes each, escaped at worst, twice, plus 400 bytes of fixed text. */
export const answerBytesMax = 2048;

/**
 * Most entries a slab carries: one batch, one fdatasync. 2,048 answers take the front about 20 ms: a fifth of the
 * deadline.
 */
export const slabEntriesMax = 2048;

/** Room for bodies in a slab: 2,048 typical Marqeta requests of 2 KiB; native ones need a tenth of it. */
export const slabRequestBytes = 4 * 1024 * 1024;

/**
 * Longest limits of a card, user or account, as compact JSON: what the account API takes, and the most that is kept.
 */
export const limitsBytesMax = 64 * 1024;

/** Longest card token, in bytes; the account API's own tokens have 36. */
export const tokenBytesMax = 256;

/**
 * Longest profile on its way to a partition: its limits, its token (six bytes for each in the worst spelling), fixed
 * words.
 */
export const profileBytesMax = limitsBytesMax + 6 * tokenBytesMax + 1024;

/**
 * What one lane entry carries of changes and rows of lookups: about a millisecond of the partition, a small part of a
 * slab.
 */
export const laneEntryBytesMax = 128 * 1024;

/** Largest journal frame: a slab full of the longest records. */
export const journalFrameBytesMax = 6 * 1024 * 1024;

assert(slabRequestBytes >= 2 * bodyBytesMax, 'a slab must take at least two of the largest bodies');
assert(journalFrameBytesMax >= slabEntriesMax * recordBytesMax + 4096, 'a whole slab fits one frame');
assert(laneEntryBytesMax >= profileBytesMax + 1024, 'one change always fits a lane entry');
assert(
  slabRequestBytes >= 8 * laneEntryBytesMax,
  'a lane entry always fits a slab, beside the messages that came before',
);
