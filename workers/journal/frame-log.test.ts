/** The journal in a real Postgres: one owner, whose frames stand at positions without a gap, whatever breaks. */
import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { createTestDatabase, processUrl } from '../../deploy/testing/test-database.js';
import { until } from '../../engine/testing/engine-process.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { openFirstPosition } from '../testing/open-position.js';
import { FrameDatabase } from './frame-database.js';
import { FrameLog, PartitionFencedError } from './frame-log.js';

const atMs = 1_800_000_000_000;

interface OwnerOptions {
  readonly url?: string;
  readonly database?: FrameDatabase;
  readonly partition?: number;
  readonly holder?: string;
  readonly settled?: () => number;
}

interface Place {
  readonly sql: postgres.Sql;
  readonly url: string;
  /** An engine's side, on its own way to Postgres. */
  owner(options?: OwnerOptions): FrameLog;
  connect(url?: string): FrameDatabase;
  /** Makes partitions 1 to `count` − 1 beside the first. */
  addPartitions(count: number): Promise<unknown>;
  /** What Postgres has: position, epoch, first sequence, records as text. */
  stored(): Promise<readonly string[]>;
}

async function place(t: Test): Promise<Place> {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 3, onnotice: () => undefined });
  const databases: FrameDatabase[] = [];
  t.teardown(async () => {
    await Promise.all(databases.map((opened) => opened.close()));
    await sql.end({ timeout: 5 });
    await database.close();
  });
  await openFirstPosition(sql);
  const url = processUrl(database.url, 'engine');
  const connect = (other = url) => {
    const opened = new FrameDatabase({ databaseUrl: other, onTrouble: () => undefined });
    databases.push(opened);
    return opened;
  };
  return {
    sql,
    url,
    connect,
    addPartitions: (count) => sql`
      insert into journal_positions (partition, partition_count, journal)
      select generate_series(1, ${count}::integer - 1), ${count}::integer, 'postgres'`,
    owner(options = {}) {
      const { database = connect(options.url), partition = 0, holder = randomUUID(), settled = () => 0 } = options;
      return new FrameLog({ database, partition, holder, settledSequence: settled });
    },
    async stored() {
      const rows = await sql<{ line: string }[]>`
        select concat_ws(' ', position, epoch, first_sequence, convert_from(records, 'utf8')) as line
        from journal_frames order by position`;
      return rows.map(({ line }) => line.trim());
    },
  };
}

const frame = (log: FrameLog, firstSequence: number, text: string, recordCount = 1) =>
  log.append({ firstSequence, recordCount, atMs }, Buffer.from(text));

async function textsBehind(log: FrameLog, settled: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { firstSequence, records } of log.framesBehind(settled)) {
    texts.push(`${firstSequence} ${Buffer.from(records).toString()}`);
  }
  return texts;
}

t.test('a new owner finds every frame with a record that is not settled, in order', async (t) => {
  const { owner } = await place(t);
  const first = owner();
  t.equal(await first.takeOver(1, atMs), 1, 'a new partition begins with record 1');
  await frame(first, 1, 'one and two', 2);
  await frame(first, 3, 'three');
  await frame(first, 4, 'four to six', 3);
  const second = owner();
  t.equal(await second.takeOver(2, atMs), 7);
  t.same(await textsBehind(second, 0), ['1 one and two', '3 three', '4 four to six']);
  t.same(await textsBehind(second, 3), ['4 four to six']);
  t.same(await textsBehind(second, 4), ['4 four to six'], 'a frame counts while any of its records is not settled');
  t.same(await textsBehind(second, 6), []);
  await frame(second, 7, 'seven');
  t.same(await textsBehind(second, 6), [], 'what it appends itself it does not read back');
});

t.test('an owner that was replaced appends nothing more, and knows it', async (t) => {
  const { owner, stored } = await place(t);
  const [first, second] = [owner(), owner()];
  await first.takeOver(1, atMs);
  await frame(first, 1, 'one');
  await second.takeOver(2, atMs);
  await t.rejects(frame(first, 2, 'lost'), PartitionFencedError);
  await frame(second, 2, 'two');
  await t.rejects(frame(first, 2, 'lost again'), PartitionFencedError);
  t.same(await stored(), ['1 1 1', '2 1 1 one', '3 2 2', '4 2 2 two']);
});

t.test('an engine with an older epoch cannot take a partition back', async (t) => {
  const { owner, stored } = await place(t);
  const newer = owner();
  await newer.takeOver(7, atMs);
  await t.rejects(owner().takeOver(6, atMs), /has an owner of epoch 7, and this one has epoch 6/);
  await frame(newer, 1, 'one');
  t.same(await stored(), ['1 7 1', '2 7 1 one']);
});

t.test('a takeover waits for a frame on its way, and stands behind it', async (t) => {
  for (const isCommitted of [true, false]) {
    const { sql, owner, stored } = await place(t);
    const first = owner();
    await first.takeOver(1, atMs);
    const second = owner();
    let took: Promise<number> | undefined;
    // Another transaction has position 2, and is not committed: as a commit that waits for a standby.
    await sql
      .begin(async (open) => {
        await open`insert into journal_frames
          select 0, 2, 1, holder, 1, 1, at_ms, 0, 'x' from journal_frames where position = 1`;
        took = second.takeOver(2, atMs);
        took.catch(() => undefined);
        await until('the takeover waits', async () => {
          const waiting = await sql`select 1 from pg_stat_activity
            where application_name = 'journal' and wait_event_type = 'Lock' and datname = current_database()`;
          return waiting.length > 0;
        });
        if (!isCommitted) throw new Error('rolled back');
      })
      .catch(() => undefined);
    t.equal(await took, isCommitted ? 2 : 1);
    t.same(await stored(), isCommitted ? ['1 1 1', '2 1 1 x', '3 2 2'] : ['1 1 1', '2 2 1']);
  }
});

t.test('a frame whose outcome is unknown is in the journal once', async (t) => {
  const { sql, url, owner, stored } = await place(t);
  const { port } = new URL(url);
  const proxy = await TcpProxy.start(Number(port));
  t.teardown(() => proxy.close());
  const log = owner({ url: proxy.url(url) });
  await log.takeOver(1, atMs);
  const waits = () => sql`select pid from pg_stat_activity
    where application_name = 'journal' and wait_event_type = 'Lock' and datname = current_database()`;
  // The insert waits behind a lock of the test when its connection breaks, in two ways. It dies with the connection, or
  // the server does not notice the break, continues and commits. The latter comes last: it keeps its lock.
  for (const [sequence, isCommitted] of [
    [1, false],
    [2, true],
  ] as const) {
    let appended: Promise<void> | undefined;
    await sql.begin(async (open) => {
      await open`lock table journal_frames in share mode`;
      appended = frame(log, sequence, `frame ${sequence}`);
      appended.catch(() => undefined);
      await until('the insert waits', async () => (await waits()).length > 0);
      const before = await waits();
      if (isCommitted) proxy.forget();
      else await sql`select pg_terminate_backend(${before[0]!['pid']}::integer)`;
      const isSentAgain = async () => (await waits()).some(({ pid }) => pid !== before[0]!['pid']);
      await until('it is sent again', isSentAgain);
    });
    await appended;
  }
  t.same(await stored(), ['1 1 1', '2 1 1 frame 1', '3 1 2 frame 2']);
});

t.test('a takeover that was asked twice leaves a frame that its owner steps over', async (t) => {
  const { owner, sql, stored } = await place(t);
  const log = owner();
  await log.takeOver(3, atMs);
  await sql`insert into journal_frames
    select partition, 2, epoch, holder, first_sequence, 0, at_ms, 0, '' from journal_frames`;
  await frame(log, 1, 'one');
  t.same(await stored(), ['1 3 1', '2 3 1', '3 3 1 one']);
});

t.test('what stands at the position of another owner with the same epoch is not taken for ours', async (t) => {
  const { owner, sql } = await place(t);
  const log = owner();
  await log.takeOver(3, atMs);
  await sql`insert into journal_frames
    select partition, 2, epoch, ${randomUUID()}::text::uuid, 1, 1, at_ms, 0, 'one' from journal_frames`;
  await t.rejects(frame(log, 1, 'one'), PartitionFencedError);
});

t.test('an error that says taken of a free position is not believed', async (t) => {
  const { owner, sql, stored } = await place(t);
  const log = owner();
  await log.takeOver(3, atMs);
  await sql
    .unsafe(`
      create sequence tries;
      grant usage on sequence tries to public;
      create function once() returns trigger language plpgsql as $$
      begin
        if nextval('tries') = 1 then raise exception 'taken' using errcode = '23505'; end if;
        return new;
      end $$;
      create trigger once before insert on journal_frames for each row execute function once()`)
    .simple();
  await frame(log, 1, 'one');
  t.same(await stored(), ['1 3 1', '2 3 1 one']);
});

t.test('a frame that is not what was written stops the takeover', async (t) => {
  const { owner, sql } = await place(t);
  const first = owner();
  await first.takeOver(1, atMs);
  await frame(first, 1, 'one');
  await sql`update journal_frames set records = 'uno' where position = 2`;
  const second = owner();
  await second.takeOver(2, atMs);
  await t.rejects(textsBehind(second, 0), /frame 2 of partition 0 in journal_frames is not what was written/);
});

t.test('settled frames leave with their table, and the newest frame stays', async (t) => {
  const { owner, sql } = await place(t);
  let settled = 0;
  const log = owner({ settled: () => settled });
  await log.takeOver(1, atMs);
  const tables = async () => {
    const rows = await sql<{ name: string }[]>`select relname as name from pg_class
      where relispartition and relkind = 'r' and relname like 'journal_frames%' order by oid`;
    return rows.map(({ name }) => name);
  };
  t.same(await tables(), ['journal_frames_p0_0', 'journal_frames_p0_16384']);
  // Forty thousand frames of the same owner, but for the last one.
  const fill = async (from: number, to: number) => {
    await sql`select journal_upkeep(0, ${to}, ${settled})`;
    await sql`insert into journal_frames
      select 0, p, 1, (select holder from journal_owners), p - 1, 1, 0, 0, ''
      from generate_series(${from}::integer, ${to}::integer) as p`;
  };
  await fill(2, 30_000);
  await fill(30_001, 40_000);
  t.same(await tables(), [
    'journal_frames_p0_0',
    'journal_frames_p0_16384',
    'journal_frames_p0_32768',
    'journal_frames_p0_49152',
  ]);
  const upkeep = () => sql`select journal_upkeep(0, 40001, ${settled})`;
  settled = 39_999;
  await upkeep();
  t.equal((await tables()).length, 4, 'an owner that is wrong about what is settled drops nothing');
  await sql`update journal_positions set sequence = 39999`;
  settled = 16_382 - 1;
  await upkeep();
  t.equal((await tables()).length, 4, 'one record of the first table is not settled');
  settled = 16_382;
  await sql.begin(async (backup) => {
    await backup`lock table journal_frames in access share mode`;
    await upkeep();
    await sql`select journal_upkeep(0, 70000, ${settled})`;
    t.equal((await tables()).length, 6, 'beside a backup tables are made, and none is dropped');
  });
  await upkeep();
  t.same((await tables())[0], 'journal_frames_p0_16384');
  settled = 39_999;
  await upkeep();
  t.same((await tables())[0], 'journal_frames_p0_32768');
  const next = owner();
  t.equal(await next.takeOver(2, atMs), 40_000, 'the next record is known although everything is settled');
});

t.test('no setting of the role makes an answer leave early, or cancels a commit', async (t) => {
  const { owner, sql, url } = await place(t);
  await sql.unsafe(`
    create table seen (setting text);
    create function see() returns trigger language plpgsql security definer as $$ begin
      insert into public.seen select concat_ws(' ', current_setting('synchronous_commit'),
        current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('transaction_isolation'));
      return null;
    end $$;
    create constraint trigger seen after insert on journal_frames deferrable initially deferred
      for each row execute function see()`);
  const { username } = new URL(url);
  const [database] = await sql<{ name: string }[]>`select current_database() as name`;
  const set = (setting: string) => sql.unsafe(`alter role ${username} in database ${database!.name} set ${setting}`);
  await set('statement_timeout = 50');
  await set('lock_timeout = 50');
  await set(`default_transaction_isolation = 'repeatable read'`);
  for (const [epoch, asked, found] of [
    [1, 'off', 'on'],
    [2, 'remote_apply', 'remote_apply'],
  ] as const) {
    await set(`synchronous_commit = ${asked}`);
    await sql`delete from seen`;
    const log = owner();
    await log.takeOver(epoch, atMs);
    await frame(log, epoch, 'a frame');
    const rows = await sql<{ setting: string }[]>`select setting from seen`;
    t.same(
      rows.map(({ setting }) => setting),
      Array(2).fill(`${found} 0 0 read committed`),
    );
  }
});

t.test('a commit that the server warns of is followed by one that waits for the standbys', async (t) => {
  const { owner, sql } = await place(t);
  const log = owner();
  await log.takeOver(1, atMs);
  await frame(log, 1, 'one');
  const barriers = async () => (await sql`select barriers::integer as count from journal_owners`)[0]!['count'];
  t.equal(await barriers(), 0);
  // As the server does when someone has cancelled its wait for a standby.
  await sql.unsafe(`
    create function warn() returns trigger language plpgsql as $$ begin
      raise warning 'canceling wait for synchronous replication due to user request';
      return null;
    end $$;
    create constraint trigger warned after insert on journal_frames deferrable initially deferred
      for each row execute function warn()`);
  await frame(log, 2, 'two');
  t.equal(await barriers(), 1);
  await owner().takeOver(2, atMs);
  t.equal(await barriers(), 2);
});

t.test('a frame that is found in its place is followed by a commit that waits for the standbys', async (t) => {
  const { owner, sql, stored } = await place(t);
  const holder = randomUUID();
  // Two of one owner: what the second sends, the first has committed.
  const [first, second] = [owner({ holder }), owner({ holder })];
  await first.takeOver(1, atMs);
  await second.takeOver(1, atMs);
  await frame(first, 1, 'one');
  const barriers = async () => (await sql`select barriers::integer as count from journal_owners`)[0]!['count'];
  t.equal(await barriers(), 0);
  await frame(second, 1, 'one');
  t.equal(await barriers(), 1);
  t.same(await stored(), ['1 1 1', '2 1 1', '3 1 1 one']);
});

t.test('frames of several partitions are one commit, and one that is refused harms no other', async (t) => {
  const { owner, connect, sql, addPartitions } = await place(t);
  await addPartitions(4);
  const database = connect();
  const logs = [0, 1, 2, 3].map((partition) => owner({ database, partition }));
  for (const log of logs) await log.takeOver(1, atMs);
  const placed = (text: string) =>
    logs.map((log, partition) => log.place({ firstSequence: 1 + partition, recordCount: 1, atMs }, Buffer.from(text)));
  const frames = placed('one');
  await owner({ partition: 1 }).takeOver(2, atMs);
  t.same([...(await database.append(frames))].sort(), [0, 2, 3], 'partition 1 has another owner');
  const [commits] = await sql`select count(distinct xmin::text)::integer as count from journal_frames
    where record_count > 0`;
  t.equal(commits!['count'], 1);
  await t.rejects(logs[1]!.resolve(frames[1]!), PartitionFencedError);
  // No table has this position: the server refuses the statement for it.
  for (const log of logs) log.appended();
  const [first, , misplaced, last] = placed('two');
  const far = { ...misplaced!, position: 10 ** 9 };
  t.same([...(await database.append([first!, far, last!]))].sort(), [0, 3]);
  t.equal(await logs[2]!.resolve(far), false, 'nothing stands there: it is placed again');
  t.same([...(await database.append([misplaced!]))], [2]);
});

t.test('a commit of several partitions that the server warns of is followed by one barrier of each', async (t) => {
  const { owner, connect, sql, addPartitions } = await place(t);
  await addPartitions(3);
  const database = connect();
  const logs = [0, 1, 2].map((partition) => owner({ database, partition }));
  for (const log of logs) await log.takeOver(1, atMs);
  await sql.unsafe(`
    create function warn() returns trigger language plpgsql as $$ begin
      raise warning 'canceling wait for synchronous replication due to user request';
      return null;
    end $$;
    create constraint trigger warned after insert on journal_frames deferrable initially deferred
      for each row when (new.record_count > 0) execute function warn()`);
  await sql`update journal_owners set epoch = 2 where partition = 1`;
  const head = { firstSequence: 1, recordCount: 1, atMs };
  const frames = logs.map((log) => log.place(head, Buffer.from('one')));
  t.same([...(await database.append(frames))].sort(), [0, 2], 'partition 1 has another owner by now');
  await t.rejects(logs[1]!.resolve(frames[1]!), PartitionFencedError);
  const barriers = await sql`select barriers::integer as count from journal_owners order by partition`;
  t.same(
    barriers.map(({ count }) => count),
    [1, 0, 1],
  );
});

t.test('a frame of a few messages is one row, and a large one is stored in pieces', async (t) => {
  const { sql, owner } = await place(t);
  const log = owner();
  await log.takeOver(1, atMs);
  const pieces = async (): Promise<number> => {
    const [row] = await sql<{ bytes: number }[]>`
      select sum(pg_relation_size(reltoastrelid))::integer as bytes from pg_class
      where relname like 'journal_frames_p0_%' and reltoastrelid <> 0`;
    return row!.bytes;
  };
  await frame(log, 1, 'x'.repeat(7000));
  t.equal(await pieces(), 0);
  await frame(log, 2, 'x'.repeat(20_000));
  t.ok((await pieces()) > 0);
});
