/**
 * What a journal in Postgres leaves behind: WAL and disk for each authorization, and rows that are dead, minute by
 * minute. Three engines behind nginx at a moderate rate; MINUTES says for how long, BLOAT_RATE how many a second.
 */
import postgres from 'postgres';
import { sizeFromEnvironment } from '../../run.js';
import { goal, measure, plainTraffic, rate, type Scenario } from '../bench.js';
import { connectionCount, makeGroup, settled, startWarm, written } from '../engines.js';
import type { Sample } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

/** Dead rows beside those that live; autovacuum starts at a fifth by default. */
const deadShareMax = 0.5;

export const bloat: Scenario = {
  name: 'bloat',
  title: 'WAL, disk and dead rows of several engines over minutes',
  seconds: 700,
  engine: 'any',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const engineCount = sizeFromEnvironment('ENGINES', 3);
    const minutes = isSmoke ? 1 : sizeFromEnvironment('MINUTES', 10);
    const perSecond = sizeFromEnvironment('BLOAT_RATE', 1000);
    const group = await makeGroup(bench);
    await startWarm(bench, group, engineCount);
    const sql = postgres(group.databaseUrl, { max: 1, onnotice: () => undefined });
    const samples: Sample[] = [];
    const tables: string[] = [];
    try {
      await settled(group);
      let before = { ...(await written(sql, group)), ...(await stored(sql)) };
      for (let minute = 1; minute <= minutes; minute++) {
        const measurement = await measure(bench, group.target, {
          pace: rate(bench, perSecond),
          connectionCount,
          traffic: plainTraffic(bench),
          // Here the rate is what counts, not each latency.
          lagMsMax: 1000,
          ...(isSmoke ? {} : { durationMs: 60_000 }),
        });
        const after = { ...(await written(sql, group)), ...(await stored(sql)) };
        const decisions = Math.max(1, after.decisions - before.decisions);
        const figures = {
          walBytes: (after.walBytes - before.walBytes) / decisions,
          diskBytes: (after.diskBytes - before.diskBytes) / decisions,
          framesMiB: after.framesBytes / 2 ** 20,
          deadShare: after.deadShare,
        };
        samples.push(withFigures(sampleOf(measurement, { refusalsExpected: true }), figures));
        const { walBytes, diskBytes, framesMiB, deadShare } = figures;
        bench.log(
          `minute ${minute}: ${Math.round(walBytes)} bytes of WAL and ${Math.round(diskBytes)} of disk each, frames ` +
            `${framesMiB.toFixed(1)} MiB, ${(100 * deadShare).toFixed(1)} % of the rows dead`,
        );
        tables.push(`minute ${minute}`, ...after.largest);
        before = after;
      }
    } finally {
      await sql.end({ timeout: 5 });
    }
    await group.stop();
    return {
      settings: { engines: engineCount, minutes, 'authorizations a second': perSecond },
      series: [{ name: 'each minute', control: false, samples }],
      goals: [goal('dead rows stay below half', samples, ({ deadShare = 1 }) => deadShare < deadShareMax)],
      notes: ['Disk grows by whole pages, and frames leave with whole tables: single minutes differ.'],
      details: { 'largest tables, minute by minute': tables.join('\n') },
    };
  },
};

interface TableSize {
  readonly name: string;
  readonly bytes: number;
  readonly live: number;
  readonly dead: number;
  readonly vacuums: number;
}

interface Stored {
  readonly diskBytes: number;
  readonly framesBytes: number;
  readonly deadShare: number;
  readonly largest: readonly string[];
}

/** Sizes and dead rows of all tables, as the server counts them: a second or so late. */
async function stored(sql: postgres.Sql): Promise<Stored> {
  const rows = await sql<TableSize[]>`
    select relname as name, pg_total_relation_size(relid)::float8 as bytes, n_live_tup::float8 as live,
      n_dead_tup::float8 as dead, (vacuum_count + autovacuum_count)::float8 as vacuums
    from pg_stat_user_tables order by bytes desc`;
  const sum = (of: readonly TableSize[], pick: (row: TableSize) => number) =>
    of.reduce((total, row) => total + pick(row), 0);
  const [live, dead] = [sum(rows, (row) => row.live), sum(rows, (row) => row.dead)];
  return {
    diskBytes: sum(rows, ({ bytes }) => bytes),
    framesBytes: sum(
      rows.filter(({ name }) => name.startsWith('journal_frames')),
      ({ bytes }) => bytes,
    ),
    deadShare: dead / Math.max(1, live + dead),
    largest: rows
      .filter(({ name }) => !name.startsWith('journal_frames'))
      .slice(0, 12)
      .map(
        (row) =>
          `  ${row.name}: ${(row.bytes / 2 ** 20).toFixed(1)} MiB, ${row.live} rows, ${row.dead} dead, vacuumed ` +
          `${row.vacuums} times`,
      ),
  };
}
