/** Access tokens: signed, short-lived, rotated by key id. */
import { SignJWT } from 'jose';
import t from 'tap';
import { Tokens } from './tokens.js';

t.test('a token names its user and session, and is verified once', async (t) => {
  const tokens = new Tokens(['one'], 60);
  const token = await tokens.sign(7, 9);
  t.match(await tokens.verify(token), { userId: 7, sessionId: 9 });
  const again = tokens.verify(token);
  t.notOk(again instanceof Promise, 'the second verification is synchronous');
  t.match(again, { userId: 7, sessionId: 9 });
});

t.test('a new key signs, and the old key verifies until it is removed', async (t) => {
  const old = await new Tokens(['old'], 60).sign(7, 9);
  const rotated = new Tokens(['new', 'old'], 60);
  t.ok(await rotated.verify(old));
  const fresh = await rotated.sign(7, 9);
  t.ok(await new Tokens(['new'], 60).verify(fresh));
  t.equal(await new Tokens(['new'], 60).verify(old), null);
});

t.test('a token of another signer or another purpose is refused', async (t) => {
  const tokens = new Tokens(['one'], 60);
  const [header, payload, signature] = (await tokens.sign(7, 9)).split('.') as [string, string, string];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
  const bad = [
    '',
    'x'.repeat(5000),
    `${header}.${encode({ ...claims, sub: '8' })}.${signature}`,
    `${encode({ alg: 'none', kid })}.${payload}.`,
    `${header}.${payload}.`,
    await new SignJWT({ sid: 9 })
      .setProtectedHeader({ alg: 'HS256', kid })
      .setSubject('7')
      .setExpirationTime('1m')
      .sign(Buffer.alloc(32)),
  ];
  for (const token of bad) t.equal(await tokens.verify(token), null, token.slice(0, 40));
  const lapsed = await new Tokens(['one'], -1).sign(7, 9);
  t.equal(await tokens.verify(lapsed), null, 'a lapsed token is refused');
});
