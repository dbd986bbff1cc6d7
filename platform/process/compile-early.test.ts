import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

/** Calls until V8 has optimized a function, in a process of its own. Nothing is compiled beside it: it is a count. */
async function callsUntilOptimized(setUp: string): Promise<number> {
  const script = `
    ${setUp}
    const turbofanBit = 1 << 6;
    const isOptimized = (f) => (%GetOptimizationStatus(f) & turbofanBit) !== 0;
    function work(text) {
      let sum = 0;
      for (let index = 0; index < text.length; index++) sum += text.charCodeAt(index);
      return sum;
    }
    let calls = 0;
    while (calls < 1e6 && !isOptimized(work)) { work('a message'); calls++; }
    console.log(calls);`;
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, flags);
  return Number(stdout);
}

t.test('a function is optimized after fewer calls', async (t) => {
  const url = new URL('./compile-early.js', import.meta.url).href;
  const early = await callsUntilOptimized(`import { compileEarly } from ${JSON.stringify(url)}; compileEarly();`);
  const usual = await callsUntilOptimized('');
  t.ok(usual < 1e6, 'V8 says when a function is optimized');
  t.ok(early < usual, `after ${early} calls, not ${usual}`);
});
