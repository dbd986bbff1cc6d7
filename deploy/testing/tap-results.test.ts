/** Reading the TAP of a test file. */
import t from 'tap';
import { type FileEnd, failureText, TapReader } from './tap-results.js';

const good: FileEnd = { code: 0, signal: null, durationMs: 512.5, cpuMs: 90 };

function read(text: string, end: FileEnd = good) {
  const reader = new TapReader('dist/a.test.js');
  for (const line of text.split('\n')) reader.read(line);
  return reader.end(end);
}

t.test('a file counts its assertions, and each that did not pass counts as failed', async (t) => {
  const whole = { file: 'dist/a.test.js', durationMs: 512.5, cpuMs: 90, passed: 5, failed: 0, failures: [] };
  t.same(read('ok 1\n# { total: 5, pass: 5 }\n# time=1ms\n'), whole);
  t.match(read('# { total: 7, pass: 4, fail: 1, skip: 1, todo: 1 }\n'), { passed: 4, failed: 3 });
});

t.test('the totals of a subtest are not the totals of the file', async (t) => {
  t.match(read('    # { total: 2, pass: 2 }\n# { total: 9, pass: 9 }\n'), { passed: 9, failed: 0 });
});

t.test('a file that proves nothing, breaks off or ends badly has failed', async (t) => {
  const why = (text: string, end = good) => read(text, end).failures.map(failureText);
  const proof = '# { total: 1, pass: 1 }\n';
  t.same(why('# { total: 0 }\n'), ['dist/a.test.js\n    no assertion passed']);
  t.same(why('ok 1 - a\n'), ['dist/a.test.js\n    it ended without totals']);
  t.same(why(proof, { ...good, code: 3 }), ['dist/a.test.js\n    exit code 3']);
  t.same(why(proof, { ...good, code: null, signal: 'SIGKILL' }), ['dist/a.test.js\n    it ended by SIGKILL']);
  t.same(why('# { total: 2, pass: 1, fail: 1 }\n'), ['dist/a.test.js\n    1 failed']);
  t.equal(read(proof, { ...good, code: 3 }).failed, 1);
});

const outputWithFailures = `TAP version 14
# Subtest: outer
    # Subtest: inner \\# 1
        ok 1 - fine
        not ok 2 - should be equal
          ---
          compare: ===
          source: |
            t.equal(1, 2);
            not ok 7 - quoted
          diff: |
            --- expected
            +++ actual
            -2
            +1
          ...
        
        1..2
    not ok 1 - inner \\# 1 # time=3.1ms
      ---
      at:
        lineNumber: 1
      ...
    
    1..1
not ok 1 - outer # time=3.5ms

ok 2 - later # SKIP why
# Subtest: endless
    not ok 1 - timeout!
      ---
      expired: TAP
      ...
    
    1..1
not ok 3 - endless # time=3021ms

1..3
# { total: 4, pass: 1, fail: 2, skip: 1 }
# time=3034ms
`;

t.test('a failure names places in the sources', async (t) => {
  const place = 'inSources (dist/deploy/testing/tap-results.js:20:1)';
  t.match(
    failureText({ file: 'dist/a.test.js', path: [], diagnostics: [place] }),
    / \(deploy\/testing\/tap-results\.ts:\d+:\d+\)$/,
  );
});

t.test('each failed assertion is named with its file, its tests and its diagnostics', async (t) => {
  t.same(read(outputWithFailures, { ...good, code: 1 }).failures.map(failureText), [
    [
      'dist/a.test.js > outer > inner # 1 > should be equal',
      '    compare: ===',
      '    diff: |',
      '      --- expected',
      '      +++ actual',
      '      -2',
      '      +1',
    ].join('\n'),
    'dist/a.test.js > later # SKIP why',
    'dist/a.test.js > endless > timeout!\n    expired: TAP',
  ]);
});
