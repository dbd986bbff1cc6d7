/** Which partition a message belongs to, when there are several. */
import t from 'tap';
import { PanKeys } from '../../platform/masking/hidden-ids.js';
import { hash64, hashHigh, hashLow } from '../core/hash.js';
import { createNativeCodec } from '../protocols/native/codec.js';
import { Router, type RouterOptions } from './router.js';

function routerOf(
  partitionCount: number,
  learned: RouterOptions['learned'] = () => undefined,
  alwaysRemembersIds = false,
): Router {
  const more = { alwaysRemembersIds };
  return new Router({
    partitionCount,
    idsPerPartition: 16,
    cardsPerPartition: 16,
    readerPartition: () => 1,
    learned,
    ...more,
  });
}

t.test('an id that was kept under an older key leads to the partition that answered it', async (t) => {
  const router = routerOf(2);
  router.learnCards(['card'], 0);
  const older = Buffer.from(new PanKeys(['old-key']).keptForms('4111111111111111')[0]!);
  hash64(older, 0, older.length);
  router.learnJournaledId(hashLow, hashHigh, 1, 1);
  const codec = createNativeCodec({ panKeys: new PanKeys(['new-key', 'old-key']), strictFields: false });
  const message = { id: '4111111111111111', type: 'authorization', card: 'card', amount: 1, currency: 'USD' };
  const routed = (id: string) => router.route(codec, Buffer.from(JSON.stringify({ ...message, id })));
  t.equal(routed(message.id), 1);
  t.equal(routed('5555555555554444'), 0, 'another id follows its card');
});

t.test('a message that cannot be read goes to the partition that is named for that', async (t) => {
  const codec = createNativeCodec({ panKeys: new PanKeys(['key-of-this-test']), strictFields: false });
  t.equal(routerOf(2).route(codec, Buffer.from('{')), 1);
});

t.test('an id that another engine has seen first leads to its partition, whatever card it comes with', async (t) => {
  const codec = createNativeCodec({ panKeys: new PanKeys(['key-of-this-test']), strictFields: false });
  const body = (card: string) =>
    Buffer.from(JSON.stringify({ id: 'one-id', type: 'authorization', card, amount: 1, currency: 'USD' }));
  const seen: [number, number, number][] = [];
  const first = routerOf(3, (low, high, partition) => seen.push([low, high, partition]));
  first.learnCards(['card-of-2'], 2);
  t.equal(first.route(codec, body('card-of-2')), 2);
  t.equal(first.route(codec, body('card-of-2')), 2);
  t.equal(seen.length, 1, 'the others hear of an id once');
  const second = routerOf(3);
  second.learnCards(['card-of-0'], 0);
  second.learnPeerId(...seen[0]!);
  t.equal(second.route(codec, body('card-of-0')), 2);
});

t.test('with one partition and a stand-in, an id that another engine has seen first is not new', async (t) => {
  const codec = createNativeCodec({ panKeys: new PanKeys(['key-of-this-test']), strictFields: false });
  const body = (id: string) =>
    Buffer.from(JSON.stringify({ id, type: 'authorization', card: 'card', amount: 1, currency: 'USD' }));
  const seen: [number, number, number][] = [];
  routerOf(1, (low, high, partition) => seen.push([low, high, partition]), true).route(codec, body('one-id'));
  const second = routerOf(1, undefined, true);
  second.learnPeerId(...seen[0]!);
  second.route(codec, body('one-id'));
  t.notOk(second.isNewId);
  second.route(codec, body('other-id'));
  t.ok(second.isNewId);
});
