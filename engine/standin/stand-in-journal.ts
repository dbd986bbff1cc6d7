/**
 * The stand-in journal: what the front approved without a partition, on the local disk before the answer leaves. One
 * line a fact: CRC-32, number of the batch, place in the batch, JSON. What waits is written and synced as one batch.
 *
 * A crash may leave any part of the last batch, whose answers have not left: bad lines of it are cut off. Any other bad
 * line stops the start, because it may be an approval that is owed.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** What an operator's disk must have, and what a start reads at most: about 100,000 approvals. */
export const journalBytesMax = 64 * 1024 * 1024;
/** From here on the file is rewritten with what still counts, whenever it has doubled. */
const compactBytesMin = 4 * 1024 * 1024;
const fileName = 'approvals';

/** A line of the journal. */
export type JournalLine =
  | {
      readonly kind: 'approval';
      readonly partition: number;
      /** The record as the partition will have it (engine/core/record.ts), base64. */
      readonly record: string;
      /** The line of its day has it already. */
      readonly isCounted?: true;
      /** It counts for the caps alone: whether it is owed, the database of all engines says. */
      readonly isShared?: true;
    }
  /** The partition has it. */
  | { readonly kind: 'booked'; readonly id: string }
  /** Its client was answered 503: it is not owed. */
  | { readonly kind: 'cancelled'; readonly id: string }
  /** What the approvals of a UTC day come to: the exposure, by card. */
  | {
      readonly kind: 'day';
      readonly day: number;
      readonly count: number;
      readonly cards: readonly (readonly [token: string, amountMinor: number])[];
    };

interface Waiting {
  readonly line: JournalLine;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class StandInJournal {
  readonly #directory: string;
  readonly #lines: () => readonly JournalLine[];
  #file: FileHandle;
  #bytes: number;
  #compactAtBytes: number;
  #queue: Waiting[] = [];
  #isWriting = false;
  #failure = '';
  /** The rewritten lines are batch 0. */
  #batch = 0;

  private constructor(directory: string, file: FileHandle, bytes: number, lines: () => readonly JournalLine[]) {
    this.#directory = directory;
    this.#file = file;
    this.#bytes = bytes;
    this.#compactAtBytes = Math.max(compactBytesMin, 2 * bytes);
    this.#lines = lines;
  }

  /**
   * Opens the journal of a folder that only this process writes to, and makes it when there is none.
   * @param restore takes the lines that it has
   * @param lines what still counts, for a rewrite: of all that append() has resolved, and of nothing else
   * @throws one line for a person when it is damaged or cannot be used
   */
  static async open(
    directory: string,
    restore: (lines: readonly JournalLine[]) => void,
    lines: () => readonly JournalLine[],
  ): Promise<StandInJournal> {
    await mkdir(directory, { recursive: true });
    restore(await readJournal(directory));
    const { file, bytes } = await writeWhole(directory, lines());
    return new StandInJournal(directory, file, bytes, lines);
  }

  /** Why nothing can be written any more until the engine starts again; '' while it can. */
  get failure(): string {
    return this.#failure;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** There is room for another approval. */
  get hasRoom(): boolean {
    return this.#failure === '' && this.#bytes < journalBytesMax;
  }

  /** Resolves when the line is on disk. Rejects when what the disk did with it is unknown. */
  append(line: JournalLine): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) await this.#writeOnce();
    this.#isWriting = false;
  }

  async #writeOnce(): Promise<void> {
    const batch = this.#queue;
    this.#queue = [];
    try {
      if (this.#failure !== '') throw new Error(this.#failure);
      this.#batch++;
      const bytes = Buffer.from(batch.map(({ line }, index) => textOf(line, this.#batch, index)).join(''));
      await writeAt(this.#file, bytes, this.#bytes);
      await this.#file.datasync();
      this.#bytes += bytes.length;
    } catch (error) {
      await this.#fail((error as Error).message);
      for (const { reject } of batch) reject(error as Error);
      return;
    }
    for (const { resolve } of batch) resolve();
    if (this.#bytes < this.#compactAtBytes) return;
    // Those that wait for the batch go first: what still counts is known when they have gone on.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#compact();
  }

  /** What a failed write or sync left on the disk is unknown: it is taken back where the disk lets it. */
  async #fail(message: string): Promise<void> {
    this.#failure = message;
    await this.#file.truncate(this.#bytes).catch(() => undefined);
  }

  async #compact(): Promise<void> {
    try {
      const { file, bytes } = await writeWhole(this.#directory, this.#lines());
      await this.#file.close();
      this.#file = file;
      this.#bytes = bytes;
      this.#batch = 0;
      this.#compactAtBytes = Math.max(compactBytesMin, 2 * bytes);
    } catch (error) {
      this.#failure = (error as Error).message;
    }
  }

  /** Resolves when all that was given is written. */
  async close(): Promise<void> {
    while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve));
    this.#failure ||= 'the stand-in journal is closed';
    await this.#file.close();
  }
}

/**
 * The lines of the journal in a folder, none where there is no journal.
 * @throws one line for a person when it is damaged
 */
export async function readJournal(directory: string): Promise<readonly JournalLine[]> {
  const path = join(directory, fileName);
  const content = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
  return readLines(content, path);
}

function textOf(line: JournalLine, batch: number, index: number): string {
  const text = `${batch} ${index} ${JSON.stringify(line)}`;
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
}

interface ReadLine {
  readonly line: JournalLine;
  readonly batch: number;
  readonly index: number;
}

/** @returns null for a line that is not as it was written */
function readLine(text: string): ReadLine | null {
  const [, crc, rest, batch, index, json] = /^([0-9a-f]{8}) (([0-9]+) ([0-9]+) (.*))$/s.exec(text) ?? [];
  if (rest === undefined || Number.parseInt(crc!, 16) !== crc32(rest)) return null;
  return { line: JSON.parse(json!) as JournalLine, batch: Number(batch), index: Number(index) };
}

function readLines(content: Buffer, path: string): readonly JournalLine[] {
  const texts = content.toString('utf8').split('\n');
  const read = texts.map(readLine);
  const last = read.findLast((line) => line !== null);
  for (const [at, line] of read.entries()) {
    if (line !== null) continue;
    const next = read.slice(at + 1).find((later) => later !== null);
    // Behind a line of the last batch that is not its first one stands only that batch.
    const isCut = next === undefined || (next.index > 0 && next.batch > 0 && next.batch === last?.batch);
    if (isCut) continue;
    throw new Error(
      `the stand-in journal ${path} is damaged in line ${at + 1}: restore it, or move it away and book by hand what ` +
        'it has (docs/standin.md)',
    );
  }
  return read.flatMap((line) => (line === null ? [] : [line.line]));
}

/** Puts a new file in the place of the journal. @returns the open file */
async function writeWhole(directory: string, lines: readonly JournalLine[]) {
  const path = join(directory, fileName);
  const bytes = Buffer.from(lines.map((line, index) => textOf(line, 0, index)).join(''));
  const { O_CREAT, O_RDWR, O_TRUNC } = constants;
  const file = await open(`${path}.new`, O_RDWR | O_CREAT | O_TRUNC, 0o600);
  try {
    await writeAt(file, bytes, 0);
    await file.sync();
    await rename(`${path}.new`, path);
    const folder = await open(directory, 'r');
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    await file.close();
    throw error;
  }
  return { file, bytes: bytes.length };
}

async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}
