/** The messages that the documents show get the answers that the documents show. */
import t from 'tap';
import { seedDemo } from '../../deploy/demo.js';
import { purchase, samples } from '../protocols/samples.js';
import { stableBody } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';

t.test('an engine with demo data answers every sample as the samples say', async (t) => {
  const { client, sql } = await startTestEngine(t, { accounts: 1, changes: { DEADLINE_MS: '3000' } });
  await seedDemo(sql);
  const bodies: string[] = [];
  for (const { title, path, message, status, answer } of samples) {
    const reply = await client.ask({ path, body: JSON.stringify(message) });
    const { responseTimeMs, ...rest } = JSON.parse(reply.body);
    t.equal(reply.status, status, title);
    t.same(rest, answer, title);
    bodies.push(stableBody(reply.body));
  }
  const again = await client.native(purchase.message);
  t.equal(stableBody(again.body), bodies[0], 'the repeat of the first sample receives the same bytes');
});
