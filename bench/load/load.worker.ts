/** One sending thread of the load generator: its share of the connections, driven by commands of the main thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { ClosedSender } from './closed-sender.js';
import { OpenSender } from './open-sender.js';
import { Tally } from './tally.js';
import type { ThreadCommand, ThreadMessage, ThreadPlan } from './thread.js';
import type { TrafficContext, TrafficModule } from './traffic.js';

const plan = workerData as ThreadPlan;
const { options } = plan;
const port = parentPort!;
const post = (message: ThreadMessage): void => port.postMessage(message);

/** How often ages are checked, milliseconds; a timeout is found at most this late. */
const timeoutCheckMs = Math.max(1, Math.min(250, Math.floor(options.timeoutMs / 4)));
const progressMs = 500;

const context: TrafficContext = {
  host: options.host,
  port: options.port,
  threadNumber: plan.threadNumber,
  threadCount: options.threadCount,
  seed: options.seed,
};
const { createTraffic } = (await import(options.traffic.module)) as TrafficModule;
const traffic = createTraffic(options.traffic.options as never, context);
const tally = new Tally(traffic.kinds);
const sender =
  options.pace.kind === 'open'
    ? new OpenSender(plan, traffic, tally, post)
    : new ClosedSender(plan, traffic, tally, post);

port.on('message', (command: ThreadCommand) => sender[command]());

let progressAtMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  sender.expire(nowMs);
  if (nowMs - progressAtMs >= progressMs) {
    progressAtMs = nowMs;
    post({ kind: 'progress', answerCount: tally.answerCountTotal });
  }
}, timeoutCheckMs);

sender.connect();
