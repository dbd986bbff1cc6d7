/**
 * What is wrong with a message of ISO 8583. A refusal names the field and the place and never shows the content: a
 * field that cannot be read may be a card number that is one byte off.
 */

/** What is wrong; the words are for the log and for a person who sets up a link. */
const faultWords = {
  truncated: 'the message ends before the field does',
  trailing: 'bytes follow after the last field',
  mti: 'the message type has other characters than digits',
  version: 'the message type is of another version of ISO 8583 than the link',
  bitmap: 'the bitmap has other characters than hexadecimal digits',
  third_bitmap: 'bit 65 announces a third bitmap, which no link has',
  unknown_field: 'the packager of the link does not know the field',
  length: 'the length of the field cannot be read',
  too_long: 'the field is longer than the packager of the link permits',
  too_short: 'the field has a fixed length and its value is shorter',
  content: 'the field has characters that its kind does not permit',
  padding: 'the unused half byte of the field is not the padding of the link',
  no_room: 'the message does not fit into a frame',
} as const;

export type IsoFault = keyof typeof faultWords;

export interface IsoRefusal {
  readonly fault: IsoFault;
  /** 2 to 128; 0: the message type, 1: the bitmap. */
  readonly field: number;
  /** Bytes from the message's first one to the place at fault. */
  readonly offset: number;
}

export function isoRefusal(fault: IsoFault, field: number, offset: number): IsoRefusal {
  return { fault, field, offset };
}

/** One line for a person, without content. */
export function describeRefusal({ fault, field, offset }: IsoRefusal): string {
  const place = field === 0 ? 'message type' : field === 1 ? 'bitmap' : `field ${field}`;
  return `${place} at byte ${offset}: ${faultWords[fault]}`;
}
