/**
 * A program from its start to its end, for engine and API alike. It writes one line for a person when it cannot start,
 * stops cleanly on SIGTERM and Ctrl-C, and ends with a reason on a bug. The driver's stray errors are no bug of ours
 * and end nothing.
 */

import { isConnectionError, isDriverWriteAfterClose } from '../postgres/driver-errors.js';
import { isOutOfDescriptors } from './descriptors.js';
import { runtimeWarning } from './runtime.js';
import { sourceStack } from './source-stack.js';

export interface Program<Config, Log extends ProcessLog> {
  readonly name: string;
  /** Throws a ConfigError with one clear line. */
  configure(): Config;
  createLog(config: Config): Log;
  start(config: Config, log: Log): Promise<{ stop(): Promise<void> }>;
}

interface ProcessLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

export async function runProcess<Config, Log extends ProcessLog>(program: Program<Config, Log>): Promise<void> {
  const signals = catchSignals();
  try {
    const config = program.configure();
    const log = program.createLog(config);
    catchStrays(log);
    const warning = runtimeWarning(process.versions.node);
    if (warning !== '') log.warn({}, warning);
    signals.running(await program.start(config, log), log);
  } catch (error) {
    const { name, message, stack } = error as Error;
    process.stderr.write(`${program.name}: ${message}\n`);
    if (name !== 'ConfigError' && process.env['LOG_LEVEL'] === 'debug')
      process.stderr.write(`${sourceStack(stack ?? '')}\n`);
    process.exit(1);
  }
}

/** As a shell counts a process that a signal ended. */
const exitCodes = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * Catches signals from the beginning. As process 1 of a container, a process without a handler ignores them. A stop
 * during a start, which may wait for a lease or a database, would last until the container is killed.
 */
function catchSignals() {
  let running: { stop(): Promise<void> } | null = null;
  let log: ProcessLog | null = null;
  let isStopping = false;
  const stop = (signal: keyof typeof exitCodes) => {
    // A second signal means: now. A start has acknowledged nothing, so it may end anywhere, as by SIGKILL.
    if (isStopping) process.exit(1);
    if (running === null) process.exit(exitCodes[signal]);
    isStopping = true;
    running.stop().then(
      () => process.exit(0),
      (error: Error) => {
        log?.fatal({ error: error.message }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return {
    running: (started: { stop(): Promise<void> }, startedLog: ProcessLog): void => {
      running = started;
      log = startedLog;
    },
  };
}

function catchStrays(log: ProcessLog): void {
  process.on('uncaughtException', (error: Error) => {
    if (isDriverWriteAfterClose(error)) {
      log.error({ error: error.message }, 'database driver wrote to a closed connection');
      return;
    }
    if (isPassing(error, log)) return;
    log.fatal({ error: error.message, stack: sourceStack(error.stack ?? '') }, 'bug: stopping');
    process.exit(1);
  });
  process.on('unhandledRejection', (reason: unknown) => {
    // postgres.js asks for the server's types on every new connection, in a promise that no code awaits: a connection
    // that is cut at that moment must not end the process. The caller that wanted the connection has an error of its
    // own.
    if (isConnectionError(reason)) {
      log.warn({ error: (reason as Error).message }, 'a database connection was cut while it was being made');
      return;
    }
    if (isPassing(reason, log)) return;
    const stack = sourceStack((reason as Error | undefined)?.stack ?? '');
    log.fatal({ error: String(reason), stack }, 'bug: stopping');
    process.exit(1);
  });
}

/** Of several of them in a second one is logged. */
const passingLogMs = 1000;
let passingLoggedAtMs = Number.NEGATIVE_INFINITY;

/**
 * Without a file descriptor something was not opened. What wanted it has failed, and may be tried again: the process
 * goes on.
 */
function isPassing(error: unknown, log: ProcessLog): boolean {
  if (!isOutOfDescriptors(error)) return false;
  const nowMs = performance.now();
  if (nowMs - passingLoggedAtMs >= passingLogMs) {
    passingLoggedAtMs = nowMs;
    log.error(
      { error: (error as Error).message },
      'there was no file descriptor: raise the limit of open files (ulimit -n)',
    );
  }
  return true;
}
