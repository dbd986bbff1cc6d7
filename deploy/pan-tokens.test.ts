/** The command that prints the tokens of card numbers, and their derivation as the documentation has it. */
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const command = fileURLToPath(new URL('./pan-tokens.js', import.meta.url));
const run = (input: string, env: Readonly<Record<string, string>>) =>
  spawnSync(process.execPath, [command], { input, env: { ...env }, encoding: 'utf8' });

t.test('a token follows from the number and the newest key alone', async (t) => {
  const pan = '9999990000000014';
  const digest = createHmac('sha256', 'newest')
    .update(Buffer.from(`pan\0${pan}`))
    .digest()
    .subarray(0, 16);
  const letters = [...digest].map((byte) => String.fromCharCode(97 + (byte >> 4), 97 + (byte & 15))).join('');
  const { stdout, status } = run(`${pan}\n 9999990000000022 \n`, { PAN_KEY: 'newest,older' });
  const lines = stdout.trim().split('\n');
  t.same([status, lines.length, lines[0]], [0, 2, `pan_${letters}`]);
  t.match(lines[1], /^pan_[a-p]{32}$/);
});

t.test('a line that is no card number, or a missing key, ends it without showing the line', async (t) => {
  const wrong = run('9999990000000014x\n', { PAN_KEY: 'newest' });
  t.same([wrong.status, wrong.stdout, wrong.stderr], [1, '', 'line 1 is no card number: 8 to 19 digits\n']);
  const keyless = run('9999990000000014\n', {});
  t.equal(keyless.status, 1);
  t.match(keyless.stderr, /PAN_KEY/);
});
