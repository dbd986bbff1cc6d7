import t from 'tap';
import { looksLikePan, maskCardData, maskPans } from './redact.js';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

/** Completes `head` with zeros and a Luhn digit to `length`. */
function pan(head: string, length: number): string {
  const body = head.padEnd(length - 1, '0');
  let sum = 0;
  for (let index = 0; index < body.length; index++) {
    let digit = Number(body[body.length - 1 - index]);
    if (index % 2 === 0) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return body + String((10 - (sum % 10)) % 10);
}

const ranges: ReadonlyArray<readonly [string, number]> = [
  ['4', 13],
  ['4', 16],
  ['4', 19],
  ['51', 16],
  ['55', 16],
  ['2221', 16],
  ['2720', 16],
  ['34', 15],
  ['37', 15],
  ['6011', 16],
  ['644', 16],
  ['649', 19],
  ['65', 16],
  ['3528', 16],
  ['3589', 19],
  ['300', 14],
  ['305', 16],
  ['36', 14],
  ['38', 19],
  ['62', 16],
  ['62', 19],
  ['50', 13],
  ['56', 16],
  ['58', 19],
  ['63', 13],
  ['67', 19],
];

t.test('a number of every network is taken for a card number, alone, grouped, and apart within a text', (t) => {
  for (const [head, length] of ranges) {
    const number = pan(head, length);
    const grouped = number.replace(/(\d{4})(?=\d)/g, '$1 ');
    for (const text of [
      number,
      grouped,
      grouped.replaceAll(' ', '-'),
      `auth-${number}`,
      `${number}_x`,
      `a:${number}:b`,
    ]) {
      t.equal(looksLikePan(bytesOf(text), 0, Buffer.byteLength(text)), true, text);
    }
  }
  t.end();
});

t.test('ordinary tokens are not taken for card numbers', (t) => {
  const ordinary = [
    '4111111111111112', // Luhn
    '41111111111111110', // Visa has no 17 digits
    '1732300000000', // milliseconds
    '1732300000000123',
    '9111111111111111',
    '4111  1111 1111 1111', // two spaces
    '411111111111',
    '41111111111111111111', // 20 digits
    'a4111111111111111', // within a word, as in a hex id
    '4111111111111111f',
    '7d1e4c2a-0000-4000-8000-00000000b001',
    'card_000001_1',
    '',
  ];
  for (const text of ordinary) t.equal(looksLikePan(bytesOf(text), 0, Buffer.byteLength(text)), false, text);
  t.end();
});

t.test('a UUID is never refused', (t) => {
  let seed = 12345;
  const hex = (length: number): string => {
    let text = '';
    for (let index = 0; index < length; index++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      // Digits only, the worst case a UUID can show.
      text += String((seed >>> 16) % 10);
    }
    return text;
  };
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = bytesOf(`${hex(3)}a${hex(4)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`);
    if (looksLikePan(bytes, 0, bytes.length)) refused++;
  }
  t.equal(refused, 0);
  t.end();
});

t.test('only the range asked about is read', (t) => {
  const bytes = bytesOf('4111111111111111');
  t.equal(looksLikePan(bytes, 0, 15), false);
  t.equal(looksLikePan(bytes, 0, 16), true);
  t.equal(looksLikePan(bytes, 1, 16), false);
  t.end();
});

t.test('masking keeps the last four digits, the separators and the length', (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['SHOP 4111-1111-1111-1111 X', 'SHOP ****-****-****-1111 X'],
    ['4111111111111111', '************1111'],
    ['0042 4111 1111 1111 1111', '0042 **** **** **** 1111'],
    ['REF 1234567890123456', 'REF 1234567890123456'],
    ['two 4111111111111111,378282246310005', 'two ************1111,***********0005'],
    ['B4111111111111111', 'B************1111'],
    ['Corner Store', 'Corner Store'],
    ['', ''],
  ];
  for (const [text, expected] of cases) {
    const bytes = bytesOf(text);
    t.equal(maskPans(bytes, 0, bytes.length), text !== expected, text);
    t.equal(Buffer.from(bytes).toString(), expected);
    t.equal(maskPans(bytes, 0, bytes.length), false, 'masking twice changes nothing');
  }
  t.end();
});

t.test('a log line keeps no card data', (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['card 4111 1111 1111 1111 declined', 'card **** **** **** 1111 declined'],
    ['{"cvv":"123","amount":5}', '{"cvv":"[masked]","amount":5}'],
    ['{"cvv2": 123, "a":1}', '{"cvv2": [masked], "a":1}'],
    ['{"PIN":"1234"}', '{"PIN":"[masked]"}'],
    ['{"pin_block":"04AB"}', '{"pin_block":"[masked]"}'],
    ['{"track2":";4111111111111111=25121010000012345678?"}', '{"track2":"[masked]"}'],
    ['x ;4111111111111111=25121010000012345678? y', 'x [masked] y'],
    ['x %B4111111111111111^DOE/JOHN^25121010000? y', 'x [masked] y'],
    ['4111111111111111D25121010000', '[masked]'],
    ['cvc=999&x=1', 'cvc=[masked]&x=1'],
    ['{\\"cvv\\":\\"123\\",\\"b\\":1}', '{\\"cvv\\":\\"[masked]\\",\\"b\\":1}'],
    ['"cvv":"12', '"cvv":"[masked]"'],
    ['shipping: fast, spinning=1', 'shipping: fast, spinning=1'],
    ['café 4111111111111111 ✓', 'café ************1111 ✓'],
    ['nothing here', 'nothing here'],
  ];
  for (const [text, expected] of cases) t.equal(maskCardData(text), expected);
  t.end();
});

t.test('masking a log line takes time linear in its length', (t) => {
  for (const unit of ['4', '4 ', 'cvv', '"cvv":"', '\\', '\\"', '%B4111111111111^', ';1234567890123=', 'pin=\\"\\"']) {
    maskCardData(unit.repeat(Math.ceil(200_000 / unit.length)));
  }
  t.pass('all ended');
  t.end();
});
