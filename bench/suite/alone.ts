/** Measures a server while the engine is frozen: its settling must not slow down what stands beside it. */
import { setTimeout as delay } from 'node:timers/promises';
import { busyShare, readMachineTime } from '../process-stats.js';
import type { Stack } from '../stack.js';

/**
 * After an engine round the shipper goes on settling into Postgres. That work belongs to the engine, and an echo
 * measured beside it would be slower than it is and flatter the engine's share.
 */
export async function alone<T>(stack: Stack, log: (line: string) => void, work: () => Promise<T>): Promise<T> {
  stack.engine.pause();
  try {
    await waitUntilQuiet(log);
    return await work();
  } finally {
    stack.engine.resume();
  }
}

/** Postgres ends the statement it is at; anything that takes longer is not ours. */
const quietWaitMsMax = 2000;
const quietSampleMs = 150;
const quietBusyShareMax = 0.15;

async function waitUntilQuiet(log: (line: string) => void): Promise<void> {
  const deadlineMs = performance.now() + quietWaitMsMax;
  let busy = 1;
  while (performance.now() < deadlineMs) {
    const before = readMachineTime();
    await delay(quietSampleMs);
    busy = busyShare(before, readMachineTime());
    if (busy <= quietBusyShareMax) return;
  }
  log(`the machine is ${Math.round(busy * 100)} % busy with something else; the next round is measured beside it`);
}

/** Neighbours that take more than this of a core make a round doubtful. */
export const otherCoresMax = 0.2;
