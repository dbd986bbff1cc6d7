/** Who asks: lookups of users that run while the same users sign in, change and leave. */
import t from 'tap';
import type { UserRow, UserStore } from '../stores/users.js';
import { Access } from './access.js';
import { Tokens } from './tokens.js';

const user = (changes: Partial<UserRow> = {}): UserRow => ({
  id: 7,
  publicId: 'usr_7',
  email: 'ada@example.com',
  name: 'Ada',
  kind: 'business',
  status: 'active',
  role: 'admin',
  companyId: 1,
  companyPublicId: 'co_1',
  kycStatus: 'verified',
  metadata: {},
  picture: null,
  ...changes,
});

/** A user store whose answers the test gives. */
class HeldUsers implements Pick<UserStore, 'byNumber'> {
  readonly waiting: { resolve(row: UserRow | null): void; reject(error: Error): void }[] = [];

  byNumber(): Promise<UserRow | null> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
  }
}

async function setUp() {
  const tokens = new Tokens(['a-secret-of-the-tests-with-enough-letters'], 900);
  const users = new HeldUsers();
  const access = new Access(tokens, users, 900);
  const token = await tokens.sign(7, 1);
  // Known from here on, so that requests differ in nothing but their lookups.
  await tokens.verify(token);
  const ask = () => Promise.resolve(access.authenticate(token));
  return { access, users, ask };
}

const lookupsStarted = async (users: HeldUsers, count: number): Promise<void> => {
  while (users.waiting.length < count) await new Promise((resolve) => setImmediate(resolve));
};

t.test('one lookup under way serves every request that arrives meanwhile', async (t) => {
  const { users, ask } = await setUp();
  const asked = Array.from({ length: 50 }, ask);
  await lookupsStarted(users, 1);
  users.waiting[0]!.resolve(user());
  for (const principal of await Promise.all(asked)) t.equal(principal.role, 'admin');
  t.equal(users.waiting.length, 1);
});

t.test('a sign-in during a lookup fails no request', async (t) => {
  const { access, users, ask } = await setUp();
  const asked = Array.from({ length: 50 }, ask);
  await lookupsStarted(users, 1);
  access.remember(user());
  users.waiting[0]!.resolve(user());
  await Promise.all(asked);
  t.equal((await ask()).publicId, 'usr_7');
  t.equal(users.waiting.length, 1, 'the cached user needs no lookup');
});

t.test('a lookup that began before a change is not cached after it', async (t) => {
  const { access, users, ask } = await setUp();
  const before = ask();
  await lookupsStarted(users, 1);
  access.forget(7);
  const after = ask();
  await lookupsStarted(users, 2);
  users.waiting[1]!.resolve(user({ role: 'member' }));
  t.equal((await after).role, 'member', 'a request that arrives after the change reads again');
  users.waiting[0]!.resolve(user({ role: 'admin' }));
  await before;
  t.equal((await ask()).role, 'member', 'the older answer replaces no newer one');
});

t.test('a failed lookup fails its requests, and the next request starts another lookup', async (t) => {
  const { users, ask } = await setUp();
  const failing = ask();
  await lookupsStarted(users, 1);
  users.waiting[0]!.reject(new Error('no database'));
  await t.rejects(failing, { message: 'no database' });
  const next = ask();
  await lookupsStarted(users, 2);
  users.waiting[1]!.resolve(user());
  t.equal((await next).publicId, 'usr_7');
});
