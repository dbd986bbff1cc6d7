/** `npm run api`: one process, configured by the environment alone. */
import { runProcess } from '../platform/process/run-process.js';
import { startApi } from './api.js';
import { readApiConfig } from './config.js';
import { createLog } from './log.js';

await runProcess({
  name: 'api',
  configure: () => readApiConfig(process.env),
  createLog: ({ logLevel }) => createLog(logLevel, 'api'),
  start: startApi,
});
