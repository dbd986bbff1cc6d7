import fc from 'fast-check';
import t from 'tap';
import { displayText } from '../../engine/protocols/reading/display-text.js';
import { runs } from '../../engine/testing/runs.js';
import { holdsPan, isCardNumber, maskCardData, maskedStart, maskPans, maskPansInText, textHoldsPan } from './redact.js';

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
  ['2200', 16],
  ['2204', 19],
  ['60', 16],
  ['65', 16],
  ['81', 16],
  ['82', 16],
  ['508', 16],
  ['9792', 16],
  ['606282', 16],
  ['384100', 16],
  ['1', 15],
  ['8600', 16],
  ['9860', 16],
];

const asciiText = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const holds = (text: string): boolean => holdsPan(asciiText(text), 0, text.length);

t.test('a number of every network is found in any notation and between any characters', async (t) => {
  for (const [first, length] of ranges) {
    const number = pan(first, length);
    const grouped = (by: string): string => number.replace(/(\d{4})(?=\d)/g, `$1${by}`);
    for (const text of [
      number,
      grouped(' '),
      grouped('-'),
      grouped('.'),
      grouped('_'),
      grouped('/'),
      grouped('  '),
      grouped(' - '),
      `auth${number}`,
      `000${number}`,
      `A${number}B`,
      `${number}1226`,
      `${number}/12`,
      `${grouped(' ')} 12/26`,
      `m@${number}.com`,
    ]) {
      t.equal(holds(text), true, text);
      t.equal(textHoldsPan(text), true, text);
    }
    for (const by of ['\u00a0', '\u2013', '\u2009\u2009', '\u200b', ' \u00b7 ']) {
      t.equal(textHoldsPan(grouped(by)), true, grouped(by));
      t.notMatch(maskPansInText(`é ${grouped(by)}`), /\d{5}|\d{4}.\d/u);
    }
    const wide = number.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xfee0));
    const arabic = number.replace(/\d/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0x630));
    const bold = number.replace(/\d/g, (digit) => String.fromCodePoint(digit.charCodeAt(0) - 0x30 + 0x1d7ce));
    for (const text of [wide, arabic, bold]) {
      t.equal(textHoldsPan(text), true, text);
      t.equal([...maskPansInText(text)].filter((character) => character === '*').length, length - 4);
    }
  }
});

t.test('text that is no card number stays as it is', async (t) => {
  const ordinary = [
    '4111111111111112', // Luhn
    '1732300000000', // milliseconds
    '9732300000000124',
    '9111111111111111',
    '411111111111',
    '4111a1111a1111a1111',
    '41111111*11111111',
    '7d1e4c2a-0000-4000-8000-00000000b001',
    'card_000001_1',
    '',
  ];
  for (const text of ordinary) {
    t.equal(holds(text), false, text);
    t.equal(textHoldsPan(text), false, text);
    t.equal(maskPansInText(text), text);
  }
});

t.test('a card token counts as a card number only when it is nothing else', async (t) => {
  for (const text of [
    '4111111111111111',
    '4111 1111 1111 1111',
    '4111.1111_1111/1111',
    '0004111111111111111',
    '41111111111111111226',
    '4111111111111111/12/26',
    '4111111111111111 122026',
    '４１１１１１１１１１１１１１１１',
    '378282246310005',
    '135410014004955',
  ]) {
    t.equal(isCardNumber(text), true, text);
  }
  for (const text of [
    'auth4111111111111111',
    '4111111111111112',
    '41111111111111119999',
    'c0.4546743544545123',
    '1',
    // What holdsPan, which clears nearly every token, takes for no card number must be none here either.
    '4111*1111.1111.1111',
  ]) {
    t.equal(isCardNumber(text), false, text);
  }
});

t.test('only the requested range is read', async (t) => {
  const bytes = bytesOf('4111111111111111');
  t.equal(holdsPan(bytes, 0, 15), false);
  t.equal(holdsPan(bytes, 0, 16), true);
  t.equal(holdsPan(bytes, 1, 16), false);
});

t.test('masking keeps the last four digits, the separators and the length', async (t) => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['SHOP 4111-1111-1111-1111 X', 'SHOP ****-****-****-1111 X'],
    ['4111111111111111', '************1111'],
    ['REF 1234567890123456', 'REF 1234567890123456'],
    ['two 4111111111111111 and 378282246310005', 'two ************1111 and ***********0005'],
    ['B4111111111111111', 'B************1111'],
    ['SHOP 4419834459135033 942472608929', 'SHOP **************** ********8929'],
    ['Corner Store', 'Corner Store'],
    ['', ''],
  ];
  for (const [text, expected] of cases) {
    const bytes = bytesOf(text);
    t.equal(maskPans(bytes, 0, bytes.length), text !== expected, text);
    t.equal(Buffer.from(bytes).toString(), expected);
  }
});

/** Texts that nearly are card numbers, next to each other, with everything between. */
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ranges).map(([first, length]) => pan(first, length)) },
  { weight: 6, arbitrary: fc.stringMatching(/^[0-9]{1,20}$/) },
  { weight: 4, arbitrary: fc.constantFrom(' ', '  ', '-', '_', '/', '.', '*', ',', 'x', '') },
);
const ascii = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
const unicode = fc
  .array(fc.oneof(piece, fc.constantFrom('\u00a0', '\u2013', 'é', '４', '\u202e', '\u0000', '😀', '\ud800')), {
    maxLength: 8,
  })
  .map((pieces) => pieces.join(''));

t.test('masking twice changes nothing and leaves no card number', async () => {
  fc.assert(
    fc.property(ascii, (text) => {
      const bytes = asciiText(text);
      maskPans(bytes, 0, bytes.length);
      const once = Buffer.from(bytes).toString('latin1');
      if (maskPansInText(text) !== once) throw new Error(`bytes ${once}, text ${maskPansInText(text)}`);
      return !maskPans(bytes, 0, bytes.length) && !holds(once);
    }),
    runs(5000),
  );
  fc.assert(
    fc.property(unicode, (text) => {
      const once = maskPansInText(text);
      const shown = displayText(text, 128);
      return (
        maskPansInText(once) === once &&
        !textHoldsPan(once) &&
        maskCardData(maskCardData(text)) === maskCardData(text) &&
        displayText(shown, 128) === shown
      );
    }),
    runs(5000),
  );
});

t.test('a log line keeps no card data', async (t) => {
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
    ['{"ms":4.1111111111111111,"n":[4111,1111,1111,1111]}', '{"ms":4.1111111111111111,"n":[4111,1111,1111,1111]}'],
    ['{"id":"auth_4111_1111_1111_1111"}', '{"id":"auth_****_****_****_1111"}'],
  ];
  for (const [text, expected] of cases) t.equal(maskCardData(text), expected);
});

t.test('masking a log line takes time linear in its length', async (t) => {
  for (const unit of ['4', '4 ', 'cvv', '"cvv":"', '\\', '\\"', '%B4111111111111^', ';1234567890123=', 'pin=\\"\\"']) {
    maskCardData(unit.repeat(Math.ceil(200_000 / unit.length)));
  }
  t.pass('every line was masked');
});

t.test('a text that is cut within a card number shows no more of its digits than a whole one', async (t) => {
  const text = 'card 4111111111111111 declined';
  for (let length = 0; length <= text.length; length++) {
    t.equal(maskedStart(text, length), 'card ************1111 declined'.slice(0, length));
  }
});
