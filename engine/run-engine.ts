/** What a process of the engine does, once main.ts has loaded it. */

import { createLog } from '../platform/log.js';
import { compileEarly } from '../platform/process/compile-early.js';
import { runProcess } from '../platform/process/run-process.js';
import { readEngineConfig, secretWarnings } from './config.js';
import { startEngine } from './engine.js';

compileEarly();
await runProcess({
  name: 'engine',
  configure: () => readEngineConfig(process.env),
  createLog: ({ logLevel }) => createLog(logLevel, 'engine'),
  start: (config, log) => {
    for (const warning of secretWarnings(config)) log.warn(warning);
    return startEngine(config, log);
  },
});
