/**
 * Where the journals of this engine stand: in DATA_DIR under a lock (JOURNAL=local), or in Postgres (JOURNAL=postgres).
 * In Postgres' case a folder has a copy of what is not settled, which ends with the process.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import type { EngineConfig } from '../config.js';
import type { PostgresJournal } from '../exchange/syncer-messages.js';
import { assertLedger } from './journal-ledger.js';
import { JournalLock, type JournalLockOptions, journalInUse } from './journal-lock.js';
import type { JournalProof } from './writer-lease.js';

export interface JournalPlace {
  /** Folder of all partitions' folders. */
  readonly directory: string;
  /** Null with a local journal. */
  readonly postgres: PostgresJournal | null;
  /**
   * Makes sure that no other process writes here.
   * @returns what that proves about engines before this one
   * @throws one line for a person when another engine has the journal
   */
  take(): Promise<JournalProof>;
  /** @throws one line for a person when the journal belongs to another ledger */
  assertLedger(ledger: string): void;
  /** The process may go on; another one may have the journal. */
  release(): void;
}

/** @param lease names the lease that this process is about to ask for */
export function journalPlace(config: EngineConfig, lease: string, log: Log): JournalPlace {
  return config.journal === 'local' ? localPlace(config, lease, log) : postgresPlace(config);
}

function localPlace({ dataDir, authPort, opsPort }: EngineConfig, lease: string, log: Log): JournalPlace {
  const directory = join(dataDir, 'journal');
  let lock: JournalLock | null = null;
  return {
    directory,
    postgres: null,
    async take() {
      lock = await lockJournal({ directory, authPort, opsPort, lease }, log);
      return lock;
    },
    assertLedger: (ledger) => assertLedger(directory, ledger),
    release: () => lock?.release(),
  };
}

/** Folder of the stand-in journal. */
export function standInDirectory({ dataDir }: Pick<EngineConfig, 'dataDir'>): string {
  return join(dataDir, 'standin');
}

/** Where the stand-in journal of this engine stands. */
export interface StandInPlace {
  readonly directory: string;
  release(): void;
}

/**
 * @param lease names this engine in its lock file
 * @param ledger id of the database's ledger
 * @throws one line for a person when another engine has the folder, or it belongs to another ledger
 */
export async function standInPlace(
  config: EngineConfig,
  lease: string,
  ledger: string,
  log: Log,
): Promise<StandInPlace> {
  const { authPort, opsPort } = config;
  const directory = standInDirectory(config);
  const lock = await lockJournal({ directory, authPort, opsPort, lease }, log);
  try {
    assertLedger(directory, ledger);
  } catch (error) {
    lock.release();
    throw error;
  }
  return { directory, release: () => lock.release() };
}

/** Of the folders of copies: they name the process, so that a start can remove those of processes that are gone. */
const copyPrefix = 'card-journal-copy-';

function postgresPlace({ databaseUrl }: EngineConfig): JournalPlace {
  removeOrphans();
  const directory = mkdtempSync(join(tmpdir(), `${copyPrefix}${process.pid}-`));
  ours.add(basename(directory));
  return {
    directory,
    postgres: { databaseUrl },
    // The position of its frames is the proof: see workers/journal/frame-log.ts.
    take: async () => ({ place: '', earlierLeases: [] }),
    assertLedger: () => undefined,
    release: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Of this process. In a container every engine has the same number: its predecessor's folder has it too. */
const ours = new Set<string>();

function removeOrphans(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${copyPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || ours.has(name)) continue;
    if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's: theirs to remove.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** How long a start waits for a predecessor that is stopping. */
const lockWaitMs = 10_000;
const lockPollMs = 100;

/** A predecessor that is stopping has the lock until its last record is settled. */
async function lockJournal(options: JournalLockOptions, log: Log): Promise<JournalLock> {
  const giveUpAtMs = performance.now() + lockWaitMs;
  for (let isFirst = true; ; isFirst = false) {
    const taken = JournalLock.take(options);
    if (taken instanceof JournalLock) return taken;
    const inUse = journalInUse(options.directory, taken);
    if (performance.now() > giveUpAtMs) throw new Error(inUse);
    if (isFirst) log.warn(`waiting ${lockWaitMs / 1000} s for its end: ${inUse}`);
    await delay(lockPollMs);
  }
}
