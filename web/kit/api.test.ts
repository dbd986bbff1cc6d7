/** Calls of the pages when a session ends, or another one begins, in another tab. */
import t from 'tap';
import { call, session, startSession } from './api.js';

t.test('a refused write is repeated with a newer session of the same person, and never as another one', async (t) => {
  let person = 'ada';
  let csrf = 'first';
  const made: string[] = [];
  t.intercept(globalThis, 'fetch', {
    value: async (path: string, { headers }: { headers: Record<string, string> }) => {
      if (path === '/api/app/session') return Response.json({ user: { id: person }, csrf });
      if (headers['x-csrf-token'] !== csrf) return Response.json({ title: 'csrf_failed' }, { status: 403 });
      made.push(person);
      return Response.json({});
    },
  });
  await startSession('app');
  csrf = 'second';
  await call('POST', '/api/cards', { body: {} });
  t.same(made, ['ada'], 'the session of this person was renewed in another tab');

  [person, csrf] = ['grace', 'third'];
  await t.rejects(call('POST', '/api/cards', { body: {} }), { code: 'csrf_failed' });
  t.same(made, ['ada'], 'nothing was made in the name of the other person');
  t.match(session.value, { user: { id: 'grace' } }, 'the page shows who is signed in');
});
