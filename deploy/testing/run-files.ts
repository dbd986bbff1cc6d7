/**
 * Runs test files, several side by side, each in a process of its own that plain `node` starts. tap's own runner would
 * send every module of the file, its threads and its processes through a loader thread, for coverage and mocks that no
 * test here uses. That takes three times the CPU where a test starts engines.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { endedChildrenCpuMs } from './children-cpu.js';
import { TapReader, type TestFile } from './tap-results.js';

export interface RunOptions {
  /** The files' names and their processes' folder begin here. */
  readonly root: string;
  /** As many files as may run at once. */
  readonly jobs: number;
  readonly env: Readonly<Record<string, string>>;
  /** Keeps each file's whole output in this folder. */
  readonly results: string;
  /** How long a file's tests may take, unless the file asks tap for another time. */
  readonly secondsOf: (file: string) => number;
  /** A process that lasts longer is ended, whatever its file asked for, and its file has failed. */
  readonly processMsMax: number;
  /** Called with each file as soon as it has ended. */
  readonly onFile?: (file: TestFile) => void;
}

/** After tap had this long to say what its process was waiting for. */
const killAfterMs = 10_000;

/** Starts the files in their order. */
export async function runFiles(files: readonly string[], options: RunOptions): Promise<TestFile[]> {
  // What ran before belongs to no file.
  countedMs = endedChildrenCpuMs();
  const waiting = files.values();
  const ended: TestFile[] = [];
  const runNext = async (): Promise<void> => {
    for (const file of waiting) {
      const result = await runFile(file, options);
      ended.push(result);
      options.onFile?.(result);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, runNext));
  return ended;
}

async function runFile(file: string, { root, secondsOf, processMsMax, env, results }: RunOptions): Promise<TestFile> {
  const startedAtMs = performance.now();
  const path = join(results, `${file}.tap`);
  mkdirSync(dirname(path), { recursive: true });
  const kept = createWriteStream(path);
  const reader = new TapReader(file);
  // Without --enable-source-maps, which reads the map of each module: failureText reads those of a failure's places.
  const child = spawn(process.execPath, [file], {
    cwd: root,
    env: { ...process.env, ...env, TAP_TIMEOUT: String(secondsOf(file)) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const cpu = cpuAtExit(child);
  const closed = once(child, 'close') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  const giveUp = endAfter(processMsMax, child);
  for await (const line of createInterface({ input: child.stdout })) {
    kept.write(`${line}\n`);
    reader.read(line);
  }
  const [code, signal] = await closed;
  giveUp();
  kept.end();
  return reader.end({ code, signal, durationMs: performance.now() - startedAtMs, cpuMs: await cpu });
}

/** The last sum that is part of a file's CPU already. */
let countedMs = 0;

/** What the child adds to the sum when it ends. Two that end in the same instant count as the first of them. */
async function cpuAtExit(child: ChildProcess): Promise<number> {
  await once(child, 'exit');
  const sumMs = endedChildrenCpuMs();
  const cpuMs = sumMs - countedMs;
  countedMs = sumMs;
  return cpuMs;
}

/** tap answers SIGALRM with what keeps the process alive. @returns takes it back */
function endAfter(ms: number, child: ChildProcess): () => void {
  let timer = setTimeout(() => {
    child.kill('SIGALRM');
    timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  }, ms);
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  return () => {
    clearTimeout(timer);
    process.removeListener('exit', killWithUs);
  };
}
