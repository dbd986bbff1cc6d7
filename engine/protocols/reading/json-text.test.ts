import t from 'tap';
import { memberText } from './json-text.js';

t.test('a member is found by path, the last of equal names, in any spelling', async (t) => {
  const table: ReadonlyArray<readonly [string, readonly string[], string | null]> = [
    ['{"a":1}', ['a'], '1'],
    [' { "a" : 84.20 , "b" : 2 } ', ['a'], '84.20'],
    ['{"a":{"b":{"c":-1e5}}}', ['a', 'b', 'c'], '-1e5'],
    ['{"a":1,"a":2}', ['a'], '2'],
    ['{"a":1,"\\u0061":2}', ['a'], '2'],
    ['{"a":{"b":1},"a":{"c":2}}', ['a', 'b'], null],
    ['{"x":"\\"a\\":9","y":[{"a":5},"]"],"a":7}', ['a'], '7'],
    ['{"x":{"a":3}}', ['a'], null],
    ['{"a":[1]}', ['a', '0'], null],
    ['{}', ['a'], null],
    ['[]', ['a'], null],
    ['{"a":"x\\\\"}', ['a'], '"x\\\\"'],
    ['{"a":{} ,"b":[]\n}', ['b'], '[]'],
    ['{"a":true}', ['a'], 'true'],
  ];
  for (const [text, path, expected] of table) {
    const range = memberText(text, path);
    t.equal(range === null ? null : text.slice(range.start, range.end), expected, text);
  }
});
