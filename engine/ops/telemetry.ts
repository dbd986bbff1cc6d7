/** Metrics of the engine. The hot path adds to plain arrays, which are read by each scrape. */

import { Buckets, latencyBoundsMs } from '../../platform/metrics/buckets.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { measureThreads } from '../../platform/process/thread-times.js';
import { type Protocol, protocolNames } from '../core/codes.js';
import { Reason, reasonEntry, reasonTable } from '../core/reasons.js';
import type { MemoryStats } from '../exchange/partition-task.js';
import { type Progress, settleMsBounds, syncNsBounds } from '../exchange/progress.js';
import type { Slab } from '../exchange/slab.js';
import type { FeedState } from '../feed/feed.js';
import { type LookupSource, lookupSources } from '../lookups/lookups.js';
import type { CallCounts } from './marqeta-watch.js';
import { type StoreName, stores } from './memory-room.js';
import { Counted, callOutcomes, MessageCounts } from './message-counts.js';

const batchBounds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048] as const;

const lookupHelp: Readonly<Record<LookupSource, string>> = {
  redis: 'Time of a lookup in Redis alone: a card',
  books: 'Time of a lookup of a card in Redis and of its books in Postgres',
  postgres: 'Time of a lookup in Postgres alone',
};

/** Hops of an authorization, in order. */
const hops = ['wait', 'decide', 'answer', 'total'] as const;
const hopHelp: Readonly<Record<(typeof hops)[number], string>> = {
  wait: 'Time from the arrival of the first message of a slab to its sealing',
  decide: 'Time from the sealing of a slab until its answers may leave: the worker and the sync',
  answer: 'Time that the front takes to send the answers of a slab',
  total: 'Time from the arrival of a message to its decided answer',
};

export class Telemetry extends Metrics {
  /** What the transports of the main thread count. */
  readonly messages = new MessageCounts();
  #ofFronts: readonly MessageCounts[] = [];
  /** Ledger commands by `type:reason`. */
  readonly #commands = new Map<string, number>();
  /** All but the last: that is of the messages. */
  readonly #hops = hops.slice(0, -1).map(() => new Buckets());
  readonly #batch = new Buckets(batchBounds);
  readonly #lookups = lookupSources.map(() => new Buckets());
  revocations = 0;

  constructor(progress: Progress, gauges: () => EngineGauges) {
    super();
    measureThreads(this, 'front');
    this.counter('authorization_decisions_total', 'Decided answers by reason', ['reason'], (counter) => {
      const { decisions } = this.counted;
      for (const entry of reasonTable) counter.inc({ reason: entry.name }, decisions[entry.number]!);
    });
    this.counter(
      'authorization_refusals_total',
      'Requests answered 503 without a decision, by reason',
      ['reason'],
      (counter) => {
        const { refusals } = this.counted;
        for (const entry of reasonTable) {
          // These two from the start: an alert compares a rate with them, and a series that begins late has none.
          const isCommon = entry.number === Reason.overloaded || entry.number === Reason.systemError;
          const count = refusals[entry.number]!;
          if (isCommon || count > 0) counter.inc({ reason: entry.name }, count);
        }
      },
    );
    this.counter('authorization_bad_requests_total', 'Requests answered 400', [], (counter) =>
      counter.inc(this.countOf(Counted.badRequests)),
    );
    this.counter('authorization_unauthorized_total', 'Requests answered 401', [], (counter) =>
      counter.inc(this.countOf(Counted.unauthorized)),
    );
    this.counter(
      'authorization_unsupported_total',
      'Messages declined because their kind is not served',
      [],
      (counter) => counter.inc(this.countOf(Counted.unsupported)),
    );
    this.counter(
      'authorization_unknown_fields_total',
      'Messages of the native form with an unknown field, by the name of the field',
      ['field'],
      (counter) => {
        for (const [field, count] of gauges().unknownFields) counter.inc({ field }, count);
      },
    );
    this.counter(
      'authorization_aborted_total',
      'Clients that closed the connection before their answer',
      [],
      (counter) => counter.inc(this.countOf(Counted.aborted)),
    );
    this.counter('authorization_repeated_total', 'Repeats, answered with the first answer', [], (counter) =>
      counter.inc(this.countOf(Counted.repeated)),
    );
    this.counter('authorization_late_total', 'Approvals revoked because their deadline had passed', [], (counter) =>
      counter.inc(this.revocations),
    );
    this.counter(
      'authorization_approved_late_total',
      'Approvals that were sent after their deadline: there must be none',
      [],
      (counter) => counter.inc(this.countOf(Counted.lateApprovals)),
    );
    this.counter(
      'authorization_calls_total',
      'Calls by protocol and answer; `approved` are all with 200, in some protocols declines too',
      ['protocol', 'outcome'],
      (counter) => {
        for (const [index, count] of this.#sumOf((of) => of.calls).entries()) {
          const protocol = protocolNames[Math.floor(index / callOutcomes.length) as Protocol];
          if (count > 0) counter.inc({ protocol, outcome: callOutcomes[index % callOutcomes.length]! }, count);
        }
      },
    );
    this.counter(
      'ledger_commands_total',
      'Deposits, withdrawals and released holds by answer',
      ['type', 'reason'],
      (counter) => {
        for (const [key, count] of this.#commands) {
          const [type = '', reason = ''] = key.split(':');
          counter.inc({ type, reason }, count);
        }
      },
    );
    this.counter(
      'notifications_total',
      'Notifications of processors that were read, by protocol and kind; kinds that are not served are `other`',
      ['protocol', 'kind'],
      (counter) => {
        for (const [key, count] of this.messages.notifications) {
          const [protocol = '', kind = ''] = key.split(':');
          counter.inc({ protocol, kind }, count);
        }
      },
    );
    this.counter('notification_facts_total', 'Facts of notifications, by answer', ['reason'], (counter) => {
      const facts = this.#sumOf((of) => of.facts);
      for (const { name, number } of reasonTable) {
        if (facts[number]! > 0) counter.inc({ reason: name }, facts[number]!);
      }
    });
    for (const [index, hop] of hops.entries()) {
      this.histogram(`authorization_${hop}_seconds`, hopHelp[hop], [], () => [
        (this.#hops[index] ?? this.counted.total).observed(),
      ]);
    }
    for (const [index, source] of lookupSources.entries()) {
      this.histogram(`load_${source}_seconds`, lookupHelp[source], [], () => [this.#lookups[index]!.observed()]);
    }
    this.histogram('authorization_batch_size', 'Messages per slab', [], () => [this.#batch.observed(1)]);
    this.#journal(progress);
    this.#gauges(gauges);
    this.counter(
      'card_cache_redis_total',
      'Lookups of cards in Redis: hit (of these overtaken by a change, or malformed), miss, or timeout',
      ['result'],
      (counter) => {
        const { cache } = gauges();
        if (cache === null) return;
        counter.inc({ result: 'hit' }, cache.hits);
        counter.inc({ result: 'overtaken' }, cache.overtaken);
        counter.inc({ result: 'malformed' }, cache.malformed);
        counter.inc({ result: 'miss' }, cache.misses);
        counter.inc({ result: 'timeout' }, cache.failures);
      },
    );
    this.counter('card_cache_redis_writes_total', 'Cards written to Redis, or dropped', ['result'], (counter) => {
      const { cache } = gauges();
      if (cache === null) return;
      counter.inc({ result: 'written' }, cache.written);
      counter.inc({ result: 'dropped' }, cache.unwritten);
    });
  }

  /** What front threads count is added to what is shown. */
  addFronts(counts: readonly MessageCounts[]): void {
    this.#ofFronts = counts;
  }

  /** @param counted one of Counted */
  countOf(counted: number): number {
    return this.#sumOf((of) => of.singles)[counted]!;
  }

  /** Of all threads: the counts themselves where the main thread alone counts. */
  #sumOf(pick: (of: MessageCounts) => Float64Array): Float64Array {
    const own = pick(this.messages);
    if (this.#ofFronts.length === 0) return own;
    return own.map((count, index) => this.#ofFronts.reduce((sum, front) => sum + pick(front)[index]!, count));
  }

  /** Calls by outcome since the start. A protocol that declines with 200 has its declines among the approved. */
  callsOf(protocol: number): CallCounts {
    const [approved = 0, declined = 0, malformed = 0, unauthorized = 0, unavailable = 0] = this.#sumOf(
      (of) => of.calls,
    ).subarray(protocol * callOutcomes.length, (protocol + 1) * callOutcomes.length);
    return { approved, declined, malformed, unauthorized, unavailable };
  }

  /** As they are now: for lines of the live stream. */
  get counted() {
    const [wait, decide, answer] = this.#hops;
    return {
      decisions: this.#sumOf((of) => of.decisions),
      refusals: this.#sumOf((of) => of.refusals),
      wait: wait!,
      decide: decide!,
      answer: answer!,
      total: new Buckets(
        latencyBoundsMs,
        this.#sumOf((of) => of.total.cells),
      ),
    };
  }

  /** Answers with this reason: decided, and refused with 503. */
  declined(reason: Reason): { readonly decided: number; readonly refused: number } {
    return {
      decided: this.#sumOf((of) => of.decisions)[reason]!,
      refused: this.#sumOf((of) => of.refusals)[reason]!,
    };
  }

  /** A ledger command was answered. */
  command(type: string, reason: Reason): void {
    const key = `${type}:${reasonEntry(reason).name}`;
    this.#commands.set(key, (this.#commands.get(key) ?? 0) + 1);
  }

  /** Something that was missing has been looked up. */
  lookedUp(source: LookupSource, tookMs: number): void {
    this.#lookups[lookupSources.indexOf(source)]!.add(tookMs);
  }

  /** A batch came back and was answered. */
  batch(slab: Slab, waitedMs: number, ranMs: number, answeredMs: number): void {
    this.#hops[0]!.add(waitedMs);
    this.#hops[1]!.add(ranMs);
    this.#hops[2]!.add(answeredMs);
    this.#batch.add(slab.count);
  }

  #journal(progress: Progress): void {
    const sum = (pick: (partition: Progress['partitions'][number]) => number) =>
      progress.partitions.reduce((total, partition) => total + Math.max(0, pick(partition)), 0);
    const counters: [string, string, () => number][] = [
      ['journal_records_total', 'Records appended', () => sum((p) => p.records)],
      ['journal_batches_total', 'Frames appended', () => sum((p) => p.batches)],
      ['journal_syncs_total', 'fdatasync calls', () => sum((p) => p.syncs)],
      ['journal_bytes_total', 'Bytes appended', () => sum((p) => p.bytes)],
      ['shipper_settled_records_total', 'Records settled into Postgres', () => sum((p) => p.settledRecords)],
      ['shipper_settled_batches_total', 'Settle statements that were committed', () => sum((p) => p.settledBatches)],
      ['shipper_failures_total', 'Settle statements that failed', () => sum((p) => p.settleFailures)],
    ];
    for (const [name, help, value] of counters) this.counter(name, help, [], (counter) => counter.inc(value()));
    this.histogram('journal_sync_seconds', 'Time of one fdatasync', [], () => {
      const counts = new Float64Array(syncNsBounds.length + 1);
      for (const partition of progress.partitions) {
        for (const [index, count] of partition.syncBuckets().entries()) counts[index]! += count;
      }
      return [{ bounds: syncNsBounds.map((bound) => bound / 1e9), counts, sum: sum((p) => p.syncNs) / 1e9 }];
    });
    this.histogram('shipper_settle_seconds', 'Time of one settle statement that was committed', [], () => {
      const counts = new Float64Array(settleMsBounds.length + 1);
      for (const partition of progress.partitions) {
        for (const [index, count] of partition.settleBuckets().entries()) counts[index]! += count;
      }
      return [{ bounds: settleMsBounds.map((bound) => bound / 1e3), counts, sum: sum((p) => p.settleMs) / 1e3 }];
    });
    const perPartition: [string, string, (partition: Progress['partitions'][number]) => number][] = [
      ['journal_sequence', 'Newest durable record', (p) => p.durableSequence],
      ['journal_segments', 'Segments of the journal on disk', (p) => p.segments],
      ['journal_spares', 'Zeroed files that wait to become segments', (p) => p.spares],
      ['shipper_sequence', 'Newest record settled in Postgres', (p) => p.settledSequence],
      ['shipper_lag_records', 'Durable records that Postgres does not have yet', (p) => p.backlogRecords],
    ];
    for (const [name, help, value] of perPartition) {
      this.gauge(name, help, ['partition'], (gauge) => {
        for (const [index, partition] of progress.partitions.entries()) {
          gauge.set({ partition: String(index) }, value(partition));
        }
      });
    }
    this.gauge(
      'shipper_lag_seconds',
      'Age of the newest settled batch while records wait; 0 when none waits',
      [],
      (gauge) => {
        const lags = progress.partitions.map((p) => (p.backlogRecords > 0 ? Date.now() - p.settledAtMs : 0));
        gauge.set(Math.max(0, ...lags) / 1000);
      },
    );
  }

  #gauges(read: () => EngineGauges): void {
    const gauge = (name: string, help: string, pick: (gauges: EngineGauges) => number) =>
      this.gauge(name, help, [], (target) => target.set(pick(read())));
    gauge('authorization_in_flight', 'Requests accepted and not answered', (g) => g.inFlight);
    gauge('lane_depth', 'Messages in the open slabs and in those on their way', (g) => g.laneDepth);
    gauge('loader_waiting', 'Messages that wait for a lookup', (g) => g.lookupsWaiting);
    gauge('loader_failures', 'Lookups in Postgres that failed', (g) => g.lookupFailures);
    gauge('partitions_ready', 'Partitions that take messages', (g) => g.partitionsReady);
    gauge('worker_restarts', 'Workers replaced since the start', (g) => g.restarts);
    gauge('card_cache_entries', 'Cards in memory', (g) => g.cards);
    gauge('card_cache_hits', 'Messages whose card was in memory', (g) => g.cardHits);
    gauge(
      'card_cache_misses',
      'Messages whose card was not in memory, or its account, user or spend rows',
      (g) => g.cardMisses,
    );
    this.gauge('memory_rows', 'Rows in memory', ['store'], (target) => {
      for (const { name } of stores) target.set({ store: name }, read().memory(name).rows);
    });
    this.gauge('memory_rows_max', 'Rows that memory has room for', ['store'], (target) => {
      for (const { name } of stores) target.set({ store: name }, read().memory(name).max);
    });
    this.counter('memory_evictions_total', 'Rows that left memory, settled and idle', ['store'], (counter) => {
      for (const { name } of stores) counter.inc({ store: name }, read().memory(name).evictions);
    });
    this.counter('memory_full_total', 'Times that a row or message found no room in memory', ['store'], (counter) => {
      for (const { name } of stores) counter.inc({ store: name }, read().memory(name).full);
    });
    gauge('loads_outdated', 'Rows of lookups that were older than memory, and were read again', (g) => g.outdated);
    gauge('messages_waiting_for_room', 'Messages that wait until memory has room for what they need', (g) => g.resting);
    gauge('messages_without_room', 'Messages refused because memory had no room in time', (g) => g.roomRefusals);
    gauge('transactions_in_memory', 'Transactions in memory', (g) => g.transactions);
    gauge('accounts_in_memory', 'Accounts in memory', (g) => g.accounts);
    gauge('spend_rows_in_memory', 'Cards, users and accounts whose spending is in memory', (g) => g.spendRows);
    gauge('quarantined_records', 'Records that Postgres refused and that wait for an operator', (g) => g.quarantined);
    gauge('seen_ids_in_memory', 'Ids of messages in memory', (g) => g.seenIds);
    this.gauge('start_phase_ms', 'Time of each phase of the last start', ['phase', 'partition'], (target) => {
      for (const [index, phases] of read().startPhases.entries()) {
        const partition = index === 0 ? '' : String(index - 1);
        for (const [phase, ms] of phases) target.set({ phase, partition }, ms);
      }
    });
    gauge(
      'feed_lag_ms',
      'Time from the newest change to its being in force, or since changes wait',
      (g) => g.feed.lagMs,
    );
    gauge('feed_sequence', 'Newest change in force', (g) => g.feed.applied);
    gauge('feed_sequence_newest', 'Newest change known', (g) => g.feed.newest);
    gauge('feed_queued', 'Changes in memory that are not in force yet', (g) => g.feed.queued);
    gauge('feed_age_ms', 'Time since cards were last known to be up to date', (g) => g.feed.ageMs);
    gauge('feed_gaps', 'Changes that the messenger skipped', (g) => g.feed.gaps);
    gauge('feed_repairs', 'Reads of the outbox for what the messenger did not bring', (g) => g.feed.repairs);
    gauge('feed_failures', 'Reads of the outbox that failed', (g) => g.feed.failures);
    gauge('redis_refused', 'Values and messages in Redis that no process of ours wrote', (g) => g.redisRefused);
    gauge('feed_set_apart', 'Profiles that cannot be applied, and are declined', (g) => g.feed.setApart);
    gauge('feed_snapshots', 'Times that the outbox did not reach back and all was read', (g) => g.feed.snapshots);
  }
}

export interface CacheCounts {
  readonly hits: number;
  readonly overtaken: number;
  readonly malformed: number;
  readonly misses: number;
  readonly failures: number;
  readonly written: number;
  readonly unwritten: number;
}

/** Read by each scrape. */
export interface EngineGauges {
  readonly inFlight: number;
  readonly laneDepth: number;
  readonly lookupsWaiting: number;
  readonly lookupFailures: number;
  readonly partitionsReady: number;
  readonly restarts: number;
  readonly cards: number;
  readonly cardHits: number;
  readonly cardMisses: number;
  readonly transactions: number;
  readonly accounts: number;
  readonly spendRows: number;
  /** Messages by the unknown field that they had. */
  readonly unknownFields: ReadonlyMap<string, number>;
  readonly seenIds: number;
  readonly quarantined: number;
  readonly outdated: number;
  readonly resting: number;
  readonly roomRefusals: number;
  memory(store: StoreName): MemoryStats & { readonly max: number };
  /** Of the process, then of each partition. */
  readonly startPhases: readonly ReadonlyMap<string, number>[];
  readonly feed: FeedState;
  /** null: there is no Redis. */
  readonly cache: CacheCounts | null;
  readonly redisRefused: number;
}
