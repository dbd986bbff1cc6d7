/**
 * Loaded into a process before its program (`NODE_OPTIONS=--import=…`): on SIGUSR2 it collects all garbage and writes
 * what is left to the file that MEMORY_PROBE names. Without the collection a heap says more about the collector's mood
 * than about what is kept.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const { MEMORY_PROBE: file } = process.env;

if (isMainThread && file !== undefined) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    // Twice: what a finalizer lets go is found by the second one.
    collect();
    collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    writeFileSync(`${file}.part`, JSON.stringify({ heapBytes: heapUsed, externalBytes: external, residentBytes: rss }));
    renameSync(`${file}.part`, file);
  });
}
