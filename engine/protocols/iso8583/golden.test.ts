/** The worked messages of an authorization, byte by byte in both directions. All values are invented. */
import t from 'tap';
import { IsoMessage } from './message.js';
import { pack } from './pack.js';
import { Packager } from './packager.js';
import { describeRefusal } from './refusal.js';
import { unpack } from './unpack.js';

const packager = new Packager({ version: 1987, encoding: 'ascii' });

interface Golden {
  readonly name: string;
  readonly text: string;
  readonly mti: number;
  readonly fields: Readonly<Record<number, string>>;
}

const merchant = { 41: 'TERM0007', 42: 'SHOP00000000042' };
const name43 = 'CORNER GROCER            SPRINGFIELD  US';
const original = '010000032103140926530000012345600000000000';

const goldens: readonly Golden[] = [
  {
    name: '0100 for USD 80.00, contact chip',
    text:
      '0100723C448108E080001699999900000000140000000000000080000314092653000321092653031430125411' +
      '051000612345660730900' +
      '0321TERM0007SHOP00000000042CORNER GROCER            SPRINGFIELD  US840',
    mti: 100,
    fields: {
      2: '9999990000000014',
      3: '000000',
      4: '000000008000',
      7: '0314092653',
      11: '000321',
      12: '092653',
      13: '0314',
      14: '3012',
      18: '5411',
      22: '051',
      25: '00',
      32: '123456',
      37: '607309000321',
      ...merchant,
      43: name43,
      49: '840',
    },
  },
  {
    name: '0110 with a partial approval of USD 50.00',
    text:
      '0110722000000EC084001699999900000000140000000000000050000314092653000321607309000321A1B2C3' +
      '10TERM0007SHOP0000000' +
      '0042840' +
      '0400057840D0000000080000002840C000000000000',
    mti: 110,
    fields: {
      2: '9999990000000014',
      3: '000000',
      4: '000000005000',
      7: '0314092653',
      11: '000321',
      37: '607309000321',
      38: 'A1B2C3',
      39: '10',
      ...merchant,
      49: '840',
      54: '0057840D0000000080000002840C000000000000',
    },
  },
  {
    name: '0420 that reverses all',
    text:
      '0420F23800010EC080000000004000000000169999990000000014000000000000005000031409301000032209' +
      '301003140612345660730' +
      `9000321A1B2C368TERM0007SHOP00000000042840${original}`,
    mti: 420,
    fields: {
      2: '9999990000000014',
      3: '000000',
      4: '000000005000',
      7: '0314093010',
      11: '000322',
      12: '093010',
      13: '0314',
      32: '123456',
      37: '607309000321',
      38: 'A1B2C3',
      39: '68',
      ...merchant,
      49: '840',
      90: original,
    },
  },
  {
    name: '0420 after which USD 30.00 remain',
    text:
      '0420F23800010CC080000000004200000000169999990000000014000000000000005000031409301000032209' +
      '301003140612345660730' +
      `9000321A1B2C3TERM0007SHOP00000000042840${original}000000003000000000000000C00000000C00000000`,
    mti: 420,
    fields: {
      2: '9999990000000014',
      3: '000000',
      4: '000000005000',
      7: '0314093010',
      11: '000322',
      12: '093010',
      13: '0314',
      32: '123456',
      37: '607309000321',
      38: 'A1B2C3',
      ...merchant,
      49: '840',
      90: original,
      95: '000000003000000000000000C00000000C00000000',
    },
  },
  {
    name: '0430',
    text: '0430322000000A808000000000000000005000031409301000032260730900032100TERM0007840',
    mti: 430,
    fields: {
      3: '000000',
      4: '000000005000',
      7: '0314093010',
      11: '000322',
      37: '607309000321',
      39: '00',
      41: 'TERM0007',
      49: '840',
    },
  },
  {
    name: '0800 echo',
    text: '0800822000000000000004000000000000000314090000000001301',
    mti: 800,
    fields: { 7: '0314090000', 11: '000001', 70: '301' },
  },
  {
    name: '0810 echo',
    text: '081082200000020000000400000000000000031409000000000100301',
    mti: 810,
    fields: { 7: '0314090000', 11: '000001', 39: '00', 70: '301' },
  },
];

t.test('the worked messages are read field by field, and written byte by byte', async (t) => {
  const message = new IsoMessage();
  const into = Buffer.alloc(1024);
  for (const golden of goldens) {
    const refusal = unpack(packager, Buffer.from(golden.text, 'latin1'), 0, golden.text.length, message);
    t.equal(refusal === null ? '' : describeRefusal(refusal), '', golden.name);
    t.equal(message.mti, golden.mti);
    for (let field = 2; field <= 128; field++) {
      t.equal(message.text(field), golden.fields[field] ?? '', `${golden.name}, field ${field}`);
    }
    const length = pack(packager, message, into, 3);
    t.equal(length, golden.text.length, golden.name);
    t.equal(into.toString('latin1', 3, 3 + golden.text.length), golden.text, golden.name);
  }
  t.equal(goldens[0]!.text.length, 181);
  t.equal(goldens[1]!.text.length, 161);
  t.equal(goldens[2]!.text.length, 194);
  t.equal(goldens[3]!.text.length, 234);
});

t.test('the worked messages are built from their fields', async (t) => {
  const message = new IsoMessage();
  const into = Buffer.alloc(1024);
  for (const golden of goldens) {
    message.clear();
    message.mti = golden.mti;
    for (const [field, text] of Object.entries(golden.fields).reverse()) message.setText(Number(field), text);
    t.equal(pack(packager, message, into, 0), golden.text.length, golden.name);
    t.equal(into.toString('latin1', 0, golden.text.length), golden.text, golden.name);
  }
});
