/**
 * Looks at the books from outside: as the partitions have them in memory now, and as settled where memory has nothing.
 * That is read once more behind the look at memory: what has just left memory is settled, and perhaps was not before.
 * For the ops port.
 */
import type { WindowUse } from '../core/spend.js';
import { Spend } from '../core/spend.js';
import { zoneNamed } from '../core/window.js';
import type { AccountBooks, WindowEntity } from '../exchange/partition-task.js';
import type { Database } from '../lookups/database.js';
import type { AccountSummary, SpendEntities, SpendSummary } from '../lookups/database-accounts.js';
import type { AccountView, WindowsView } from './ledger.js';
import type { FoundDecision } from './partition-host.js';
import { partitionOf } from './router.js';

/** Looks into the memory of partitions; null for what is not there. Throws while a partition cannot be asked. */
export interface PartitionLooks {
  accounts(partition: number, numbers: readonly number[]): Promise<readonly (AccountBooks | null)[]>;
  windows(partition: number, entities: readonly WindowEntity[]): Promise<readonly (WindowUse | null)[]>;
  decision(partition: number, id: string): Promise<FoundDecision | null>;
}

/** @param hosts by partition: every partition stands in this engine */
export function looksAt(
  hosts: readonly {
    accounts(numbers: readonly number[]): Promise<readonly (AccountBooks | null)[]>;
    windows(entities: readonly WindowEntity[]): Promise<readonly (WindowUse | null)[]>;
    decision(id: string): Promise<FoundDecision | null>;
  }[],
): PartitionLooks {
  return {
    accounts: (partition, numbers) => hosts[partition]!.accounts(numbers),
    windows: (partition, entities) => hosts[partition]!.windows(entities),
    decision: (partition, id) => hosts[partition]!.decision(id),
  };
}

export class LedgerReader {
  readonly #database: Database;
  readonly #looks: PartitionLooks;
  readonly #partitionCount: number;
  readonly #nowMs: () => number;

  constructor(database: Database, looks: PartitionLooks, partitionCount: number, nowMs: () => number) {
    this.#database = database;
    this.#looks = looks;
    this.#partitionCount = partitionCount;
    this.#nowMs = nowMs;
  }

  /** Books of the accounts with those public ids, in that order; unknown ones are left out. */
  async accounts(publicIds: readonly string[]): Promise<AccountView[]> {
    const settled = await this.#database.accountSummaries(publicIds);
    const live = await this.#ask(settled, (partition, of) =>
      this.#looks.accounts(
        partition,
        of.map(({ number }) => number),
      ),
    );
    const absent = settled.filter((of) => !live.has(of)).map(({ publicId }) => publicId);
    const latest = absent.length === 0 ? [] : await this.#database.accountSummaries(absent);
    const views = new Map(
      [...settled.filter((of) => live.has(of)), ...latest].map((of) => [
        of.publicId,
        accountView(of, live.get(of) ?? of),
      ]),
    );
    return publicIds.map((id) => views.get(id)).filter((view) => view !== undefined);
  }

  /** Use of the spend windows now, on the local day in the account's zone. */
  async windows(entities: SpendEntities): Promise<WindowsView> {
    const nowMs = this.#nowMs();
    const dayOf = ({ timeZone }: SpendSummary) => zoneNamed(timeZone).dayOf(nowMs);
    const settled = await this.#database.spendSummaries(entities);
    const live = await this.#ask(settled, (partition, of) =>
      this.#looks.windows(
        partition,
        of.map((row) => ({ level: row.level, number: row.number, day: dayOf(row) })),
      ),
    );
    const isLive = settled.every((row) => live.has(row));
    const latest = isLive ? settled : await this.#database.spendSummaries(entities);
    const [card = null, user = null, account = null] = [0, 1, 2].map((level) => {
      const row = settled.find((of) => of.level === level);
      const last = latest.find((of) => of.level === level);
      if (row === undefined || last === undefined) return null;
      return live.get(row) ?? settledUse(last, dayOf(last));
    });
    return { card, user, account };
  }

  /** One look per partition that owns some of the rows. */
  async #ask<R extends { readonly ownerKey: number }, A>(
    rows: readonly R[],
    look: (partition: number, rows: readonly R[]) => Promise<readonly (A | null)[]>,
  ): Promise<Map<R, A>> {
    const answers = new Map<R, A>();
    const owners = new Map<number, R[]>();
    for (const row of rows) {
      const partition = partitionOf(row.ownerKey, this.#partitionCount);
      owners.set(partition, [...(owners.get(partition) ?? []), row]);
    }
    await Promise.all(
      [...owners].map(async ([partition, owned]) => {
        for (const [index, answer] of (await look(partition, owned)).entries()) {
          if (answer !== null) answers.set(owned[index]!, answer);
        }
      }),
    );
    return answers;
  }
}

function accountView({ publicId, currency }: AccountSummary, books: AccountBooks): AccountView {
  const { funds, available, held, posted } = books;
  return { id: publicId, currency, funds, available, held, posted };
}

/** The settled row, read by the same rules as the engine's own; nothing was spent where there is none. */
function settledUse({ level, number, spend }: SpendSummary, day: number): WindowUse {
  const store = new Spend(1);
  if (spend === null) store.add(level, number, day, 0, 0, 0);
  else store.load(level, number, spend.day, spend.amounts, spend.counts, null, spend.rolling);
  return store.use(level, number, day)!;
}
