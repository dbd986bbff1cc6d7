/**
 * Every bound of the data plane in one place, with its reason; relations between them are asserted at import.
 */
import { assert } from './invariant.js';
import { recordBytesMax } from './record.js';

/** Largest body on the authorization port: Marqeta's largest requests are a few KiB; 64 KiB is interface.md's 413. */
export const bodyBytesMax = 64 * 1024;

/** Largest answer body: ids of 64 characters at 4 bytes each, escaped at worst, twice, plus 400 bytes of fixed text. */
export const answerBytesMax = 2048;

/** Most entries a slab carries: one batch, one fdatasync. 2,048 answers take the front about 20 ms: a fifth of the deadline. */
export const slabEntriesMax = 2048;

/** Room for bodies in a slab: 2,048 typical Marqeta requests of 2 KiB; native ones need a tenth of it. */
export const slabRequestBytes = 4 * 1024 * 1024;

/** Largest journal frame: a slab full of the longest records. */
export const journalFrameBytesMax = 4 * 1024 * 1024;

assert(slabRequestBytes >= 2 * bodyBytesMax, 'a slab must take at least two of the largest bodies');
assert(journalFrameBytesMax >= slabEntriesMax * recordBytesMax + 4096, 'a whole slab fits one frame');
