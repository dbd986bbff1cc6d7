import t from 'tap';
import { wrkScript } from './wrk.js';

t.test('the script sends the bytes of our own generator with its own number, card and amount', async (t) => {
  const script = wrkScript({
    host: '127.0.0.1',
    port: 8080,
    path: '/v1/authorizations',
    credentials: { user: 'u', password: 'p' },
    idPrefix: 'wrk-1',
    cardCount: 500,
  });
  t.match(script, 'POST /v1/authorizations HTTP/1.1\\r\\n');
  t.match(script, '{\\"id\\":\\"wrk-1t00n", sequence, "\\",');
  t.match(script, '\\"card\\":\\"card_", math.random(1, 500), "_1\\"');
  t.match(script, '\\"amount\\":", math.random(1000, 9999), ",');
});
