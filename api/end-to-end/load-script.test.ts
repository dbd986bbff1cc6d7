/**
 * What a load script does: sign in, then read cards and transactions with the token, again and again as one user. Every
 * step succeeds, whatever the rate: only failures are limited.
 */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { createPerson } from '../testing/tenants.js';

t.test('a hundred concurrent iterations of one user all succeed', async (t) => {
  const api = await startTestApi(t);
  const ada = await createPerson(api.sql, 'ada', 10_000);
  const passwordHash = await api.api.services.passwords.hash('password123');
  await api.sql`update users set password_hash = ${passwordHash}`;
  await api.sql`
    insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
      refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
      status,
      reason, detail, channel, forced, currency)
    select 'txn_' || n, c.account_id, c.id, c.user_id, 100, 100, 0, 100, 0, 100, now() - n * interval '1 minute', now(),
    0,
      0, 0, 1, 2, 0, 0, 1, false, 'USD'
    from cards c, generate_series(1, 60) n`;
  const iteration = async () => {
    const login = await api.request('POST', '/api/auth/login', {
      body: { email: 'ada@person.example', password: 'password123' },
    });
    if (login.status !== 200) return `login: ${login.status} ${login.text}`;
    const { token } = login.json;
    const cards = await api.request('GET', '/api/cards', { token });
    const transactions = await api.request('GET', '/api/transactions', { token });
    if (cards.status !== 200 || transactions.status !== 200) return `reads: ${cards.status} ${transactions.status}`;
    return `${cards.json.data[0].id}, ${transactions.json.data.length} of more: ${transactions.json.next !== null}`;
  };
  const outcomes = new Set(await Promise.all(Array.from({ length: 100 }, iteration)));
  t.same([...outcomes], [`${ada.cardId}, 50 of more: true`]);
});
