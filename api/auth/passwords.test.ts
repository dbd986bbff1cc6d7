/** Hashing under a bound, and guesses that are counted before they are compared. */
import t from 'tap';
import type { Guess } from './failures.js';
import { waitingMax } from './hash-queue.js';
import { Passwords, type SentPassword } from './passwords.js';

const uncounted: Guess = { right: async () => undefined, unread: async () => undefined };

function matches(passwords: Passwords, stored: string | null, password: string, changes: Partial<SentPassword> = {}) {
  return passwords.matches({
    account: 'ada@example.com',
    network: '10.0.0.1',
    stored,
    password,
    count: async () => uncounted,
    ...changes,
  });
}

t.test('the right password matches in any code points, and a wrong one or a missing account does not', async (t) => {
  const passwords = new Passwords();
  const stored = await passwords.hash('caf\u00e9 au lait');
  t.equal(await matches(passwords, stored, 'cafe\u0301 au lait'), true);
  t.equal(await matches(passwords, stored, 'cafe au lait'), false);
  t.equal(await matches(passwords, null, 'caf\u00e9 au lait'), false);
});

t.test('a remembered password is bound to the stored hash', async (t) => {
  const passwords = new Passwords();
  const [one, other] = await Promise.all([passwords.hash('password one'), passwords.hash('password two')]);
  t.equal(await matches(passwords, one, 'password one'), true);
  const { hashes } = passwords;
  t.equal(await matches(passwords, one, 'password one'), true);
  t.equal(passwords.hashes, hashes, 'the second check needs no hash');
  t.equal(await matches(passwords, other, 'password one'), false);
  t.equal(await matches(passwords, one, 'password two'), false);
  t.equal(await matches(passwords, one, 'password two'), false);
  t.equal(passwords.hashes, hashes + 3, 'a wrong password costs a hash each time');
});

t.test('beyond the bound an answer comes later, and every earlier caller is served', async (t) => {
  const passwords = new Passwords(1);
  const stored = await passwords.hash('x');
  let unread = 0;
  const count = async () => ({
    ...uncounted,
    unread: async () => {
      unread++;
    },
  });
  const results = await Promise.allSettled(
    Array.from({ length: 200 }, (_, number) => matches(passwords, stored, `password ${number}`, { count })),
  );
  const refused = results.filter(({ status }) => status === 'rejected');
  t.equal(refused.length, 200 - waitingMax['sign-in'] - 1, 'one comparison runs, and the others of the bound wait');
  t.equal(unread, refused.length, 'a guess that was not compared does not count');
  t.match((refused[0] as PromiseRejectedResult).reason, { status: 503, headers: { 'retry-after': '2' } });
  t.equal(await matches(passwords, stored, 'x'), true, 'every permit is returned');
  t.equal(passwords.waiting, 0);
});

t.test('equal guesses at one account from one network share a hash, and no others do', async (t) => {
  const passwords = new Passwords();
  const stored = await passwords.hash('x');
  const { hashes } = passwords;
  let counted = 0;
  const count = async () => {
    counted++;
    return uncounted;
  };
  await Promise.all(Array.from({ length: 20 }, () => matches(passwords, stored, 'guess', { count })));
  t.same([passwords.hashes - hashes, counted], [1, 1]);
  // Were one hash shared by all unknown addresses, the known ones would stand out by their time.
  const accounts = Array.from({ length: 20 }, (_, number) => `unknown-${number}@example.com`);
  await Promise.all(accounts.map((account) => matches(passwords, null, 'guess', { account, count })));
  t.same([passwords.hashes - hashes, counted], [21, 21]);
  const networks = ['10.0.0.1', '10.0.0.2'];
  await Promise.all(networks.map((network) => matches(passwords, stored, 'guess', { network, count })));
  t.same([passwords.hashes - hashes, counted], [23, 23]);
});

t.test('a refused guess is compared with nothing, not even with a remembered password', async (t) => {
  const passwords = new Passwords();
  const stored = await passwords.hash('x');
  t.equal(await matches(passwords, stored, 'x'), true);
  const refuse = () => Promise.reject(new Error('refused'));
  await t.rejects(matches(passwords, stored, 'x', { count: refuse }), { message: 'refused' });
});

t.test('sign-ins are served during a flood of registrations, and the registrations too', async (t) => {
  const passwords = new Passwords(1);
  const stored = await passwords.hash('x');
  const ended: string[] = [];
  const ran = (what: string) => () => ended.push(what);
  const registrations = Array.from({ length: 100 }, (_, number) => passwords.hash(`new ${number}`).then(ran('new')));
  const signIns = Array.from({ length: 28 }, (_, number) =>
    matches(passwords, stored, `guess ${number}`).then(ran('sign-in')),
  );
  const results = await Promise.allSettled([...signIns, ...registrations]);
  t.ok(
    results.slice(0, 28).every(({ status }) => status === 'fulfilled'),
    'every sign-in is served',
  );
  const served = results.slice(28).filter(({ status }) => status === 'fulfilled').length;
  t.equal(served, waitingMax.registration + 1);
  const lastSignIn = ended.lastIndexOf('sign-in');
  const before = ended.slice(0, lastSignIn).filter((what) => what === 'new').length;
  t.ok(before >= 5 && before <= 15, `${before} registrations ran among 28 sign-ins`);
});
