/**
 * Every story of the simulator in the words of every protocol, against a real engine: the same history ends in the same
 * books. A protocol that ends differently, or cannot tell a story, says why in the story.
 */
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { findFreePort } from '../../deploy/free-port.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { conformanceStories, linkSettings, playConformance, protocolSecrets } from '../testing/conformance.js';
import { enginePlace, metric, startEngineProcess, until } from '../testing/engine-process.js';

t.test('at least forty histories are played, and few of them end differently in any protocol', async (t) => {
  t.ok(conformanceStories.length >= 40, `${conformanceStories.length} stories`);
  const exceptions = conformanceStories.flatMap(({ name, differs, without }) =>
    [...Object.keys(differs), ...Object.keys(without)].map((protocol) => `${name} in ${protocol}`),
  );
  t.same(exceptions.sort(), [
    'airline-multi-clearing in iso8583',
    'overruled in stripe',
    'partial-approval in marqeta',
    'rest-released in iso8583',
    'unknown-purchase-refunded in marqeta',
    'unknown-purchase-refunded in stripe',
  ]);
});

t.test('every history ends in the same books in the words of every protocol', async (t) => {
  const { url, sql } = await databaseFor(t, { connections: 4 });
  const folder = folderFor(t);
  const place = await enginePlace(url, folder);
  const linkPort = await findFreePort();
  const changes = { ...protocolSecrets, ...linkSettings(folder, linkPort), PARTITIONS: '2' };
  const engine = await startEngineProcess(place, changes);
  t.teardown(() => engine.kill('SIGKILL'));
  await playConformance(t, sql, [place], [linkPort]);
  await until('every message of both partitions is settled', async () => {
    for (const partition of [0, 1]) {
      const durable = await metric(place, `journal_sequence{partition="${partition}"}`);
      if ((await metric(place, `shipper_sequence{partition="${partition}"}`)) < durable) return false;
    }
    return true;
  });
  t.same((await auditBooks(sql)).findings, []);
});
