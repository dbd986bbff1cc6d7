/** The worked messages of an authorization, byte by byte in both directions. */
import t from 'tap';
import { IsoMessage } from './message.js';
import { pack } from './pack.js';
import { Packager } from './packager.js';
import { describeRefusal } from './refusal.js';
import { workedMessages } from './testing/worked-messages.js';
import { unpack } from './unpack.js';

const packager = new Packager({ version: 1987, encoding: 'ascii' });

t.test('the worked messages are read field by field, and written byte by byte', async (t) => {
  const message = new IsoMessage();
  const into = Buffer.alloc(1024);
  for (const worked of workedMessages) {
    const refusal = unpack(packager, Buffer.from(worked.text, 'latin1'), 0, worked.text.length, message);
    t.equal(refusal === null ? '' : describeRefusal(refusal), '', worked.name);
    t.equal(message.mti, worked.mti);
    for (let field = 2; field <= 128; field++) {
      t.equal(message.text(field), worked.fields[field] ?? '', `${worked.name}, field ${field}`);
    }
    const length = pack(packager, message, into, 3);
    t.equal(length, worked.text.length, worked.name);
    t.equal(into.toString('latin1', 3, 3 + worked.text.length), worked.text, worked.name);
  }
  t.equal(workedMessages[0]!.text.length, 181);
  t.equal(workedMessages[1]!.text.length, 161);
  t.equal(workedMessages[2]!.text.length, 194);
  t.equal(workedMessages[3]!.text.length, 234);
});

t.test('the worked messages are built from their fields', async (t) => {
  const message = new IsoMessage();
  const into = Buffer.alloc(1024);
  for (const worked of workedMessages) {
    message.clear();
    message.mti = worked.mti;
    for (const [field, text] of Object.entries(worked.fields).reverse()) message.setText(Number(field), text);
    t.equal(pack(packager, message, into, 0), worked.text.length, worked.name);
    t.equal(into.toString('latin1', 0, worked.text.length), worked.text, worked.name);
  }
});
