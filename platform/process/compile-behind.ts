/**
 * V8 compiles hot functions on threads of its own, four by default, beside the threads that answer. An engine that
 * takes partitions over runs code that it has not run before. Its front then got a fifth of the processor time that
 * Linux gave to the engine. Code that is compiled later costs less than messages that wait.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** A tenth of the share of a thread of ours, where both want the same core. V8 also collects garbage on them. */
const helperNiceness = 10;
/** Node.js makes them before any other thread: one that waits for delayed tasks, and the four. */
const helperCount = 5;

/** Called before the process starts threads of its own. Elsewhere than on Linux nothing changes. */
export function compileBehindOthers(): void {
  for (const thread of helperThreads()) {
    try {
      setPriority(thread, helperNiceness);
    } catch {
      // A sandbox may forbid it: they then compete like any other thread.
    }
  }
}

/** By number, which rises: with their names, which Node.js gives them in newer versions, or the first ones. */
function helperThreads(): readonly number[] {
  try {
    const threads = readdirSync('/proc/self/task').map(Number);
    const others = threads.filter((thread) => thread !== process.pid).sort((one, another) => one - another);
    const named = others.filter((thread) => nameOf(thread).includes('V8Worker'));
    return named.length > 0 ? named : others.slice(0, helperCount);
  } catch {
    return [];
  }
}

function nameOf(thread: number): string {
  return readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim();
}
