/**
 * `npm run engine`: one process, configured by the environment alone.
 */
import { ConfigError, readEngineConfig, secretWarnings } from './config.js';
import { startEngine } from './engine.js';
import { createLog } from './log.js';

async function main(): Promise<void> {
  const config = readEngineConfig(process.env);
  const log = createLog(config.logLevel, 'engine');
  for (const warning of secretWarnings(config)) log.warn(warning);
  const engine = await startEngine(config, log);
  let isStopping = false;
  const stop = () => {
    // A second signal means: now.
    if (isStopping) process.exit(1);
    isStopping = true;
    engine.stop().then(
      () => process.exit(0),
      (error: Error) => {
        log.fatal({ error: error.message }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('uncaughtException', (error: Error) => {
    // postgres.js 3.4.9 throws from a timer when a connection closes under a write that was put off (its issues 1066,
    // 1154, 1208). The query itself is rejected or runs into its deadline; deciding goes on without the database.
    if (isDriverWriteAfterClose(error)) {
      log.error({ error: error.message }, 'database driver wrote to a closed connection');
      return;
    }
    log.fatal({ error: error.message, stack: error.stack }, 'bug: stopping');
    process.exit(1);
  });
  process.on('unhandledRejection', (reason: unknown) => {
    // postgres.js asks for the server's types on every new connection, in a promise that nobody holds: a connection that
    // is cut at that moment must not end the engine. Whoever wanted the connection has an error of their own.
    if (isConnectionError(reason)) {
      log.warn({ error: (reason as Error).message }, 'a database connection was cut while it was being made');
      return;
    }
    log.fatal({ error: String(reason), stack: (reason as Error | undefined)?.stack }, 'bug: stopping');
    process.exit(1);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function isDriverWriteAfterClose(error: Error): boolean {
  return error instanceof TypeError && /reading 'write'/.test(error.message) && /nextWrite/.test(error.stack ?? '');
}

/** An error that says that Postgres, or the way to it, has gone: postgres.js' own codes, Node's, and SQLSTATE class 57. */
function isConnectionError(reason: unknown): boolean {
  const code = (reason as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(CONNECT|ECONN|EPIPE|ENOTFOUND|ETIMEDOUT|57P)/.test(code);
}

main().catch((error: Error) => {
  process.stderr.write(`engine: ${error.message}\n`);
  if (!(error instanceof ConfigError) && process.env['LOG_LEVEL'] === 'debug') process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
