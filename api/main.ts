/** `npm run api`: one process, configured by the environment alone. */

import { createLog } from '../platform/log.js';
import { runProcess } from '../platform/process/run-process.js';
import { startApi } from './api.js';
import { readApiConfig } from './config.js';

await runProcess({
  name: 'api',
  configure: () => readApiConfig(process.env),
  createLog: ({ logLevel }) => createLog(logLevel, 'api'),
  start: startApi,
});
