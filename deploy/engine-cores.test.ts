import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { HalfOfCores, keepAnswersApart } from './engine-cores.js';
import { allowedCores } from './postgres/postgres-cores.js';
import { backgroundCores, coresOf } from './postgres/postgres-priority.js';

const ordinary = { ranShare: 0.56, wantedShareMax: 0.5 };

t.test('half of the cores is enough behind three calm looks, and until answering fills it', async (t) => {
  const half = new HalfOfCores();
  t.same(
    [1, 2, 3, 4].map(() => half.look(ordinary)),
    [false, false, true, true],
  );
  t.equal(half.look({ ranShare: 0.8, wantedShareMax: 0.9 }), true, 'it would not begin with so much');
  t.equal(half.look({ ranShare: 0.9, wantedShareMax: 0.9 }), false);
  t.equal(half.look({ ranShare: 0.8, wantedShareMax: 0.9 }), false);
});

t.test('a thread that always wants a core lacks one, also where other programs have it', async (t) => {
  const half = new HalfOfCores();
  for (let look = 0; look < 3; look++) half.look(ordinary);
  t.equal(half.look({ ranShare: 0.3, wantedShareMax: 0.98 }), false);
});

t.test('where the half is not enough again and again, it is tried less and less often', async (t) => {
  const half = new HalfOfCores();
  const lacking = { ranShare: 0.3, wantedShareMax: 0.98 };
  const looksUntilEnough = (): number => {
    let looks = 1;
    while (!half.look(ordinary)) looks++;
    half.look(lacking);
    return looks;
  };
  t.same([1, 2, 3, 4, 5, 6, 7].map(looksUntilEnough), [3, 6, 12, 24, 48, 60, 60]);
  for (let look = 0; look < 61; look++) half.look(ordinary);
  half.look(lacking);
  t.equal(looksUntilEnough(), 6, 'after a calm minute it is as at first');
});

/** A process with threads named as an engine's. On a line of its input its main thread is busy until the next one. */
const standIn = `
  const { Worker } = require('node:worker_threads');
  const { writeFileSync } = require('node:fs');
  const named = \`require('node:fs').writeFileSync('/proc/thread-self/comm', process.argv[2]);
    require('node:worker_threads').parentPort.on('message', () => undefined).postMessage(0);\`;
  const workers = ['afc-worker-0', 'afc-shipper-0'].map((name) => new Worker(named, { eval: true, argv: [name] }));
  Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve)))).then(() =>
    writeFileSync(1, 'ready'));
  let isBusy = false;
  const spin = () => {
    for (const endMs = Date.now() + 20; isBusy && Date.now() < endMs; );
    if (isBusy) setImmediate(spin);
  };
  process.stdin.on('data', () => {
    isBusy = !isBusy;
    spin();
  });
`;

function coresByName(pid: number): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${id}/comm`, 'latin1').trim();
    found[id === String(pid) ? 'main' : name] = allowedCores(`${pid}/task/${id}`);
  }
  return found;
}

const ourNames = ['main', 'afc-worker-0', 'afc-shipper-0'];

async function untilCores(pid: number, wanted: readonly string[]): Promise<readonly (string | undefined)[]> {
  for (;;) {
    const found = coresByName(pid);
    const ours = ourNames.map((name) => found[name]);
    if (ours.every((cores, index) => cores === wanted[index])) return ours;
    await delay(20);
  }
}

t.test('threads that answer leave the cores of Postgres, and get all of them under load', async (t) => {
  const behind = await backgroundCores();
  const all = coresOf(allowedCores('self'));
  if (behind.length === 0) {
    t.pass('Postgres is kept to no half of the cores here');
    return;
  }
  const free = all.filter((core) => !behind.includes(core));
  const child = spawn(process.execPath, ['--eval', standIn], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const end = await keepAnswersApart(() => child.pid!, 50);
  t.teardown(end);
  // As Linux writes a list of cores, which it makes short.
  const listOf = (cores: readonly number[]) =>
    spawnSync('taskset', ['--cpu-list', cores.join(','), 'cat', '/proc/self/status']);
  const named = (cores: readonly number[]) => /^Cpus_allowed_list:\s*(\S+)$/m.exec(String(listOf(cores).stdout))![1]!;
  const apart = [named(free), named(free), named(behind)];
  t.same(await untilCores(child.pid!, apart), apart);
  child.stdin.write('busy');
  const together = ourNames.map(() => named(all));
  t.same(await untilCores(child.pid!, together), together);
  child.stdin.write('calm');
  t.same(await untilCores(child.pid!, apart), apart);
  await end();
  t.same(await untilCores(child.pid!, together), together, 'its end gives all cores again');
});
