/**
 * `make bench-compare A B`: each a folder of bench/results (a name or a path), or several joined by commas.
 * Results of different machines are not compared: their differences say nothing about the code.
 */
import { isAbsolute, join } from 'node:path';
import { resultsRoot } from '../run.js';
import { compareResults, differentSettings, renderChanges } from './compare.js';
import type { SuiteResult } from './figures.js';
import { readResult } from './results.js';

async function read(list: string): Promise<SuiteResult[]> {
  return Promise.all(
    list.split(',').map(async (name) => {
      const folder = isAbsolute(name) || name.startsWith('.') ? name : join(resultsRoot(), name);
      const result = (await readResult(folder)) ?? (await readResult(name));
      if (result === null) throw new Error(`no result of \`make bench\` in ${folder}`);
      return result;
    }),
  );
}

const [before, after] = process.argv.slice(2).filter((argument) => argument !== '');
if (before === undefined || after === undefined) {
  process.stderr.write(
    'usage: make bench-compare A B, with folders of bench/results; several runs a side: A1,A2 B1,B2\n',
  );
  process.exitCode = 2;
} else {
  try {
    const sides = [await read(before), await read(after)] as const;
    const cpus = new Set(sides.flat().map(({ machine }) => `${machine.cpu}, ${machine.coreCount} cores`));
    if (cpus.size > 1)
      process.stdout.write(`Not the same machine: ${[...cpus].join(' and ')}. Believe no difference.\n\n`);
    const others = differentSettings(...sides);
    if (others.length > 0) process.stdout.write(`Not compared, for their settings differ: ${others.join(', ')}.\n\n`);
    process.stdout.write(renderChanges(compareResults(...sides)));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
