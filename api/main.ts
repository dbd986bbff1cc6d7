/** `npm run api`: one process, configured by the environment alone. */
import { startApi } from './api.js';
import { ConfigError, readApiConfig, secretWarnings } from './config.js';
import { createLog } from './log.js';
import { isConnectionError, isDriverWriteAfterClose } from './stores/database-errors.js';

async function main(): Promise<void> {
  const config = readApiConfig(process.env);
  const log = createLog(config.logLevel, 'api');
  for (const warning of secretWarnings(config)) log.warn(warning);
  process.on('uncaughtException', (error: Error) => {
    if (isDriverWriteAfterClose(error)) {
      log.error({ error: error.message }, 'database driver wrote to a closed connection');
      return;
    }
    log.fatal({ error: error.message, stack: error.stack }, 'bug: stopping');
    process.exit(1);
  });
  process.on('unhandledRejection', (reason: unknown) => {
    // postgres.js asks for the server's types on every new connection, in a promise that nobody holds.
    if (isConnectionError(reason)) {
      log.warn({ error: (reason as Error).message }, 'a database connection was cut while it was being made');
      return;
    }
    log.fatal({ error: String(reason), stack: (reason as Error | undefined)?.stack }, 'bug: stopping');
    process.exit(1);
  });
  const api = await startApi(config, log);
  let isStopping = false;
  const stop = () => {
    // A second signal means: now.
    if (isStopping) process.exit(1);
    isStopping = true;
    api.stop().then(
      () => process.exit(0),
      (error: Error) => {
        log.fatal({ error: error.message }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: Error) => {
  process.stderr.write(`api: ${error.message}\n`);
  if (!(error instanceof ConfigError) && process.env['LOG_LEVEL'] === 'debug') process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
