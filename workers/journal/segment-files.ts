/**
 * The files of one partition's journal folder and who may touch them.
 *
 *   segment-0000000001          a segment; the highest number is being written, the others are sealed
 *   spare-0000000004            zeroed and synced, to become a segment: made by the shipper, taken by the worker
 *   making-worker-…             a file being made by the worker (or by recovery): garbage after a crash
 *   making-shipper-…            a file being made or zeroed by the shipper: garbage after a crash
 *
 * A segment's header is written before its name is, so whatever is called segment-… has a header.
 */
import { join } from 'node:path';
import type { Storage } from './storage.js';

export type Maker = 'worker' | 'shipper';

const digits = 10;

export function segmentName(number: number): string {
  return `segment-${String(number).padStart(digits, '0')}`;
}

export function spareName(number: number): string {
  return `spare-${String(number).padStart(digits, '0')}`;
}

export function makingName(maker: Maker, number: number): string {
  return `making-${maker}-${String(number).padStart(digits, '0')}`;
}

/** Folder of a partition's journal below the journal root. */
export function partitionDirectory(root: string, partition: number): string {
  return join(root, `p${partition}`);
}

/** What is in a journal folder. */
export interface JournalFiles {
  /** Segment numbers, ascending. */
  readonly segments: readonly number[];
  /** Names of spares, ascending. */
  readonly spares: readonly string[];
  /** Names of files that the worker and the shipper were making. */
  readonly making: readonly string[];
}

export function listJournalFiles(storage: Storage, directory: string): JournalFiles {
  const segments: number[] = [];
  const spares: string[] = [];
  const making: string[] = [];
  for (const name of storage.list(directory)) {
    if (name.startsWith('segment-')) segments.push(Number(name.slice('segment-'.length)));
    else if (name.startsWith('spare-')) spares.push(name);
    else if (name.startsWith('making-')) making.push(name);
  }
  // Names sort as numbers do up to ten digits; beyond, and for files of other names, the numbers decide.
  return { segments: segments.filter(Number.isSafeInteger).sort((a, b) => a - b), spares, making };
}

/** Removes what `maker` left half made when it was killed. */
export function removeMaking(storage: Storage, directory: string, maker: Maker): void {
  const left = listJournalFiles(storage, directory).making.filter((name) => name.startsWith(`making-${maker}-`));
  for (const name of left) storage.remove(join(directory, name));
  if (left.length > 0) storage.syncDirectory(directory);
}
