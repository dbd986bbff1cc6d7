/** Fields that have fields inside. */
import t from 'tap';
import { readAdditionalAmounts, writeAdditionalAmounts } from './additional-amounts.js';
import { IsoMessage } from './message.js';
import { institutionId, readOriginalDataElements, writeOriginalDataElements } from './original-data-elements.js';
import { acceptsPartial } from './partial-approval.js';
import {
  readOriginalAmounts,
  readReplacementAmounts,
  writeOriginalAmounts,
  writeReplacementAmounts,
} from './replacement-amounts.js';

function messageWith(fields: Readonly<Record<number, string>>): IsoMessage {
  const message = new IsoMessage();
  for (const [field, text] of Object.entries(fields)) message.setText(Number(field), text);
  return message;
}

t.test('DE90 names the original by its type, trace number, time and institutions', async (t) => {
  const text = '010000032103140926530000012345600000000000';
  const original = { mti: 100, stan: 321, dateTime: '0314092653', acquirerId: '123456', forwarderId: '' };
  t.same(readOriginalDataElements(messageWith({ 90: text }), 1987), original);
  const message = new IsoMessage();
  writeOriginalDataElements(message, 1987, original);
  t.equal(message.text(90), text);
  t.equal(institutionId('00000123456'), institutionId('123456'), 'zeros in front do not count');
});

t.test('DE56 names the original in the version of 1993, with and without an acquirer', async (t) => {
  const original = { mti: 1100, stan: 321, dateTime: '260314092653', acquirerId: '123456', forwarderId: '' };
  const message = new IsoMessage();
  writeOriginalDataElements(message, 1993, original);
  t.equal(message.text(56), '110000032126031409265306123456');
  t.same(readOriginalDataElements(message, 1993), original);
  t.same(readOriginalDataElements(messageWith({ 56: '1100000321260314092653' }), 1993), {
    ...original,
    acquirerId: '',
  });
});

t.test('an original that is not of its form is none', async (t) => {
  t.equal(readOriginalDataElements(new IsoMessage(), 1987), null);
  t.equal(readOriginalDataElements(messageWith({ 90: '0100' }), 1987), null);
  t.equal(readOriginalDataElements(messageWith({ 90: 'x'.repeat(42) }), 1987), null);
  t.equal(readOriginalDataElements(messageWith({ 56: '110000032126031409265309123456' }), 1993), null);
  t.equal(readOriginalDataElements(messageWith({ 56: '11000003212603140926531212345678901' }), 1993), null);
});

t.test('DE95 has what remains, and fees with their sign', async (t) => {
  const amounts = { transactionMinor: 3000, settlementMinor: 0, transactionFeeMinor: 0, settlementFeeMinor: 0 };
  const text = '000000003000000000000000C00000000C00000000';
  t.same(readReplacementAmounts(messageWith({ 95: text })), amounts);
  const message = new IsoMessage();
  writeReplacementAmounts(message, amounts);
  t.equal(message.text(95), text);
  const withFees = { transactionMinor: 1, settlementMinor: 2, transactionFeeMinor: -3, settlementFeeMinor: 4 };
  writeReplacementAmounts(message, withFees);
  t.equal(message.text(95), '000000000001000000000002D00000003C00000004');
  t.same(readReplacementAmounts(message), withFees);
});

t.test('DE95 of a link that fills the first amount only is read', async (t) => {
  const amounts = readReplacementAmounts(messageWith({ 95: `000000003000${' '.repeat(30)}` }));
  t.same(amounts, { transactionMinor: 3000, settlementMinor: 0, transactionFeeMinor: 0, settlementFeeMinor: 0 });
  t.equal(readReplacementAmounts(messageWith({ 95: '000000003000' })), null);
  t.equal(readReplacementAmounts(messageWith({ 95: 'x'.repeat(42) })), null);
  t.throws(() => writeReplacementAmounts(new IsoMessage(), { ...amounts!, transactionMinor: 1e12 }), RangeError);
});

t.test('DE30 of the version of 1993 has the original amounts', async (t) => {
  const message = new IsoMessage();
  writeOriginalAmounts(message, { transactionMinor: 8000, settlementMinor: 7400 });
  t.equal(message.text(30), '000000008000000000007400');
  t.same(readOriginalAmounts(message), { transactionMinor: 8000, settlementMinor: 7400 });
  t.equal(readOriginalAmounts(messageWith({ 30: 'C00000000' })), null);
});

t.test('DE54 has up to six amounts', async (t) => {
  const text = '0057840D0000000080000002840C000000000000';
  const group = { accountType: '00', currency: '840' };
  const amounts = [
    { ...group, amountType: '57', isDebit: true, amountMinor: 8000 },
    { ...group, amountType: '02', isDebit: false, amountMinor: 0 },
  ];
  t.same(readAdditionalAmounts(messageWith({ 54: text })), amounts);
  const message = new IsoMessage();
  writeAdditionalAmounts(message, amounts);
  t.equal(message.text(54), text);
  writeAdditionalAmounts(message, [{ ...group, amountType: '02', isDebit: false, amountMinor: 41240 }]);
  t.equal(message.text(54), '0002840C000000041240');
  t.same(readAdditionalAmounts(new IsoMessage()), []);
  t.equal(readAdditionalAmounts(messageWith({ 54: text.slice(1) })), null);
  t.equal(readAdditionalAmounts(messageWith({ 54: text.replace('C', 'X') })), null);
  t.equal(readAdditionalAmounts(messageWith({ 54: '0002840C000000041240'.repeat(7) })), null);
  t.throws(() => writeAdditionalAmounts(message, Array(7).fill(amounts[0])), RangeError);
  t.throws(() => writeAdditionalAmounts(message, [{ ...amounts[0]!, currency: '84' }]), RangeError);
});

t.test('a link finds the partial approval flag in a sub-element, or at a place of a field', async (t) => {
  const inSubElement = { field: 48, subElement: 61, skip: 1, position: 1, value: '1' };
  t.ok(acceptsPartial(messageWith({ 48: 'R420701032106105100002' }), inSubElement));
  t.notOk(acceptsPartial(messageWith({ 48: 'R420701032106105000002' }), inSubElement), 'the flag says no');
  t.notOk(acceptsPartial(messageWith({ 48: 'R42070103210' }), inSubElement), 'the sub-element is absent');
  t.notOk(acceptsPartial(messageWith({ 48: 'R61051' }), inSubElement), 'the sub-element is cut');
  t.notOk(acceptsPartial(messageWith({ 48: 'R610061051' }), inSubElement), 'the sub-element is empty');
  t.notOk(acceptsPartial(new IsoMessage(), inSubElement));
  const atPlace = { field: 60, position: 10, value: '1' };
  t.ok(acceptsPartial(messageWith({ 60: '0000000001' }), atPlace));
  t.notOk(acceptsPartial(messageWith({ 60: '1111111110' }), atPlace));
  t.notOk(acceptsPartial(messageWith({ 60: '111111111' }), atPlace));
});
