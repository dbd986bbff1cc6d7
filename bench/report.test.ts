import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../deploy/repository-root.js';
import { renderQuick, renderSpeed, replaceBetweenMarkers } from './report.js';

t.test('only what stands between the markers is replaced', async (t) => {
  const text = '# A\n<!-- bench:quick -->\nold\n<!-- /bench:quick -->\nrest\n';
  const once = replaceBetweenMarkers(text, 'new\n');
  t.equal(once, '# A\n<!-- bench:quick -->\nnew\n<!-- /bench:quick -->\nrest\n');
  t.equal(replaceBetweenMarkers(once, 'new'), once);
  t.throws(() => replaceBetweenMarkers('no markers', 'new'), /bench:quick/);
});

t.test('the documents have the place that make bench-readme fills', async (t) => {
  for (const document of ['README.md', 'docs/benchmarks.md']) {
    const text = await readFile(join(repositoryRoot(), document), 'utf8');
    t.match(replaceBetweenMarkers(text, 'new figures'), 'new figures', document);
  }
});

t.test('a result without values still says what it was measured on', async (t) => {
  const result = {
    machine: {
      cpu: 'Some CPU',
      coreCount: 2,
      memoryBytes: 2 ** 34,
      kernel: 'Linux 6',
      node: 'v20',
      loadAverage: 0.1,
      date: '2026-11-23T07:00:00.000Z',
      commit: 'abc1234',
    },
    warnings: ['careful'],
    shapes: [],
    wrk: null,
    memory: null,
    seconds: 1,
  };
  const text = renderQuick(result);
  t.match(text, 'Some CPU, 2 cores, 16 GiB, Linux 6, Node.js v20');
  t.match(renderSpeed(result), 'Some CPU, 2 cores, 16 GiB, Linux 6, Node.js v20', 'so does the part for the README');
  t.match(text, 'Warning: careful');
});
