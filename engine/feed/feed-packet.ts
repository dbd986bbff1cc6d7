/**
 * Packets of the feed on Redis: msgpack, written by the relay and read by the engines only. A packet from Redis is
 * checked before it is used. A packet that does not look right is dropped, and the gap that it leaves is repaired from
 * the outbox.
 */
import { Packr } from 'msgpackr';
import { type FeedEntry, feedTopics } from '../core/feed.js';
import { assert } from '../core/invariant.js';
import { profileBytesMax } from '../core/limits.js';

export interface FeedPacket {
  /** The relay's newest number: a packet without entries is a heartbeat. */
  readonly newest: number;
  readonly entries: readonly FeedEntry[];
}

/** Longest packet that is read, and so the longest that the relay writes. */
export const packetBytesMax = 1024 * 1024;
export const packetEntriesMax = 100;
assert(packetBytesMax >= 2 * profileBytesMax, 'one change always fits a packet');

// No records: they would tie a packet to the ones before it, and packets get lost.
const packr = new Packr({ useRecords: false });

/** Where packets go, and where engines answer. */
export const packetChannel = (feedId: string) => `afc:{${feedId}}:feed`;
export const appliedChannel = (feedId: string) => `afc:{${feedId}}:applied`;

/** What an engine says of itself. Without set-apart profiles it is as releases before them said and read it. */
export function appliedReport(engineId: string, sequence: number, setApart: number): string {
  return setApart === 0 ? `${engineId} ${sequence}` : `${engineId} ${sequence} ${setApart}`;
}

export function writePacket(packet: FeedPacket): Buffer {
  return packr.pack(packet);
}

/**
 * The packets that carry these entries, each within both bounds. An entry that is longer than a whole packet is left
 * out: the engines see the gap and read it from the outbox.
 */
export function writePackets(newest: number, entries: readonly FeedEntry[]): Buffer[] {
  if (entries.length > packetEntriesMax) return halves(newest, entries);
  const packet = writePacket({ newest, entries });
  if (packet.length <= packetBytesMax) return [packet];
  return entries.length > 1 ? halves(newest, entries) : [];
}

function halves(newest: number, entries: readonly FeedEntry[]): Buffer[] {
  const middle = Math.ceil(entries.length / 2);
  return [...writePackets(newest, entries.slice(0, middle)), ...writePackets(newest, entries.slice(middle))];
}

/** null when it is no packet. */
export function readPacket(bytes: Uint8Array): FeedPacket | null {
  if (bytes.length > packetBytesMax) return null;
  let packet: FeedPacket | null;
  try {
    packet = packr.unpack(bytes) as FeedPacket | null;
  } catch {
    return null;
  }
  if (typeof packet !== 'object' || packet === null) return null;
  if (!isCount(packet.newest) || !Array.isArray(packet.entries)) return null;
  return packet.entries.every(isEntry) ? packet : null;
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
