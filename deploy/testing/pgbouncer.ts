/** Debian's PgBouncer in transaction mode before a server of the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../free-port.js';
import { systemUser } from '../postgres/postgres-place.js';
import { findProgram } from './find-program.js';

const startWaitMs = 20_000;
const lookEveryMs = 20;
const missing = 'this test needs PgBouncer: apt-get install pgbouncer';
/** Settings that the API asks for at the start of a connection, and that its role has instead behind a pooler. */
const dropped = ['audit.required', 'statement_timeout', 'enable_bitmapscan'];

export interface PgBouncer {
  /** The given URL by way of the pooler, without prepared statements. */
  readonly url: string;
  stop(): Promise<void>;
}

export function findPgBouncer(): Promise<string> {
  return findProgram({ program: 'pgbouncer', debianPackage: 'pgbouncer', missing });
}

/** @param url of the role that goes through it, with its password */
export async function startPgBouncer(url: string): Promise<PgBouncer> {
  const program = await findPgBouncer();
  const folder = mkdtempSync(join(tmpdir(), 'pgbouncer-'));
  const { hostname, port, username, password } = new URL(url);
  const ownPort = await findFreePort();
  writeFileSync(join(folder, 'users.txt'), `"${username}" "${decodeURIComponent(password)}"\n`);
  writeFileSync(
    join(folder, 'pgbouncer.ini'),
    [
      '[databases]',
      `* = host=${hostname} port=${port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${ownPort}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${join(folder, 'users.txt')}`,
      'pool_mode = transaction',
      // Fewer than the API opens: sessions are shared.
      'default_pool_size = 3',
      'max_client_conn = 200',
      `ignore_startup_parameters = ${dropped.join(', ')}`,
    ].join('\n'),
  );
  // It refuses to run as root.
  const runAs = process.getuid?.() === 0 ? await systemUser() : {};
  chmodSync(folder, 0o755);
  const child = spawn(program, [join(folder, 'pgbouncer.ini')], {
    ...runAs,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4000);
  });
  const killWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', killWithUs);
  await listening(child, ownPort, () => said);
  const pooled = new URL(url);
  pooled.port = String(ownPort);
  pooled.searchParams.set('prepare', 'false');
  return {
    url: pooled.href,
    stop: async () => {
      process.removeListener('exit', killWithUs);
      const ended = once(child, 'close');
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(child: ChildProcess, port: number, said: () => string): Promise<void> {
  const giveUpAtMs = performance.now() + startWaitMs;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > giveUpAtMs)
      throw new Error(`PgBouncer did not start: ${said()}`);
    await delay(lookEveryMs);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
