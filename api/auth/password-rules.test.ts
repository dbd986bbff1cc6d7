/** Which new passwords are taken. */
import t from 'tap';
import { checkNewPassword } from './password-rules.js';

const about = ['grace.hopper@example.com', 'Grace Hopper', 'Harbor Instruments'];
const taken = (password: string) => checkNewPassword('password', password, about);

t.test('a long and uncommon password is accepted', async (t) => {
  for (const password of [
    'correct-horse-battery',
    'Corr3ct-horse-battery',
    'a-password-of-tests',
    'vier Wörter für einen Hafen',
    'grace with eleven lanterns',
    'пароль для проверки 7',
    '🙂🙃😀😁😂🤣😃😄😅😆😉😊',
  ]) {
    t.doesNotThrow(() => taken(password), password);
  }
});

t.test('a password that is short, common or made of known facts about the user is refused', async (t) => {
  for (const password of [
    'eleven char',
    '🙂🙃😀😁😂🤣😃😄😅😆😉',
    'password1234',
    'Password1234!',
    'P@ssw0rd2026!',
    '!!!qwerty123456',
    'passwordpassword',
    'abcabcabcabcabc',
    'aaaaaaaaaaaaaaaa',
    '121212121212',
    '123456789012345',
    '098765432109',
    'abcdefghijklm',
    'qwertyuiopasdf',
    '1qaz2wsx3edc',
    'iloveyou2026',
    'grace.hopper1906',
    'HopperGrace-99',
    'HarborInstruments',
    // Full-width letters are the same password to the hash.
    'ｐａｓｓｗｏｒｄ１２３４',
  ]) {
    t.throws(() => taken(password), { message: /^password (must|is)/ }, password);
  }
});

t.test('the longest password is checked in a few milliseconds', async (t) => {
  const before = performance.now();
  for (let number = 0; number < 100; number++) t.throws(() => taken('ab'.repeat(100)));
  t.ok(performance.now() - before < 5000, 'the check takes no exponential time');
});
