/**
 * `npm run engine`: one process, configured by the environment alone.
 */
import { ConfigError, readEngineConfig } from './config.js';
import { startEngine } from './engine.js';
import { createLog } from './log.js';

async function main(): Promise<void> {
  const config = readEngineConfig(process.env);
  const log = createLog(config.logLevel, 'engine');
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
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function isDriverWriteAfterClose(error: Error): boolean {
  return error instanceof TypeError && /reading 'write'/.test(error.message) && /nextWrite/.test(error.stack ?? '');
}

main().catch((error: Error) => {
  process.stderr.write(`engine: ${error.message}\n`);
  if (!(error instanceof ConfigError) && process.env['LOG_LEVEL'] === 'debug') process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
