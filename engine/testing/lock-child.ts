/** A process that takes a journal's lock, starts a thread and a child as an engine does, says so, and stays. */
import { spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { JournalLock } from '../writer/journal-lock.js';

const [directory = ''] = process.argv.slice(2);
const taken = JournalLock.take({ directory, authPort: 8080, opsPort: 8081, lease: `lease-of-${process.pid}` });
if (!(taken instanceof JournalLock)) throw new Error('another process has the lock');
new Worker('setInterval(() => undefined, 1000)', { eval: true });
const grandchild = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
process.stdout.write(`${grandchild.pid}\n`);
