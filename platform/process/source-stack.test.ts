/** Stacks of the compiled code are shown in terms of the sources. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { sourceStack } from './source-stack.js';

const compiled = fileURLToPath(new URL('./source-stack.js', import.meta.url));

t.test('a location in compiled code is shown as its source, by path and by URL', async (t) => {
  const lines = readFileSync(compiled, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes('JSON.parse(')) + 1;
  const stack = `Error: no\n    at readMap (${compiled}:${line}:9)\n    at file://${compiled}:${line}:9`;
  const shown = sourceStack(stack).split('\n');
  const [, file, sourceLine] = /\((\S+):(\d+):\d+\)$/.exec(shown[1]!) ?? [];
  t.match(file, /\/platform\/process\/source-stack\.ts$/);
  t.match(readFileSync(file!, 'utf8').split('\n')[Number(sourceLine) - 1], 'JSON.parse(');
  t.equal(shown[2], `    at ${file}:${sourceLine}:${shown[2]!.split(':').at(-1)}`);
  t.equal(shown[0], 'Error: no');
});

t.test('a location without a map stays as it is', async (t) => {
  const stack =
    'Error: no\n    at x (/nowhere/at-all.js:1:2)\n    at node:internal/timers:5:6\n    at y (/a/source.ts:7:8)';
  t.equal(sourceStack(stack), stack);
});
