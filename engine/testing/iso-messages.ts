/** Messages of a network, for tests of ISO 8583 links. */
import type postgres from 'postgres';
import { type IsoFields, testPanToken } from './iso-client.js';

/** Gives the account's card a second one beside it, whose token stands for that number. */
export async function addCard(sql: postgres.Sql, account: number, pan: string, token = testPanToken(pan)) {
  const padded = String(account).padStart(6, '0');
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select ${token}, ${token}, account_id, user_id, name, expires from cards where token = ${`card_${padded}_1`}`;
  return `acct_${padded}`;
}

/** An invented number: no network has the prefix 999999. */
export const panOf = (number: number) => `999999${String(number).padStart(10, '0')}`;

let trace = 0;
export const nextTrace = () => String(++trace).padStart(6, '0');

export type MoreFields = Readonly<Record<number, string>>;

/** A message of 1987 about a purchase in a shop. */
export function isoMessage(mti: string, pan: string, amount: number, more: MoreFields = {}): IsoFields {
  const stan = nextTrace();
  return {
    mti,
    2: pan,
    3: '000000',
    4: digits(amount),
    7: '0314092653',
    11: stan,
    12: '092653',
    13: '0314',
    18: '5411',
    22: '051',
    32: '123456',
    37: `607309${stan}`,
    41: 'TERM0007',
    42: 'SHOP00000000042',
    43: 'CORNER GROCER            SPRINGFIELD  US',
    49: '840',
    ...more,
  };
}

const digits = (amount: number) => String(amount).padStart(12, '0');

/** DE 90 of a message. */
export const originalOf = (fields: IsoFields) =>
  fields.mti + fields[11] + fields[7] + fields[32]!.padStart(11, '0') + '0'.repeat(11);

/** The reversal of a message. */
export const reversalOf = (mti: string, fields: IsoFields, more: MoreFields = {}): IsoFields =>
  isoMessage(mti, fields[2]!, Number(fields[4]), { 3: fields[3]!, 90: originalOf(fields), ...more });

/** DE 95 with what remains. */
export const remains = (amount: number) => `${digits(amount)}000000000000C00000000C00000000`;

export const repeated = (fields: IsoFields): IsoFields => ({ ...fields, mti: `${fields.mti.slice(0, 3)}1` });

/** The same as a link of 1993 has it. */
export function as1993({ mti, 13: _date, 18: mcc, 22: _entry, 43: _place, ...fields }: IsoFields): IsoFields {
  return {
    ...fields,
    mti: `1${mti.slice(1)}`,
    12: `26${fields[7]}`,
    26: mcc!,
    43: 'CORNER GROCER\\1 MAIN STREET\\SPRINGFIELD\\00000     840',
  };
}
