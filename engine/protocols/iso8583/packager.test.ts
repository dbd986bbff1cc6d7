/** How the packagers of links differ, byte by byte, and what they refuse. */
import t from 'tap';
import { IsoMessage } from './message.js';
import { pack } from './pack.js';
import { Packager, type PackagerSettings } from './packager.js';
import { describeRefusal } from './refusal.js';
import { unpack } from './unpack.js';

const ascii: PackagerSettings = { version: 1987, encoding: 'ascii' };

function hexOf(settings: PackagerSettings, mti: number, fields: Readonly<Record<number, string>>): string {
  const message = new IsoMessage();
  message.mti = mti;
  for (const [field, text] of Object.entries(fields)) message.setText(Number(field), text);
  const into = Buffer.alloc(4096);
  const length = pack(new Packager(settings), message, into, 0);
  return typeof length === 'number' ? into.toString('hex', 0, length) : describeRefusal(length);
}

/** What reading says: '' or the refusal in words. */
function read(settings: PackagerSettings, bytes: Buffer, message = new IsoMessage()): string {
  const refusal = unpack(new Packager(settings), bytes, 0, bytes.length, message);
  return refusal === null ? '' : describeRefusal(refusal);
}

const fields = { 2: '99999900000000149', 11: '000321', 24: '123', 41: 'TERM0007' };

t.test('packed digits have an odd one padded in front, and lengths of one byte', async (t) => {
  t.equal(
    hexOf({ version: 1987, encoding: 'bcd' }, 100, fields),
    ['0100', '4020010000800000', '17099999900000000149', '000321', '0123', '5445524d30303037'].join(''),
  );
});

t.test('packed digits are padded behind where the link says so', async (t) => {
  const settings: PackagerSettings = { version: 1987, encoding: 'bcd', bcdPadding: 'right_f', prefix: 'binary' };
  t.match(hexOf(settings, 100, fields), /^010040200100008000001199999900000000149f000321123f/);
  const counted = { ...settings, overrides: { 2: { prefixCounts: 'wire' } } } as const;
  t.match(hexOf(counted, 100, fields), /^010040200100008000000999999900000000149f/);
});

t.test('EBCDIC has its own digits, letters and lengths', async (t) => {
  t.equal(
    hexOf({ version: 1987, encoding: 'ebcdic' }, 100, { 2: '99', 41: 'TERM0007' }),
    ['f0f1f0f0', '4000000000800000', 'f0f2f9f9', 'e3c5d9d4f0f0f0f7'].join(''),
  );
  t.equal(
    hexOf({ version: 1987, encoding: 'ebcdic', bitmap: 'ebcdic_hex' }, 800, { 70: '301' }),
    `f0f8f0f0${'f8'}${'f0'.repeat(15)}${'f0f4'}${'f0'.repeat(14)}${'f3f0f1'}`,
  );
  const message = new IsoMessage();
  const bytes = Buffer.from(`f0f1f0f0${'0000000000200000'}c3d6d9d5c5d940${'40'.repeat(33)}`, 'hex');
  t.equal(read({ version: 1987, encoding: 'ebcdic' }, bytes, message), '');
  t.equal(message.text(43), 'CORNER'.padEnd(40));
});

t.test('track 2 keeps its separator in packed digits', async (t) => {
  const settings: PackagerSettings = { version: 1987, encoding: 'bcd' };
  const hex = hexOf(settings, 100, { 35: '9999990000000014=30122011' });
  t.equal(hex, `0100000000002000000025${'09999990000000014d30122011'}`);
  t.equal(hexOf(settings, 100, { 35: '9999990000000014D30122011' }), hex);
  const message = new IsoMessage();
  t.equal(read(settings, Buffer.from(hex, 'hex'), message), '');
  t.equal(message.text(35), '9999990000000014=30122011');
});

t.test('a refusal names the field and the place, and shows nothing of the content', async (t) => {
  const pan = '0100400000000000000016';
  for (const [text, said] of [
    ['', 'message type at byte 0: the message ends before the field does'],
    ['01x0', 'message type at byte 0: the message type has other characters than digits'],
    ['1100', 'message type at byte 0: the message type is of another version of ISO 8583 than the link'],
    ['0100400000000000000', 'bitmap at byte 4: the message ends before the field does'],
    ['0100g000000000000000', 'bitmap at byte 4: the bitmap has other characters than hexadecimal digits'],
    [
      `0100C0000000000000008000000000000000${'0'.repeat(16)}`,
      'bitmap at byte 20: bit 65 announces a third bitmap, which no link has',
    ],
    [`${pan}999999000000001`, 'field 2 at byte 20: the message ends before the field does'],
    [`${pan}99999900000000x4`, 'field 2 at byte 20: the field has characters that its kind does not permit'],
    ['010040000000000000002x99', 'field 2 at byte 20: the length of the field cannot be read'],
    [
      '01004000000000000000209999990000000014000',
      'field 2 at byte 20: the field is longer than the packager of the link permits',
    ],
    [`${pan}99999900000000149`, 'field 2 at byte 38: bytes follow after the last field'],
  ] as const) {
    t.equal(read(ascii, Buffer.from(text, 'latin1')), said);
    t.notMatch(said, /99999/);
  }
  const withoutField = { ...ascii, overrides: { 2: null } };
  t.equal(
    read(withoutField, Buffer.from(`${pan}9999990000000014`)),
    'field 2 at byte 20: the packager of the link does not know the field',
  );
  t.equal(
    read({ version: 1987, encoding: 'bcd' }, Buffer.from('010000000100000000001123', 'hex')),
    'field 24 at byte 10: the unused half byte of the field is not the padding of the link',
  );
});

t.test('a field with wrong characters leaves the others readable, so that the message can be answered', async (t) => {
  const message = new IsoMessage();
  const text = '0100602000000000000016999999000000001400000x000321';
  t.match(read(ascii, Buffer.from(text), message), /^field 3 at byte 38/);
  t.equal(message.mtiText, '0100');
  t.notOk(message.has(3));
  t.equal(message.integer(11), 321);
});

t.test('a message that its packager cannot write is refused', async (t) => {
  t.match(hexOf(ascii, 100, { 2: '1'.repeat(20) }), /^field 2 at byte 20: the field is longer/);
  t.match(hexOf(ascii, 100, { 4: '12x' }), /^field 4 at byte 20: the field has characters/);
  t.match(hexOf(ascii, 100, { 52: '1234' }), /^field 52 at byte 20: the field has a fixed length/);
  t.match(hexOf(ascii, 1100, { 4: '12' }), /^message type at byte 0: .* another version/);
  t.match(hexOf(ascii, 12_345, { 4: '12' }), /^message type at byte 0: .* other characters/);
  t.match(hexOf({ ...ascii, overrides: { 4: null } }, 100, { 4: '12' }), /^field 4 at byte 20: .* does not know/);
  const message = new IsoMessage();
  message.mti = 100;
  message.setText(4, '8000');
  for (let room = 0; room < 32; room++) {
    t.match(pack(new Packager(ascii), message, new Uint8Array(room), 0), { fault: 'no_room' }, `${room} bytes`);
  }
  t.equal(pack(new Packager(ascii), message, new Uint8Array(32), 0), 32);
});

t.test('a message keeps what is set last, and takes fields of another over', async (t) => {
  const message = new IsoMessage();
  const other = new IsoMessage();
  message.setText(48, 'short');
  message.setText(48, 'a longer value');
  message.setText(48, 'less');
  message.setInteger(11, 321, 6);
  message.setText(43, 'Zürich €');
  t.equal(message.text(48), 'less');
  t.equal(message.text(43), 'Zürich ?');
  t.equal(message.integer(11), 321);
  t.ok(message.equals(11, '000321'));
  t.notOk(message.equals(11, '000322'));
  t.notOk(message.equals(12, ''));
  other.copy(11, message);
  other.copy(12, message);
  t.equal(other.text(11), '000321');
  t.notOk(other.has(12));
  message.remove(11);
  t.ok(Number.isNaN(message.integer(11)));
  t.ok(Number.isNaN(message.integer(48)));
  for (const field of [0, 1, 65, 129, 2.5]) t.throws(() => message.setText(field, 'x'), RangeError);
  t.throws(() => message.setInteger(11, 1_000_000, 6), RangeError);
  t.throws(() => message.setInteger(11, -1, 6), RangeError);
  t.throws(() => message.setText(48, 'x'.repeat(40_000)), RangeError);
});

t.test('a message beyond 8 KB is refused before it is read', async (t) => {
  const said = 'message type at byte 8192: the message does not fit into a frame';
  t.equal(read(ascii, Buffer.alloc(8193, '0')), said);
  t.not(read(ascii, Buffer.alloc(8192, '0')), said);
});
