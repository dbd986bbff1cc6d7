/**
 * What the journal costs on this disk: batches of about 250-byte records, one append each. The control of the same run
 * only writes and syncs the same number of bytes into a preallocated file. Rounds alternate, so that both see the same
 * neighbours. Every journal is read back and checked after it was timed.
 *
 *   node dist/bench/micro/journal.js [milliseconds per measurement = 1500] [rounds = 3]
 */
import { closeSync, fdatasyncSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createProgress } from '../../engine/exchange/progress.js';
import { journalSizesDefault, openJournal } from '../../workers/journal/journal.js';
import { replayJournal } from '../../workers/journal/journal-reader.js';
import { frameBytesFor } from '../../workers/journal/segment.js';
import { FileStorage } from '../../workers/journal/storage.js';
import { isMain } from '../run.js';

const recordBytes = 250;
const batches = [1, 16, 128, 1024];

export interface Measured {
  readonly appends: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  /** Milliseconds of each append or write-and-sync. */
  readonly times: number[];
}

/** Records of 200 to 300 bytes that look like records: a length, some zeros, some text. */
export function sampleBatch(count: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const length = recordBytes - 50 + ((index * 37) % 101);
    const bytes = new Uint8Array(length);
    for (let at = 2; at < length; at++) bytes[at] = at % 8 < 3 || at > 176 ? (at * 31 + index) & 255 : 0;
    new DataView(bytes.buffer).setUint16(0, length, true);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

export function measureJournal(root: string, batch: Uint8Array, count: number, durationMs: number): Measured {
  const storage = new FileStorage();
  const progress = createProgress(1).partitions[0]!;
  const place = { storage, directory: join(root, 'p0'), partition: 0, partitionCount: 1 };
  const { writer } = openJournal({ ...place, sizes: journalSizesDefault, progress, settledSequence: 0, epoch: 1 });
  const times: number[] = [];
  const startMs = performance.now();
  let nowMs = startMs;
  let rollMs = 0;
  while (nowMs - startMs - rollMs < durationMs) {
    // Rolling without a spare writes 64 MiB: the shipper's work in the engine, so it is not counted here.
    if (!writer.reserve(batch.length)) break;
    const beganMs = performance.now();
    rollMs += beganMs - nowMs;
    writer.frame.set(batch, writer.recordsStart);
    writer.append(writer.recordsStart + batch.length, count, 1000);
    nowMs = performance.now();
    times.push(nowMs - beganMs);
  }
  writer.close();
  const found = replayJournal(place, 1, writer.lastSequence, () => undefined);
  if (found !== times.length * count) throw new Error(`appended ${times.length * count} records, read ${found}`);
  rmSync(root, { recursive: true });
  return {
    appends: times.length,
    bytes: times.length * frameBytesFor(batch.length),
    elapsedMs: nowMs - startMs - rollMs,
    times,
  };
}

export function measureControl(root: string, batch: Uint8Array, durationMs: number): Measured {
  const path = join(root, 'control');
  const file = openSync(path, 'w');
  const fileBytes = journalSizesDefault.segmentBytes;
  const zeros = new Uint8Array(1 << 20);
  for (let at = 0; at < fileBytes; at += zeros.length) writeSync(file, zeros, 0, zeros.length, at);
  fsyncSync(file);
  const bytes = new Uint8Array(frameBytesFor(batch.length)).fill(7);
  const times: number[] = [];
  const startMs = performance.now();
  let nowMs = startMs;
  for (let offset = 0; nowMs - startMs < durationMs; offset += bytes.length) {
    if (offset + bytes.length > fileBytes) offset = 0;
    const beganMs = nowMs;
    writeSync(file, bytes, 0, bytes.length, offset);
    fdatasyncSync(file);
    nowMs = performance.now();
    times.push(nowMs - beganMs);
  }
  closeSync(file);
  rmSync(path);
  return { appends: times.length, bytes: times.length * bytes.length, elapsedMs: nowMs - startMs, times };
}

function row(name: string, count: number, { appends, bytes, elapsedMs, times }: Measured): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(3);
  const perSecond = (appends * 1000) / elapsedMs;
  const cells = [
    perSecond.toFixed(0),
    (perSecond * count).toFixed(0),
    (bytes / elapsedMs / 1000).toFixed(1),
    at(0.5),
    at(0.99),
    at(0.999),
  ];
  return `${name.padEnd(9)}${String(count).padStart(6)}${cells.map((cell) => cell.padStart(11)).join('')}`;
}

function main(durationMs: number, rounds: number): void {
  const scratch = mkdtempSync(join(process.cwd(), '.data-bench-journal-'));
  try {
    console.log(
      `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, ${durationMs} ms each, ` +
        `${rounds} rounds`,
    );
    console.log('            batch  appends/s  records/s       MB/s     p50 ms     p99 ms   p99.9 ms');
    for (let round = 0; round < rounds; round++) {
      for (const count of batches) {
        const batch = sampleBatch(count);
        console.log(row('control', count, measureControl(scratch, batch, durationMs)));
        const root = join(scratch, `${round}-${count}`);
        console.log(row('journal', count, measureJournal(root, batch, count, durationMs)));
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (isMain(import.meta.url)) main(Number(process.argv[2] ?? 1500), Number(process.argv[3] ?? 3));
