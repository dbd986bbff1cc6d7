/** What needs no network: a partition's thread alone, and the disk alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { measureDecide } from '../../micro/decide.js';
import { type Measured, measureControl, measureJournal, sampleBatch } from '../../micro/journal.js';
import { measurePartition } from '../../micro/partition.js';
import type { Bench, Scenario } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleFrom } from '../sample.js';

export const pureCore: Scenario = {
  name: 'pure-core',
  title: 'Decisions per second of one partition without network and disk',
  seconds: 15,
  engine: 'any',
  async run({ scale }) {
    const batchCount = scale.name === 'smoke' ? 20 : 4000;
    const decisionCount = scale.name === 'smoke' ? 20_000 : 4_000_000;
    const deciding: Sample[] = [];
    const partition: Sample[] = [];
    const sample = (nsPerDecision: number) => sampleFrom({ perSecond: 1e9 / nsPerDecision, nsPerDecision });
    for (let round = 0; round < scale.roundCount; round++) {
      deciding.push(sample(measureDecide(decisionCount)));
      partition.push(sample(measurePartition(batchCount, 64)));
    }
    return {
      settings: { 'batches of': 64, cards: 10_000 },
      series: [
        { name: 'deciding alone', control: false, samples: deciding },
        { name: 'a whole partition', control: false, samples: partition },
      ],
      goals: [],
      notes: [
        'A whole partition: reading the bytes, finding card and account, deciding, applying, writing the journal ' +
          'record and the answer.',
      ],
    };
  },
};

const recordCounts = [1, 16, 128];

export const disk: Scenario = {
  name: 'disk',
  title: 'The journal beside a loop that only writes and syncs as many bytes',
  seconds: 20,
  engine: 'any',
  async run(bench) {
    const durationMs = bench.scale.name === 'smoke' ? 50 : 1000;
    const series = recordCounts.flatMap((count) => diskSeries(bench, count, durationMs));
    return {
      settings: { 'milliseconds each': durationMs },
      series,
      goals: [],
      notes: ['One append or one write per sync.'],
    };
  },
};

function diskSeries({ scale, stack }: Bench, recordCount: number, durationMs: number): Series[] {
  const control: Sample[] = [];
  const journal: Sample[] = [];
  const root = mkdtempSync(join(stack.dataDir, 'disk-'));
  try {
    const batch = sampleBatch(recordCount);
    for (let round = 0; round < scale.roundCount; round++) {
      control.push(diskSample(measureControl(root, batch, durationMs)));
      journal.push(diskSample(measureJournal(join(root, `journal-${round}`), batch, recordCount, durationMs)));
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  const name = recordCount === 1 ? '1 record' : `${recordCount} records`;
  return [
    { name: `bare fdatasync, ${name}`, control: true, samples: control },
    { name: `journal, ${name}`, control: false, samples: journal },
  ];
}

function diskSample({ appends, elapsedMs, times }: Measured): Sample {
  const sorted = [...times].sort((left, right) => left - right);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return sampleFrom({
    perSecond: (appends * 1000) / elapsedMs,
    p50Ms: at(0.5),
    p90Ms: at(0.9),
    p99Ms: at(0.99),
    p99_9Ms: at(0.999),
    maxMs: sorted.at(-1) ?? 0,
  });
}
