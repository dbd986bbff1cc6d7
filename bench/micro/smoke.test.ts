/** The measurements without a network still run: tiny, so that none can rot. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

for (const [name, args, expected] of [
  ['./wire.js', ['1'], /native read .* ns median/],
  ['./decide.js', ['10000'], /ns per decision/],
  ['./partition.js', ['4', '8', '1', '50'], /ns per authorization/],
  ['./cards.js', ['50'], /bytes per card/],
  ['./journal.js', ['5', '1'], /journal +1024/],
  ['./settle.js', ['200', '100', '20'], /settle +[\d,]+ records\/s/],
] as const) {
  t.test(`the micro benchmark ${name} runs`, async (t) => {
    const { stdout } = await run(process.execPath, ['--enable-source-maps', script(name), ...args], {
      timeout: 100_000,
    });
    t.match(stdout, expected);
  });
}
