/** A program that can write to Redis, but has none of our keys: what it puts there changes nothing. */
import t, { type Test } from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import type { CardPayload } from '../../engine/core/feed.js';
import { packetChannel, writePacket } from '../../engine/feed/feed-packet.js';
import { metric, testSeals, until } from '../../engine/testing/engine-process.js';
import { pack, packCard } from '../../platform/cache/codec.js';
import { cardKey, groupKey } from '../../platform/cache/keys.js';
import { connectRedis, type RedisClient } from '../../platform/redis/client.js';
import { Seals } from '../../platform/redis/seal.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer, pay } from '../testing/customer.js';
import { Deployment } from '../testing/deployment.js';

t.setTimeout(300_000);

async function ownRedis(t: Test): Promise<{ readonly url: string; readonly client: RedisClient }> {
  const redis = await redisFor(t);
  const client = connectRedis(redis.url, { name: 'intruder', commandTimeoutMs: 10_000 });
  client.on('error', () => undefined);
  t.teardown(() => client.disconnect());
  return { url: redis.url, client };
}

const strangeSeals = new Seals(['a-key-that-is-not-ours']);

t.test('a forged change and a forged profile in Redis do not unfreeze a card', async (t) => {
  const redis = await ownRedis(t);
  // So few cards in memory that each is looked for in Redis again.
  const deployment = await Deployment.start(t, { REDIS_URL: redis.url, CARDS_MAX: '4' });
  const { customer, sql } = deployment;
  const accountId = await customer.accountId();
  const card = await customer.card(accountId);
  t.equal((await pay(deployment, card.token)).reason, 'approved');
  const frozen = await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'frozen' });
  t.match(frozen.json, { status: 'frozen', effective: true });
  t.equal((await pay(deployment, card.token)).reason, 'card_inactive');
  const [row] = await sql<{ profile: CardPayload; newest: number; feed: string; space: string }[]>`
    select card_profile(c) as profile, newest::float8 as newest, feed_id()::text as feed, cache_space() as space
    from cards c, feed_position where token = ${card.token}`;
  const { profile, newest, feed, space } = row!;
  const active = { ...profile, status: 'active', version: profile.version + 10 };

  const channel = packetChannel(feed);
  const packet = writePacket({
    newest: newest + 1,
    entries: [{ topic: 'card', sequence: newest + 1, atMs: Date.now(), payload: active }],
  });
  const changed = testSeals().seal(channel, packet);
  changed[changed.length - 1]! ^= 1;
  const packets = [packet, strangeSeals.seal(channel, packet), testSeals().seal('another channel', packet), changed];
  for (const bytes of packets) await redis.client.publish(channel, bytes);
  await until('they are counted', async () => (await metric(deployment.engine, 'redis_refused')) >= packets.length);
  t.equal((await pay(deployment, card.token)).reason, 'card_inactive');
  t.equal(await metric(deployment.engine, 'feed_sequence'), newest, 'the place of the feed is unchanged');

  const key = cardKey(space, card.token);
  const bytes = packCard({ card: active, asOf: newest + 1_000_000 })!;
  const values = [bytes, strangeSeals.seal(key, bytes), testSeals().seal(`${key}x`, bytes)];
  const others = await Promise.all(Array.from({ length: 12 }, () => customer.card(accountId)));
  for (const value of values) {
    const refused = await metric(deployment.engine, 'redis_refused');
    await until('the card is looked for in Redis', async () => {
      await redis.client.set(key, value);
      for (const other of others) await pay(deployment, other.token);
      t.equal((await pay(deployment, card.token)).reason, 'card_inactive');
      return (await metric(deployment.engine, 'redis_refused')) > refused;
    });
  }
  t.match(deployment.logged, /no process with our FEED_KEY wrote/);
  // The same bytes with our seal are obeyed: it is the seal that was missing.
  await until('a change of ours is obeyed', async () => {
    await redis.client.publish(channel, testSeals().seal(channel, packet));
    return (await pay(deployment, card.token)).approved;
  });
});

t.test('no value in Redis can show a customer the data of another', async (t) => {
  const redis = await ownRedis(t);
  const api = await startTestApi(t, { engine: true, env: { REDIS_URL: redis.url } });
  const [ours, theirs] = await Promise.all([Customer.register(api, 'business'), Customer.register(api, 'business')]);
  const theirAccount = await theirs.accountId();
  const theirCard = await theirs.card(theirAccount);
  const groupsOf = async ({ userId }: Customer) => {
    const [row] = await api.sql<{ owner: string; space: string }[]>`
      select company_id * 2 + 1 as owner, cache_space() as space from users where public_id = ${userId}`;
    const values = (group: string) => groupKey(row!.space, `${group}:${row!.owner}`, 'values');
    return { accounts: values('accounts'), cards: values('cards') };
  };
  const [from, to] = await Promise.all([groupsOf(theirs), groupsOf(ours)]);
  const account = `/api/accounts/${theirAccount}`;
  const card = `/api/cards/${theirCard.id}`;
  // Redis is filled behind the answers, once its level is open.
  await until('Redis has theirs', async () => {
    for (const path of [account, card, '/api/cards']) await theirs.get(path);
    api.api.services.cache.listening(true);
    return (await redis.client.hlen(from.accounts)) > 0 && (await redis.client.hlen(from.cards)) > 1;
  });
  const kept = {
    accounts: await redis.client.hgetallBuffer(from.accounts),
    cards: await redis.client.hgetallBuffer(from.cards),
  };
  const [row] = await api.sql`
    select id::float8 as number, public_id as "accountId", kind, currency, time_zone as "timeZone", status, version,
      '2026-01-01T00:00:00Z' as "createdAt"
    from accounts where public_id = ${theirAccount}`;
  const made = pack([Date.now() + 900_000, row])!;
  const place = `${to.accounts} account ${theirAccount}`;
  const forgeries: readonly (readonly [string, Buffer])[] = [
    ['copied', kept.accounts[`account ${theirAccount}`]!],
    ['made up', made],
    ['sealed by another', strangeSeals.seal(place, made)],
    [
      'another shape',
      testSeals().seal(place, pack([Date.now() + 900_000, { accountId: theirAccount, number: 'one' }])!),
    ],
    ['outlived', testSeals().seal(place, pack([Date.now() - 1, row])!)],
  ];
  for (const [how, value] of forgeries) {
    await redis.client.hset(to.accounts, `account ${theirAccount}`, value);
    api.api.services.cache.listening(true);
    t.equal((await ours.get(account)).status, 404, `a foreign account is not found, ${how}`);
    t.equal((await ours.get(`${account}/entries`)).status, 404, `foreign entries are not found, ${how}`);
    const moved = await ours.post(`${account}/withdrawals`, { amount: 1 });
    t.equal(moved.status, 404, `foreign money cannot be moved, ${how}`);
  }
  for (const [field, value] of Object.entries(kept.cards)) await redis.client.hset(to.cards, field, value);
  api.api.services.cache.listening(true);
  t.equal((await ours.get(card)).status, 404, 'a foreign card is not found');
  t.same((await ours.get('/api/cards')).json.data, [], 'no foreign card is listed');
  const { counts } = api.api.services.cache;
  t.ok(counts.malformed > 0, 'the value of another shape was counted');
});
