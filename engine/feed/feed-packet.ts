/**
 * Frames of the feed on Redis: msgpack, written by the relay and read by the engines only. Redis is ours, and yet a frame
 * is checked before it is used: a frame that does not look right is dropped, and the gap that it leaves is repaired from
 * the outbox.
 */
import { Packr } from 'msgpackr';
import { type FeedEntry, feedTopics } from '../core/feed.js';
import { assert } from '../core/invariant.js';
import { profileBytesMax } from '../core/limits.js';

export interface FeedFrame {
  /** The relay's newest number: a frame without entries is a heartbeat. */
  readonly newest: number;
  readonly entries: readonly FeedEntry[];
}

/** Longest frame that is read, and so the longest that the relay writes. */
export const frameBytesMax = 1024 * 1024;
export const frameEntriesMax = 100;
assert(frameBytesMax >= 2 * profileBytesMax, 'one change always fits a frame');

// No records: they would tie a frame to the ones before it, and frames get lost.
const packr = new Packr({ useRecords: false });

/** Where frames go, and where engines answer. */
export const frameChannel = (feedId: string) => `afc:{${feedId}}:feed`;
export const appliedChannel = (feedId: string) => `afc:{${feedId}}:applied`;

/** What an engine says of itself. Without set-apart profiles it is as releases before them said and read it. */
export function appliedReport(engineId: string, sequence: number, setApart: number): string {
  return setApart === 0 ? `${engineId} ${sequence}` : `${engineId} ${sequence} ${setApart}`;
}

export function packFrame(frame: FeedFrame): Buffer {
  return packr.pack(frame);
}

/**
 * The frames that carry these entries, each within both bounds. An entry that is longer than a whole frame is left out:
 * the engines see the gap and read it from the outbox.
 */
export function packFrames(newest: number, entries: readonly FeedEntry[]): Buffer[] {
  if (entries.length > frameEntriesMax) return halves(newest, entries);
  const frame = packFrame({ newest, entries });
  if (frame.length <= frameBytesMax) return [frame];
  return entries.length > 1 ? halves(newest, entries) : [];
}

function halves(newest: number, entries: readonly FeedEntry[]): Buffer[] {
  const middle = Math.ceil(entries.length / 2);
  return [...packFrames(newest, entries.slice(0, middle)), ...packFrames(newest, entries.slice(middle))];
}

/** null when it is no frame. */
export function readFrame(bytes: Uint8Array): FeedFrame | null {
  if (bytes.length > frameBytesMax) return null;
  let frame: FeedFrame | null;
  try {
    frame = packr.unpack(bytes) as FeedFrame | null;
  } catch {
    return null;
  }
  if (typeof frame !== 'object' || frame === null) return null;
  if (!isCount(frame.newest) || !Array.isArray(frame.entries)) return null;
  return frame.entries.every(isEntry) ? frame : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isEntry(entry: FeedEntry | null | undefined): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  const { sequence, atMs, topic, payload } = entry;
  if (!isCount(sequence) || typeof atMs !== 'number' || !feedTopics.includes(topic)) return false;
  if (typeof payload !== 'object' || payload === null) return false;
  const { number, version, status, ownerKey, limits } = payload;
  const isProfile = isCount(number) && isCount(version) && typeof status === 'string' && isCount(ownerKey);
  return isProfile && typeof limits === 'object' && (topic !== 'card' || typeof payload.token === 'string');
}
