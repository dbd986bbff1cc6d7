/**
 * Compares the journal in Postgres (JOURNAL=postgres) with the books. Positions and records follow each other without a
 * gap, and no frame has changed. Each owner of a partition begins with a takeover frame and a higher epoch, and none
 * has an epoch above that of the partition's lease. What is settled is what the frames say, byte for byte.
 */
import { crc32c } from '@node-rs/crc32';
import type postgres from 'postgres';
import { partitionScope } from '../../engine/core/writer-fence.js';
import type { JournalAudit } from './audit-journals.js';

/** Read at once: small frames are a few hundred bytes, the largest 4 MiB. */
const pageFrames = 100;
/** Lines about one partition. */
const linesMax = 3;

interface Frame {
  readonly position: number;
  readonly epoch: number;
  readonly holder: string;
  readonly first: number;
  readonly count: number;
  readonly checksum: number;
  readonly records: Buffer;
}

export async function auditFrames(sql: postgres.Sql): Promise<JournalAudit> {
  const findings: string[] = [];
  const notes: string[] = [];
  // One snapshot: what is settled by then is in the frames or has left with its table.
  await sql.begin('isolation level repeatable read read only', async (snapshot) => {
    // Before the snapshot is taken: no table may leave while it is read.
    await snapshot`lock table journal_frames in access share mode`;
    const positions = await snapshot<{ partition: number; settled: number }[]>`
      select partition, sequence::float8 as settled from journal_positions
      where journal = 'postgres' order by partition`;
    for (const { partition, settled } of positions) {
      const lines: string[] = [];
      const find = (line: string) => lines.push(line);
      const last = await auditPartition(snapshot, partition, settled, find);
      await auditEpochs(snapshot, partition, find);
      findings.push(...lines.slice(0, linesMax).map((line) => `partition ${partition}: ${line}`));
      if (lines.length > linesMax) findings.push(`partition ${partition}: ${lines.length} findings in journal_frames`);
      if (last > settled) {
        notes.push(`partition ${partition}: records ${settled + 1} to ${last} are in the journal and not settled yet`);
      }
    }
  });
  return { findings, notes };
}

/** @returns the sequence of the last record in the frames; `settled` where there are none */
async function auditPartition(
  sql: postgres.TransactionSql,
  partition: number,
  settled: number,
  find: (line: string) => void,
): Promise<number> {
  let before: Frame | null = null;
  for (;;) {
    const frames: Frame[] = await sql<Frame[]>`
      select position::float8 as position, epoch::float8 as epoch, holder::text as holder,
        first_sequence::float8 as first, record_count as count, checksum::float8 as checksum, records
      from journal_frames where partition = ${partition} and position > ${before?.position ?? 0}
      order by position limit ${pageFrames}`;
    if (frames.length === 0) break;
    for (const frame of frames) {
      if (before === null) {
        if (frame.first > settled + 1) find(`records ${settled + 1} to ${frame.first - 1} are in no frame`);
      } else {
        if (frame.position !== before.position + 1) find(`frame ${before.position + 1} is missing`);
        if (frame.first !== before.first + before.count) find(`frame ${frame.position} does not follow the one before`);
        const isNewOwner = frame.epoch !== before.epoch || frame.holder !== before.holder;
        if (frame.epoch < before.epoch) find(`frame ${frame.position} is of an owner that was replaced before it`);
        else if (isNewOwner && frame.count > 0) find(`frame ${frame.position} is of an owner that took nothing over`);
      }
      before = frame;
    }
    await compareFrames(sql, partition, settled, frames, find);
  }
  const last = before === null ? settled : before.first + before.count - 1;
  if (last < settled) find(`record ${settled} is settled, and the frames end with record ${last}`);
  return last;
}

interface Epochs {
  /** Of the newest frame. */
  readonly frame: number | null;
  /** Of the newest claim; null where the partition was never claimed by itself. */
  readonly lease: number | null;
  readonly fence: number | null;
  /** Of engines that had all partitions. */
  readonly ledger: number | null;
}

/** A claim gives the lease and the fence one epoch, and a takeover comes behind it. */
async function auditEpochs(
  sql: postgres.TransactionSql,
  partition: number,
  find: (line: string) => void,
): Promise<void> {
  const [row] = await sql<Epochs[]>`
    select
      (select epoch::float8 from journal_frames where partition = ${partition} order by position desc limit 1) as frame,
      (select epoch::float8 from partition_leases where partition = ${partition} and epoch > 0) as lease,
      (select epoch::float8 from writer_epochs where scope = ${partitionScope(partition)}) as fence,
      (select epoch::float8 from writer_epochs where scope = 'ledger') as ledger`;
  const { frame, lease, fence, ledger } = row!;
  if (lease !== fence) find(`its lease has epoch ${lease ?? 'none'}, and its fence ${fence ?? 'none'}`);
  const newest = Math.max(lease ?? 0, ledger ?? 0);
  if (frame !== null && newest > 0 && frame > newest) find(`its frames have epoch ${frame}, and its lease ${newest}`);
}

async function compareFrames(
  sql: postgres.TransactionSql,
  partition: number,
  settled: number,
  frames: readonly Frame[],
  find: (line: string) => void,
): Promise<void> {
  const last = frames.at(-1)!;
  const to = Math.min(settled, last.first + last.count - 1);
  const rows = await sql<{ sequence: number; record: Buffer }[]>`
    select sequence::float8 as sequence, record from transaction_events
    where partition = ${partition} and sequence between ${frames[0]!.first} and ${to}
    union all select sequence::float8, record from quarantined_records
    where partition = ${partition} and sequence between ${frames[0]!.first} and ${to}`;
  const events = new Map(rows.map(({ sequence, record }) => [sequence, record]));
  for (const { position, first, count, checksum, records } of frames) {
    if (count > 0 && crc32c(records) !== checksum) {
      find(`frame ${position} is not what was written`);
      continue;
    }
    for (let sequence = first, offset = 0; sequence < first + count && sequence <= to; sequence++) {
      const end = offset + records.readUInt16LE(offset);
      const event = events.get(sequence);
      if (event === undefined) find(`record ${sequence} is settled without an event`);
      else if (!event.equals(records.subarray(offset, end))) find(`record ${sequence} is not what Postgres settled`);
      offset = end;
    }
  }
}
