/** Reading tap's output. */
import t from 'tap';
import { failureText, TapReader, type TestFile } from './tap-results.js';

function read(text: string) {
  const ended: TestFile[] = [];
  const reader = new TapReader((file) => ended.push(file));
  for (const line of text.split('\n')) reader.read(line);
  return { totals: reader.end(), files: reader.files, ended };
}

t.test('every test that did not pass counts as failed', async (t) => {
  t.same(read('ok 1\n# { total: 5, pass: 5 }\n# time=1ms\n').totals, { passed: 5, failed: 0 });
  t.same(read('# { total: 7, pass: 4, fail: 1, skip: 1, todo: 1 }\n').totals, { passed: 4, failed: 3 });
});

t.test('the totals of a subtest are not the totals of the run', async (t) => {
  t.same(read('    # { total: 2, pass: 2 }\n# { total: 9, pass: 9 }\n').totals, { passed: 9, failed: 0 });
});

t.test('output that stops before the totals is an error', async (t) => {
  t.throws(() => read('ok 1 - a\n'), /ended without totals/);
});

const outputWithFailures = `TAP version 14
1..4
# Subtest: dist/a.test.js
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
    1..2
    # time=5ms
not ok 1 - dist/a.test.js # time=512.5ms
  ---
  exitCode: 1
  ...

# Subtest: dist/b.test.js
    ok 1 - fine
    1..1
not ok 2 - dist/b.test.js # time=7ms
  ---
  command: /usr/bin/node
  args:
    - --enable-source-maps
  exitCode: 3
  signal: null
  ...

# Subtest: dist/c.test.js
    # Subtest: endless
        not ok 1 - timeout!
          ---
          expired: TAP
          ...
        
        1..1
    not ok 1 - endless # time=3021ms
    
    1..1
    # time=3034ms
not ok 3 - timeout!
  ---
  expired: dist/c.test.js
  ...

# Subtest: dist/d.test.js
    ok 1 - fine
    1..1
ok 4 - dist/d.test.js # time=8ms

# Subtest: dist/e.test.js
    ok 1 - fine
    1..1
    # time=9ms
not ok 5 - timeout!
  ---
  expired: dist/c.test.js
  ...

# { total: 9, pass: 4, fail: 4, skip: 1 }
`;

t.test('each failed assertion is named with its file, its tests and its diagnostics', async (t) => {
  const { files } = read(outputWithFailures);
  t.same(
    files.flatMap((file) => file.failures.map(failureText)),
    [
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
      'dist/b.test.js\n    exitCode: 3\n    signal: null',
      'dist/c.test.js > endless > timeout!\n    expired: TAP',
      'timeout!\n    expired: dist/c.test.js',
    ],
  );
});

t.test('each file is reported as it ends, with its duration', async (t) => {
  const { files, ended } = read(outputWithFailures);
  t.same(ended, files);
  t.same(
    files.map(({ file, durationMs, failures }) => [file, durationMs, failures.length]),
    [
      ['dist/a.test.js', 512.5, 2],
      ['dist/b.test.js', 7, 1],
      ['dist/c.test.js', 3034, 1],
      ['dist/d.test.js', 8, 0],
      ['dist/e.test.js', 9, 1],
    ],
  );
});
