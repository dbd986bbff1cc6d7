/** Which partition a message belongs to, when there are several. */
import t from 'tap';
import { PanKeys } from '../../platform/masking/hidden-ids.js';
import { hash64, hashHigh, hashLow } from '../core/hash.js';
import { createNativeCodec } from '../protocols/native/codec.js';
import type { PartitionHost } from './partition-host.js';
import { Router } from './router.js';

t.test('an id that was kept under an older key leads to the partition that answered it', async (t) => {
  const hosts = [{ partition: 0 }, { partition: 1 }] as PartitionHost[];
  const router = new Router(hosts, 16, 16);
  router.learnCards(['card'], 0);
  const older = Buffer.from(new PanKeys(['old-key']).keptForms('4111111111111111')[0]!);
  hash64(older, 0, older.length);
  router.learnJournaledId(hashLow, hashHigh, 1, 1);
  const codec = createNativeCodec({ panKeys: new PanKeys(['new-key', 'old-key']), strictFields: false });
  const message = { id: '4111111111111111', type: 'authorization', card: 'card', amount: 1, currency: 'USD' };
  const routed = (id: string) => router.route(codec, Buffer.from(JSON.stringify({ ...message, id })));
  t.equal(routed(message.id), hosts[1]);
  t.equal(routed('5555555555554444'), hosts[0], 'another id follows its card');
});
