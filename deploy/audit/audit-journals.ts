/**
 * Compares the journals of a folder with the books. Each record that Postgres settled must equal, byte for byte, the
 * journal's record with the same number. No record may be in the journal alone once another engine has taken the
 * ledger. Changes nothing; an engine may be running.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import { replayJournal } from '../../workers/journal/journal-reader.js';
import { listJournalFiles, partitionDirectory, segmentName } from '../../workers/journal/segment-files.js';
import { SegmentReader } from '../../workers/journal/segment-reader.js';
import { FileStorage } from '../../workers/journal/storage.js';

export interface JournalAudit {
  /** What is wrong, one line each. */
  readonly findings: readonly string[];
  /** What is no fault: one line for each partition with records that are not settled yet. */
  readonly notes: readonly string[];
}

interface Position {
  readonly partition: number;
  readonly partitionCount: number;
  readonly sequence: number;
  /** The journal that the partition has now. */
  readonly journal: string;
}

interface JournalEnd {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly epoch: number;
}

const storage = new FileStorage();
const readaheadBytes = 1 << 20;
/** Records compared by one query. */
const pageRecords = 5000;
/** Lines about records of one partition. */
const linesMax = 3;
/** A running engine retires segments while they are read. */
const attemptsMax = 5;

/** @param root folder of all partitions' journals; one that is not there has nothing to compare */
export async function auditJournals(sql: postgres.Sql, root: string): Promise<JournalAudit> {
  const findings: string[] = [];
  const notes: string[] = [];
  const [identity] = await sql<{ id: string }[]>`select id::text as id from ledger_identity`;
  const ledger = ledgerOf(root);
  if (ledger !== '' && ledger !== identity?.id) {
    findings.push(
      `${root}: the journals belong to ledger ${ledger}, the database is ledger ${identity?.id ?? 'unknown'}`,
    );
  }
  const partitions = storage.list(root).flatMap((name) => (/^p\d+$/.test(name) ? [Number(name.slice(1))] : []));
  for (const partition of partitions.sort((a, b) => a - b)) {
    for (let attempt = 1; ; attempt++) {
      try {
        const found = await auditJournal(sql, root, partition);
        findings.push(...found.findings);
        notes.push(...found.notes);
        break;
      } catch (error) {
        if (attempt < attemptsMax) continue;
        findings.push(`partition ${partition}: ${(error as Error).message}`);
        break;
      }
    }
  }
  return { findings, notes };
}

async function auditJournal(sql: postgres.Sql, root: string, partition: number): Promise<JournalAudit> {
  const directory = partitionDirectory(root, partition);
  // Before the journal is read: what is settled by now must be in it, or has left it with its segment.
  const [position] = await sql<Position[]>`
    select partition, partition_count as "partitionCount", sequence::float8 as sequence, journal
    from journal_positions where partition = ${partition}`;
  const [ledger] = await sql<{ epoch: number; holder: string }[]>`
    select epoch::float8 as epoch, holder::text as holder from writer_epochs where scope = 'ledger'`;
  const end = findEnd(directory);
  const findings: string[] = [];
  const notes: string[] = [];
  if (end === null) return { findings, notes };
  const { firstSequence, lastSequence, epoch } = end;
  const settled = position?.sequence ?? 0;
  const name = `partition ${partition} (${directory})`;
  // A folder that was left when the journal moved into Postgres ends where that begins.
  if (settled > lastSequence && position?.journal !== 'postgres') {
    findings.push(`${name}: Postgres has settled record ${settled}, the journal ends with record ${lastSequence}`);
  }
  if (settled < firstSequence - 1) {
    findings.push(`${name}: records ${settled + 1} to ${firstSequence - 1} are neither settled nor in the journal`);
  }
  if (epoch > (ledger?.epoch ?? 0)) {
    findings.push(`${name}: the journal was written under epoch ${epoch}, the ledger stands at ${ledger?.epoch ?? 0}`);
  }
  if (lastSequence > settled) {
    const tail = `${name}: records ${settled + 1} to ${lastSequence} are in the journal and not settled`;
    if (ledger === undefined || leasesOf(root).includes(ledger.holder)) notes.push(`${tail} yet`);
    else findings.push(`${tail}, and another engine has the ledger since: what they approved is unknown to it`);
  }
  if (position !== undefined) {
    findings.push(
      ...(await compareRecords(sql, name, directory, position, firstSequence, Math.min(settled, lastSequence))),
    );
  }
  return { findings, notes };
}

/** Walks the frames to the last one that is whole. Null when there is no segment. */
function findEnd(directory: string): JournalEnd | null {
  const { segments } = listJournalFiles(storage, directory);
  if (segments.length === 0) return null;
  let firstSequence = 0;
  let [lastSequence, epoch] = [0, 0];
  for (const number of segments) {
    const reader = SegmentReader.open(storage, join(directory, segmentName(number)), number, readaheadBytes);
    try {
      if (firstSequence === 0) firstSequence = reader.header.firstSequence;
      else if (reader.header.firstSequence !== lastSequence + 1) {
        throw new Error(`${reader.path} begins with record ${reader.header.firstSequence}, not ${lastSequence + 1}`);
      }
      while (reader.read() === 'frame');
      lastSequence = reader.sequence - 1;
      epoch = Math.max(epoch, reader.epoch);
    } finally {
      reader.close();
    }
  }
  return { firstSequence, lastSequence, epoch };
}

/** @returns a line for each of the first records that differ, and how many there are */
async function compareRecords(
  sql: postgres.Sql,
  name: string,
  directory: string,
  { partition, partitionCount }: Position,
  firstSequence: number,
  lastSequence: number,
): Promise<string[]> {
  const lines: string[] = [];
  let count = 0;
  for (let from = firstSequence; from <= lastSequence; from += pageRecords) {
    const to = Math.min(lastSequence, from + pageRecords - 1);
    const rows = await sql<{ sequence: string; record: Buffer }[]>`
      select sequence, record from transaction_events
      where partition = ${partition} and sequence between ${from} and ${to}
      union all select sequence, record from quarantined_records
      where partition = ${partition} and sequence between ${from} and ${to}`;
    const settled = new Map(rows.map(({ sequence, record }) => [Number(sequence), record]));
    const place = { storage, directory, partition, partitionCount };
    replayJournal(place, from, to, (bytes, view, offset, sequence) => {
      const record = settled.get(sequence);
      if (record?.equals(bytes.subarray(offset, offset + view.getUint16(offset, true)))) return;
      const what = record === undefined ? 'is settled without an event' : 'is not the record that Postgres settled';
      if (++count <= linesMax) lines.push(`${name}: record ${sequence} of the journal ${what}`);
    });
  }
  if (count > linesMax) lines.push(`${name}: ${count} records of the journal differ from what Postgres settled`);
  return lines;
}

/** The ledger that the journals were written for (engine/writer/journal-ledger.ts); '' when the folder does not say. */
function ledgerOf(root: string): string {
  try {
    return readFileSync(join(root, 'ledger'), 'utf8').trim();
  } catch {
    return '';
  }
}

/** The leases that were asked for under the lock of this journal (engine/writer/journal-lock.ts). */
function leasesOf(root: string): readonly string[] {
  try {
    const { leases } = JSON.parse(readFileSync(join(root, 'engine.lock'), 'utf8')) as { leases?: unknown };
    return Array.isArray(leases) ? leases : [];
  } catch {
    return [];
  }
}
