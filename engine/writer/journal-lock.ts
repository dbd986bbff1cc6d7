/**
 * One process writes a journal. It holds an operating-system lock on the journal folder, from before the first byte is
 * read until the process ends, however it ends.
 *
 * Node has no flock. But a flock belongs to the open file, not to the process that requested it. A program that
 * inherits our descriptor takes the lock and exits, and the lock stays with us until the file is closed. Node opens
 * files close-on-exec, so no child of the engine keeps the lock alive behind a killed engine.
 *
 * The file names its holder, for the error of a second start, and the leases (writer-lease.ts) that were requested
 * under it. The process that has the lock knows that the holders of those leases have ended.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

/** What a second start says about the first. */
export interface JournalHolder {
  readonly pid: number;
  readonly host: string;
  readonly authPort: number;
  readonly opsPort: number;
  /** RFC 3339. */
  readonly startedAt: string;
}

interface LockFile extends JournalHolder {
  /** Oldest first. */
  readonly leases: readonly string[];
}

export interface JournalLockOptions {
  /** Folder of all partitions' journals. */
  readonly directory: string;
  readonly authPort: number;
  readonly opsPort: number;
  /** Names the lease that this process is about to ask for. */
  readonly lease: string;
}

const fileName = 'engine.lock';
/** Starts that ended before they had the lease leave the lease of the engine before them behind theirs. */
const leasesMax = 16;
/**
 * Programs that take a flock on descriptor 3 without waiting: exit code 0 when taken, 1 when another process has it.
 */
const lockers: readonly (readonly [program: string, args: readonly string[]])[] = [
  ['flock', ['-n', '-x', '3']],
  [
    'perl',
    ['-e', 'use Fcntl ":flock"; open(my $file, "+<&=", 3) or die $!; exit(flock($file, LOCK_EX | LOCK_NB) ? 0 : 1)'],
  ],
];

export class JournalLock {
  readonly #file: number;
  /** Leases asked for under this lock before: their holders are gone. */
  readonly earlierLeases: readonly string[];
  /**
   * Names the locked file as long as this machine runs; '' where the system does not say. A copy of the folder is
   * another file, so holding its lock proves nothing about this one.
   */
  readonly place: string;

  private constructor(file: number, options: JournalLockOptions) {
    this.#file = file;
    const before = readLockFile(join(options.directory, fileName));
    this.earlierLeases = before?.leases ?? [];
    const { dev, ino } = fstatSync(file, { bigint: true });
    const boot = bootId();
    this.place = boot === '' ? '' : `${boot} ${dev}:${ino}`;
    this.#describe(options);
  }

  /**
   * Takes the lock without waiting.
   * @returns the holder when another process has it; null when that one has not said yet who it is
   * @throws when this machine cannot lock files, or the folder cannot be written
   */
  static take(options: JournalLockOptions): JournalLock | JournalHolder | null {
    const { directory } = options;
    makeDirectory(directory);
    const path = join(directory, fileName);
    for (;;) {
      const file = openSync(path, 'a+', 0o600);
      try {
        if (!lockFile(file, path)) {
          const holder = readLockFile(path);
          closeSync(file);
          return holder;
        }
        // Between open and lock another process may have put another file in its place.
        if (isSameFile(file, path)) {
          assertLockHolds(path);
          return new JournalLock(file, options);
        }
        closeSync(file);
      } catch (error) {
        closeSync(file);
        throw error;
      }
    }
  }

  /** The process may go on; another one may have the journal. */
  release(): void {
    closeSync(this.#file);
  }

  #describe({ authPort, opsPort, lease }: JournalLockOptions): void {
    const content: LockFile = {
      pid: process.pid,
      host: hostname(),
      authPort,
      opsPort,
      startedAt: new Date().toISOString(),
      leases: [...this.earlierLeases.slice(1 - leasesMax), lease],
    };
    try {
      ftruncateSync(this.#file, 0);
      writeSync(this.#file, `${JSON.stringify(content)}\n`);
    } catch {
      // A full disk: the lock holds, the next start only knows less about this one.
    }
  }
}

/** The line for a person whose start met another engine on its journal. */
export function journalInUse(directory: string, holder: JournalHolder | null): string {
  const who =
    holder === null
      ? 'by another engine'
      : `by the engine with process ${holder.pid} on ${holder.host} (AUTH_PORT ${holder.authPort}, OPS_PORT ` +
        `${holder.opsPort}), started at ${holder.startedAt}`;
  return (
    `the journal ${directory} is in use ${who}: stop that engine, or set another DATA_DIR (and DATABASE_URL) ` +
    'for this one'
  );
}

/** True when the lock on the open file is ours now, false when another open file has it. */
function lockFile(file: number, path: string): boolean {
  for (const [program, args] of lockers) {
    const { status, error, stderr } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe', file] });
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') continue;
    if (status === 0 || status === 1) return status === 0;
    throw new Error(`${path} cannot be locked: ${error?.message ?? (String(stderr).trim() || `${program} failed`)}`);
  }
  throw new Error('the journal cannot be locked: install flock (Debian: package util-linux) or perl, and start again');
}

/** Some file systems accept locks and keep none. */
function assertLockHolds(path: string): void {
  const second = openSync(path, 'r+');
  try {
    if (!lockFile(second, path)) return;
  } finally {
    closeSync(second);
  }
  throw new Error(`${path}: this file system keeps no locks; put DATA_DIR on a local file system`);
}

function isSameFile(file: number, path: string): boolean {
  try {
    const [opened, named] = [fstatSync(file, { bigint: true }), statSync(path, { bigint: true })];
    return opened.dev === named.dev && opened.ino === named.ino;
  } catch {
    return false;
  }
}

function readLockFile(path: string): LockFile | null {
  try {
    const content = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockFile> | null;
    return typeof content?.pid === 'number' && Array.isArray(content.leases) ? (content as LockFile) : null;
  } catch {
    return null;
  }
}

/** Another one after each start of the machine. Elsewhere than on Linux there is no such file. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/** Durably, as the journal makes its folders: a journal below a name that a crash forgets would be lost. */
function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    const parent = openSync(dirname(made), 'r');
    try {
      fsyncSync(parent);
    } finally {
      closeSync(parent);
    }
    if (made === first || made === dirname(made)) return;
  }
}
