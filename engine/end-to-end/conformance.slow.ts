/** The histories of the conformance suite over two engines on one database, which take the messages in turn. */
import postgres from 'postgres';
import t from 'tap';
import { playConformance, protocolSecrets } from '../testing/conformance.js';
import { severalEngines, untilSpread } from '../testing/several-engines.js';

t.test('every history ends in the same books when two engines take its messages in turn', async (t) => {
  const { start, url } = await severalEngines(t);
  const changes = { ...protocolSecrets, LEASE_MS: '5000' };
  const engines = [await start(changes), await start(changes)];
  await untilSpread(engines);
  const sql = postgres(url, { max: 4, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 5 }));
  await playConformance(
    t,
    sql,
    engines.map(({ place }) => place),
  );
});
