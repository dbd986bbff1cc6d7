/**
 * V8 optimizes a function once its calls and loops have used up a budget of bytecode. Each engine of several gets a
 * share of the messages, and three threads of each compile for themselves. With V8's budget (67,584 in Node.js 20)
 * three new engines on two cores needed ten seconds of full load, and answered 503 meanwhile. With less than a third
 * of it they need a quarter less CPU in that time (docs/scale.md). The price is that V8 knows less of a function when
 * it optimizes it, and may have to do so again.
 */
import { setFlagsFromString } from 'node:v8';

const interruptBudget = 20_000;

/** For this process and the threads that it starts. A V8 that does not know the flag goes on as it is. */
export function compileEarly(): void {
  setFlagsFromString(`--interrupt-budget=${interruptBudget}`);
}
