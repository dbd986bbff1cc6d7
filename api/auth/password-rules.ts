/**
 * What a new password must be: long enough, and nothing that a guesser tries first. The list of common passwords comes
 * with the package, so nothing leaves this machine. Passwords that were set before are not looked at.
 */
import { dictionary } from '@zxcvbn-ts/language-common';
import { invalid } from '../http/problem.js';

export const passwordLengthMin = 12;
/** A longer one is no safer, and costs time to read. */
export const passwordLengthMax = 200;
const differentMin = 5;
/** What a password must have beside names that a guesser knows. */
const restLengthMin = 8;
/** A shorter name or word turns up in good passwords by chance. */
const wordLengthMin = 4;

const common: ReadonlySet<string> = new Set(dictionary['passwords-common']);
const rows = ['abcdefghijklmnopqrstuvwxyz', '1234567890', 'qwertyuiopasdfghjklzxcvbnm', 'qwertzuiopasdfghjklyxcvbnm'];
const runs = rows
  .flatMap((row) => [row, [...row].reverse().join('')])
  .map((row) => row.repeat(Math.ceil(40 / row.length)));
/** What people write for a letter. */
const letters: Readonly<Record<string, string>> = {
  '0': 'o',
  '1': 'i',
  '3': 'e',
  '4': 'a',
  '5': 's',
  '7': 't',
  '@': 'a',
  $: 's',
};

/**
 * Throws 400 unless the password may be set.
 * @param field of the body
 * @param about what a guesser knows of the user: e-mail address, names
 */
export function checkNewPassword(field: string, password: string, about: readonly string[]): void {
  const text = password.normalize('NFKC');
  const folded = text.toLowerCase();
  if ([...text].length < passwordLengthMin) throw invalid(field, `must have at least ${passwordLengthMin} characters`);
  if (new Set(folded).size < differentMin)
    throw invalid(field, `must have at least ${differentMin} different characters`);
  if (isCommon(folded) || runs.some((run) => run.includes(folded))) {
    throw invalid(field, 'is one of those that are guessed first: choose another');
  }
  const rest = wordsOf(about).reduce((left, word) => left.replaceAll(word, ''), folded);
  if (rest !== folded && [...rest].length < restLengthMin) {
    throw invalid(field, 'is little more than your name, your company or your e-mail address: choose another');
  }
}

/** A common password itself, decorated at its ends, said several times, or with digits for letters. */
function isCommon(folded: string): boolean {
  return [folded, ...decorationsOff(folded)].some((form) => {
    const unit = repeatedUnit(form);
    return [form, unit, unleeted(form), unleeted(unit)].some((candidate) => common.has(candidate));
  });
}

/** Without digits and signs at its ends; an empty rest is a run of digits and signs, which the list judges as it is. */
function decorationsOff(text: string): string[] {
  const [, tail = ''] = /^(.*?)[^\p{L}]*$/u.exec(text) ?? [];
  const [, core = ''] = /^[^\p{L}]*(.*)$/u.exec(tail) ?? [];
  return [tail, core].filter((form) => form.length >= wordLengthMin);
}

/** `abc` of `abcabcabc` and of `abcabcab`; the text itself when nothing repeats. */
function repeatedUnit(text: string): string {
  for (let size = 1; size <= text.length / 2; size++) {
    if (text.slice(size) === text.slice(0, -size)) return text.slice(0, size);
  }
  return text;
}

function unleeted(text: string): string {
  return text.replace(/[013457@$]/g, (sign) => letters[sign]!);
}

/** Words that stand for a person: those of the names, and the name in front of the address' @. */
function wordsOf(about: readonly string[]): string[] {
  return about
    .map((text) => text.toLowerCase().replace(/@.*$/s, ''))
    .flatMap((text) => [text, ...text.split(/[^\p{L}\p{N}]+/u)])
    .filter((word) => word.length >= wordLengthMin);
}
