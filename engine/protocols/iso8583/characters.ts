/**
 * Characters of ISO 8583 links: EBCDIC code page 037 to Latin-1 and back, and the classes that the kinds of a field are
 * made of. Values in memory are always Latin-1, so that one table of classes serves every encoding.
 */

/**
 * Latin-1 character of each EBCDIC byte, in hexadecimal.
 * Source: Unicode, Mappings/VENDORS/MICSFT/EBCDIC/CP037.TXT. The mapping is one to one over all 256 bytes.
 */
const codePage037 =
  '000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f80818283840a171b88898a8b8c050607' +
  '909116939495960498999a9b14159e1a20a0e2e4e0e1e3e5e7f1a22e3c282b7c26e9eaebe8edeeefecdf21242a293bac' +
  '2d2fc2c4c0c1c3c5c7d1a62c255f3e3ff8c9cacbc8cdcecfcc603a2340273d22d8616263646566676869abbbf0fdfeb1' +
  'b06a6b6c6d6e6f707172aabae6b8c6a4b57e737475767778797aa1bfd0dddeae5ea3a5b7a9a7b6bcbdbe5b5dafa8b4d7' +
  '7b414243444546474849adf4f6f2f3f57d4a4b4c4d4e4f505152b9fbfcf9faff5cf7535455565758595ab2d4d6d2d3d5' +
  '30313233343536373839b3dbdcd9da9f';

/** The table of ASCII links: each byte is its own character. */
const identity = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const fromCodePage037 = Uint8Array.from(Buffer.from(codePage037, 'hex'));
const toCodePage037 = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) toCodePage037[fromCodePage037[byte]!] = byte;

/** Bytes on the wire to Latin-1, and back. */
export interface CharacterSet {
  readonly decode: Uint8Array;
  readonly encode: Uint8Array;
}

export const ascii: CharacterSet = { decode: identity, encode: identity };
export const ebcdic: CharacterSet = { decode: fromCodePage037, encode: toCodePage037 };

/** Classes of characters: a kind of field permits the sum of some. */
export const CharacterClass = { digit: 1, letter: 2, space: 4, special: 8, track: 16 } as const;

/**
 * Classes of each Latin-1 character; 0: in no field of text. Bytes above 0x7F count as special: a merchant's name with
 * an accent, in whatever encoding, must not refuse a purchase.
 */
export const classesOf = new Uint8Array(256);
const { digit, letter, space, special, track } = CharacterClass;
for (let code = 0x21; code < 256; code++) classesOf[code] = special;
classesOf[0x20] = space;
classesOf[0x7f] = 0;
for (let code = 0x30; code <= 0x39; code++) classesOf[code] = digit | track;
for (let code = 0x41; code <= 0x5a; code++) classesOf[code] = letter;
for (let code = 0x61; code <= 0x7a; code++) classesOf[code] = letter;
// Track 2 and 3 have the sixteen characters 0x30 to 0x3F; some links send the separator "=" as the letter D.
for (let code = 0x3a; code <= 0x3f; code++) classesOf[code] = special | track;
classesOf[0x44] = letter | track;

/** Value of a hexadecimal digit in Latin-1; 255: none. */
export const hexValueOf = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  const text = value.toString(16);
  hexValueOf[text.charCodeAt(0)] = value;
  hexValueOf[text.toUpperCase().charCodeAt(0)] = value;
}

/** Latin-1 code of each hexadecimal digit. */
export const hexDigits = Uint8Array.from(Buffer.from('0123456789ABCDEF', 'latin1'));
