/** `npm run engine`: one process, configured by the environment alone. */
import { compileBehindOthers } from '../platform/process/compile-behind.js';
import { yieldWhileStarting } from '../platform/process/start-priority.js';

// Before the modules are loaded, which is a third of the work, and the settings with them.
if (process.env['JOURNAL'] === 'postgres') {
  yieldWhileStarting();
  compileBehindOthers();
}
await import('./run-engine.js');
