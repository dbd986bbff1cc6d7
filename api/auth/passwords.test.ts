/** Hashing under a bound. */
import t from 'tap';
import { Passwords } from './passwords.js';

t.test('the right password matches, also in other code points; a wrong one and nobody do not', async (t) => {
  const passwords = new Passwords();
  const stored = await passwords.hash('caf\u00e9 au lait');
  t.equal(await passwords.matches(stored, 'cafe\u0301 au lait'), true);
  t.equal(await passwords.matches(stored, 'cafe au lait'), false);
  t.equal(await passwords.matches(null, 'caf\u00e9 au lait'), false);
});

t.test('a remembered password is bound to the stored hash', async (t) => {
  const passwords = new Passwords();
  const [one, other] = await Promise.all([passwords.hash('password one'), passwords.hash('password two')]);
  t.equal(await passwords.matches(one, 'password one'), true);
  const { hashes } = passwords;
  t.equal(await passwords.matches(one, 'password one'), true);
  t.equal(passwords.hashes, hashes, 'the second time costs nothing');
  t.equal(await passwords.matches(other, 'password one'), false);
  t.equal(await passwords.matches(one, 'password two'), false);
  t.equal(await passwords.matches(one, 'password two'), false);
  t.equal(passwords.hashes, hashes + 3, 'a wrong one costs a hash each time');
});

t.test('beyond the bound the answer is later, and everybody before it is served', async (t) => {
  const passwords = new Passwords(1);
  const stored = await passwords.hash('x');
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, (_, number) => passwords.matches(stored, `password ${number}`)),
  );
  const refused = results.filter(({ status }) => status === 'rejected');
  t.equal(refused.length, 39, 'one runs, 160 wait');
  t.match((refused[0] as PromiseRejectedResult).reason, { status: 503, headers: { 'retry-after': '2' } });
  t.equal(await passwords.matches(stored, 'x'), true, 'no place is lost');
  t.equal(passwords.waiting, 0);
});
