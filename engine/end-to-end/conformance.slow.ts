/** The histories of the conformance suite over two engines on one database, which take the messages in turn. */
import postgres from 'postgres';
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { folderFor } from '../../deploy/testing/for-test.js';
import { linkSettings, playConformance, protocolSecrets } from '../testing/conformance.js';
import { severalEngines, untilSpread } from '../testing/several-engines.js';

t.test('every history ends in the same books when two engines take its messages in turn', async (t) => {
  const { start, url } = await severalEngines(t);
  const changes = { ...protocolSecrets, LEASE_MS: '5000' };
  const folder = folderFor(t);
  const linkPorts = [await findFreePort(), await findFreePort()];
  const engines = [];
  for (const port of linkPorts) engines.push(await start({ ...changes, ...linkSettings(folder, port) }));
  await untilSpread(engines);
  const sql = postgres(url, { max: 4, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 5 }));
  await playConformance(
    t,
    sql,
    engines.map(({ place }) => place),
    linkPorts,
  );
});
