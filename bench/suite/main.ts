/**
 * `make bench`: all scenarios, or those that SCENARIOS names. `make bench-quick`: what the README shows, in under two
 * minutes.
 *
 *   node dist/bench/suite/main.js [names…] [--rounds N] [--into FOLDER] [--smoke]
 *   node dist/bench/suite/main.js --quick | --readme | --list | --compare A B
 *
 * --into adds to the result in that folder, so that a long suite can be measured in parts. --readme writes the newest
 * result of --quick into README.md and docs/benchmarks.md.
 */
import { parseArgs } from 'node:util';
import { repositoryRoot } from '../../deploy/repository-root.js';
import { describeMachine, isMemoryFileSystem, readVersions } from '../machine.js';
import { resultFolder, runUntilSignal } from '../run.js';
import { scales } from './bench.js';
import { compareFolders } from './compare.js';
import { isClean, type SuiteResult } from './figures.js';
import { quickCommand, updateDocuments } from './readme.js';
import { readResult, withScenario, writeResult } from './results.js';
import { runSuite } from './run.js';
import { quickScenarios, scenarios } from './scenarios/index.js';
import { renderScenario } from './table.js';

/** Sizes and settings of the servers that a user may have chosen: who repeats the run must choose them too. */
const repeatedVariables = [
  'CARDS',
  'FEED_CHANGES',
  'FEED_AUTHORIZATIONS',
  'FLOOD_CARDS',
  'FLOOD_CHANGES',
  'ENGINES',
  'KILLS',
  'RESTART_SETTLED',
  'RESTART_AUTHORIZATIONS',
  'SETTLE_SECONDS',
  'SETTLE_RATE_MAX',
  'WORKERS',
  'FRONTS',
  'PARTITIONS',
  'JOURNAL',
  'DEADLINE_MS',
  'NODE_OPTIONS',
  'ACCOUNTS_MAX',
  'CARDS_MAX',
  'SEEN_IDS_MAX',
  'MAX_IN_FLIGHT',
];

function commandOf(names: readonly string[], rounds: string | undefined): string {
  const quoted = (value: string) => (/^[\w.-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`);
  const chosen = repeatedVariables.flatMap((name) => {
    const value = process.env[name];
    return value === undefined || value === '' ? [] : [`${name}=${quoted(value)}`];
  });
  return [
    ...chosen,
    'make bench',
    ...(names.length > 0 ? [`SCENARIOS="${names.join(' ')}"`] : []),
    ...(rounds === undefined ? [] : [`ROUNDS=${rounds}`]),
  ].join(' ');
}

await runUntilSignal(async (signal) => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      into: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      readme: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      compare: { type: 'boolean', default: false },
    },
  });
  const write = (text: string) => void process.stdout.write(`${text}\n`);
  if (values.compare) return compareFolders(positionals, write);
  if (values.readme) {
    write(`README.md and docs/benchmarks.md show ${(await updateDocuments()).join(' and ')}`);
    return 0;
  }
  if (values.list) {
    for (const { name, title } of scenarios) write(`${name.padEnd(16)} ${title}`);
    write(
      '\nSizes: CARDS (memory), RESTART_SETTLED and RESTART_AUTHORIZATIONS (restart), SETTLE_SECONDS and\n' +
        'SETTLE_RATE_MAX (settle-rate), FEED_CHANGES and FEED_AUTHORIZATIONS a second (feed), FLOOD_CARDS and\n' +
        'FLOOD_CHANGES of each (flood), ENGINES and KILLS (cluster), as in\n' +
        '  make bench SCENARIOS="memory restart" CARDS=1000000 RESTART_SETTLED=10000000',
    );
    return 0;
  }
  const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) {
    write(`no scenario is named ${unknown.join(' or ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`);
    return 2;
  }
  const named = scenarios.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const chosen = values.quick ? quickScenarios : named;
  const base = scales[values.quick ? 'quick' : values.smoke ? 'smoke' : 'full'];
  const command = values.quick ? quickCommand : commandOf(positionals, values.rounds);
  const roundCount = values.rounds === undefined ? base.roundCount : Number(values.rounds);
  if (!Number.isInteger(roundCount) || roundCount < 1 || roundCount > 100) {
    write('--rounds must be an integer from 1 to 100');
    return 2;
  }
  const machine = await describeMachine();
  const folder = values.into ?? resultFolder(machine);
  const earlier = await readResult(folder);
  if (earlier !== null && earlier.machine.commit !== machine.commit) {
    write(`${folder} was measured at commit ${earlier.machine.commit}, this is ${machine.commit}: choose a new folder`);
    return 2;
  }
  let result: SuiteResult = earlier ?? {
    machine,
    versions: await readVersions(),
    command,
    warnings: [
      ...(values.smoke ? ['A smoke run: it proves that the scenarios run, its figures mean nothing.'] : []),
      ...((await isMemoryFileSystem(repositoryRoot()))
        ? ['The journal stood in a file system in memory, where a sync costs nothing.']
        : []),
    ],
    scenarios: [],
  };
  await runSuite({
    scenarios: chosen,
    scale: { ...base, roundCount },
    write,
    signal,
    async onResult(scenario) {
      const repeat = values.quick ? command : commandOf([scenario.name], values.rounds);
      result = withScenario(result, { ...scenario, command: repeat });
      await writeResult(folder, result);
      write(`\n${renderScenario(scenario)}`);
    },
  });
  write(folder);
  const samples = result.scenarios.flatMap(({ series }) => series.flatMap((one) => one.samples));
  // What is invalid is marked and says nothing; what went wrong fails the run.
  return samples.some((sample) => sample.invalid === null && !isClean(sample)) ? 1 : 0;
});
