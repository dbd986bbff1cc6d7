/**
 * How much of each partition's memory is in use, and whether its bounds are felt. Rows leave memory once they are
 * settled and idle, so a full store costs lookups and declines nothing. Only unsettled rows must stay. Looked at once a
 * second.
 */
import type { EngineConfig } from '../config.js';
import type { MemoryStats, PartitionStats } from '../exchange/partition-task.js';
import type { PartitionProgress } from '../exchange/progress.js';

/** The stores of a partition, each with the variable that bounds it. */
export const stores = [
  { name: 'accounts', variable: 'ACCOUNTS_MAX', rows: 1 },
  // A company's account has many cardholders, a personal one has one.
  { name: 'users', variable: 'ACCOUNTS_MAX', rows: 2 },
  { name: 'spend', variable: 'ACCOUNTS_MAX', rows: 4 },
  { name: 'cards', variable: 'CARDS_MAX', rows: 1 },
  { name: 'transactions', variable: 'HOLDS_MAX', rows: 1 },
] as const;
export type StoreName = (typeof stores)[number]['name'];

type Bounds = Pick<EngineConfig, 'accountsMax' | 'cardsMax' | 'transactionsMax'>;

/** Rows that one partition has room for. */
export function rowsMax(store: StoreName, bounds: Bounds): number {
  const { variable, rows } = stores.find(({ name }) => name === store)!;
  const bound = { ACCOUNTS_MAX: bounds.accountsMax, CARDS_MAX: bounds.cardsMax, HOLDS_MAX: bounds.transactionsMax }[
    variable
  ];
  return bound * rows;
}

/** A record keeps an account and a hold in memory until it is settled: beyond this share of either, room gets short. */
const unsettledShareMax = 0.5;
/** How long a store that found no room for something is spoken of. */
const shortMs = 60_000;

export class MemoryRoom {
  readonly #bounds: Bounds;
  readonly #hosts: readonly {
    readonly partition: number;
    readonly progress: Pick<PartitionProgress, 'backlogRecords'>;
  }[];
  readonly #nowMs: () => number;
  #stats: readonly PartitionStats[] = [];
  #full = new Map<StoreName, { readonly count: number; readonly atMs: number }>();

  /** @param nowMs monotonic milliseconds */
  constructor(
    bounds: Bounds,
    hosts: readonly { readonly partition: number; readonly progress: Pick<PartitionProgress, 'backlogRecords'> }[],
    nowMs: () => number = () => performance.now(),
  ) {
    this.#bounds = bounds;
    this.#hosts = hosts;
    this.#nowMs = nowMs;
  }

  /** @param stats what each partition that is ready has in memory now */
  look(stats: readonly PartitionStats[]): void {
    this.#stats = stats;
    for (const { name } of stores) {
      const count = this.#sum(name, 'full');
      const before = this.#full.get(name) ?? { count: 0, atMs: Number.NEGATIVE_INFINITY };
      this.#full.set(name, { count, atMs: count > before.count ? this.#nowMs() : before.atMs });
    }
  }

  #sum(store: StoreName, what: keyof MemoryStats): number {
    return this.#stats.reduce((sum, { memory }) => sum + memory[store][what], 0);
  }

  /** Why messages are or soon will be declined for want of memory; '' while there is room. */
  problem(): string {
    const short = stores.filter(({ name }) => this.#nowMs() - (this.#full.get(name)?.atMs ?? -Infinity) < shortMs);
    if (short.length > 0) return short.map((store) => this.#shortage(store.name)).join('; ');
    for (const { name } of [stores[0], stores[4]]) {
      const max = rowsMax(name, this.#bounds);
      const host = this.#hosts.find(({ progress }) => progress.backlogRecords > max * unsettledShareMax);
      if (host !== undefined) {
        return (
          `${host.progress.backlogRecords} records of partition ${host.partition} wait to be settled, and memory has ` +
          `room for ${max} ${name} (${variableOf(name)}): once all are needed, messages are declined as overloaded`
        );
      }
    }
    return '';
  }

  #shortage(store: StoreName): string {
    return (
      `all ${rowsMax(store, this.#bounds)} ${store} rows of a partition (${variableOf(store)}) are held by what ` +
      'Postgres does not have yet: messages wait for it, and are declined as overloaded at their deadline'
    );
  }

  /** Shares of memory in use, for people. */
  detail(): string {
    const parts = stores.map(({ name }) => {
      const share = this.#sum(name, 'rows') / (rowsMax(name, this.#bounds) * this.#hosts.length);
      return `${name} ${Math.round(share * 100)} %`;
    });
    return `in use of what there is room for: ${parts.join(', ')}`;
  }

  /** Rows of a store in all partitions: in memory, room for, left so far, and found no room so far. */
  figures(store: StoreName): MemoryStats & { readonly max: number } {
    const max = rowsMax(store, this.#bounds) * this.#hosts.length;
    return {
      rows: this.#sum(store, 'rows'),
      evictions: this.#sum(store, 'evictions'),
      full: this.#sum(store, 'full'),
      max,
    };
  }
}

function variableOf(store: StoreName): string {
  return stores.find(({ name }) => name === store)!.variable;
}
