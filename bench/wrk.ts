/**
 * The same rounds with wrk, when it is installed: a generator that is not ours, as a cross-check of the ratio. It sends
 * the same message with ids of its own; it does not check answers.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UniformMessage } from './load/uniform.js';

const run = promisify(execFile);

export interface WrkOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly credentials: { readonly user: string; readonly password: string } | null;
  readonly idPrefix: string;
  readonly cardCount: number;
  readonly connectionCount: number;
  /** Whole seconds: wrk takes no fraction. */
  readonly durationSeconds: number;
  /** Folder for the script. */
  readonly folder: string;
}

export interface WrkResult {
  readonly answersPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Connection errors, timeouts and answers other than 2xx and 3xx. */
  readonly errorCount: number;
}

export async function isWrkInstalled(): Promise<boolean> {
  // `wrk --version` exits with 1; that it can be started is all we ask.
  const code = await run('wrk', ['--version']).then(
    () => 0,
    (error: { code?: unknown }) => error.code,
  );
  return code !== 'ENOENT' && code !== 'EACCES';
}

export async function runWrk(options: WrkOptions): Promise<WrkResult> {
  const script = join(options.folder, `${options.idPrefix}.lua`);
  await writeFile(script, wrkScript(options));
  const { stdout } = await run(
    'wrk',
    [
      '--threads=1',
      `--connections=${options.connectionCount}`,
      `--duration=${options.durationSeconds}s`,
      '--timeout=5s',
      `--script=${script}`,
      `http://${options.host}:${options.port}${options.path}`,
    ],
    { timeout: (options.durationSeconds + 15) * 1000 },
  );
  const line = /^RESULT (.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result:\n${stdout}`);
  const [requests, durationUs, errors, p50Us, p99Us] = line.split(' ').map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    answersPerSecond: requests / (durationUs / 1e6),
    p50Ms: p50Us / 1000,
    p99Ms: p99Us / 1000,
    errorCount: errors,
  };
}

/** Lua that pastes the running number, a card and an amount into the same bytes that our own generator sends. */
export function wrkScript(options: Omit<WrkOptions, 'connectionCount' | 'durationSeconds' | 'folder'>): string {
  const message = new UniformMessage(
    { ...options, kind: 'authorization', amountMinorMin: 1000 },
    { ...options, threadNumber: 0 },
    6,
  );
  const text = message.bytes.toString('latin1');
  const pieces = /^([\s\S]*n)0{9}([\s\S]*"card":"card_)0{6}([\s\S]*"amount":)1111([\s\S]*)$/.exec(text);
  if (pieces === null) throw new Error('the message changed its form; change this pattern with it');
  const [head, card, amount, tail] = pieces.slice(1).map((piece) => JSON.stringify(piece)) as [
    string,
    string,
    string,
    string,
  ];
  return `local sequence = 0
request = function()
  sequence = sequence + 1
  return string.format("%s%09d%s%06d%s%04d%s",
    ${head}, sequence, ${card}, math.random(1, ${options.cardCount}), ${amount}, math.random(1000, 9999), ${tail})
end
done = function(summary, latency, requests)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
    summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, errors, latency:percentile(50),
    latency:percentile(99)))
end
`;
}
