/**
 * The ledger whose partitions stand in the memory of engines: the main thread's side. It finds the partition of a
 * message, hands the message to where that partition is, and refuses what waits beyond its deadline.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Protocol } from '../core/codes.js';
import type { SpendEntities } from '../lookups/database-accounts.js';
import type { Lookups } from '../lookups/lookups.js';
import type { OwnerFinder } from '../lookups/owner-finder.js';
import type { Codec } from '../protocols/codec.js';
import type { StandIn } from '../standin/stand-in.js';
import type { Admission } from './admission.js';
import type { DecisionReader } from './decision-reader.js';
import type { DecisionView } from './decision-view.js';
import type { AccountView, Ledger, WindowsView } from './ledger.js';
import type { LedgerReader } from './ledger-reader.js';
import type { PartitionHost } from './partition-host.js';
import type { Placement } from './placement.js';
import type { Router } from './router.js';
import type { Waiter } from './waiter.js';

const drainLookMs = 2;

export interface MemoryLedgerParts {
  readonly hosts: readonly PartitionHost[];
  readonly router: Router;
  readonly placement: Placement;
  readonly reader: LedgerReader;
  readonly decisions: DecisionReader;
  readonly lookups: Lookups;
  readonly cardOwners: OwnerFinder;
  readonly accountOwners: OwnerFinder;
  readonly admission: Admission;
  readonly deadlineMs: number;
  /** Null: it is off. */
  readonly standIn: StandIn | null;
}

export class MemoryLedger implements Ledger {
  readonly #parts: MemoryLedgerParts;
  readonly #router: Router;

  constructor(parts: MemoryLedgerParts) {
    this.#parts = parts;
    this.#router = parts.router;
  }

  submit(codec: Codec, body: Uint8Array, waiter: Waiter): void {
    const found = this.#router.route(codec, body);
    if (typeof found === 'string') this.#submitUnknown(codec, body, waiter, found);
    else this.#place(codec, found, body, waiter);
  }

  /** Behind the router, which has just read the message. */
  #place(codec: Codec, partition: number, body: Uint8Array, waiter: Waiter): void {
    const { standIn, placement, hosts } = this.#parts;
    // Elsewhere another engine has the ids, and the stand-in.
    const isNewId = this.#router.isNewId && hosts[partition]!.knowsNewIds;
    const guarded = standIn === null ? waiter : standIn.guard(codec, partition, body, waiter, isNewId);
    if (guarded !== null) placement.submit(partition, body, guarded);
  }

  /** @param key the card's token or the account's public id, whose owner is to be found first */
  #submitUnknown(codec: Codec, body: Uint8Array, waiter: Waiter, key: string): void {
    const { accountOwners, cardOwners } = this.#parts;
    // Copied: the body's bytes live only as long as the caller's callback.
    const bytes = Buffer.from(body);
    const owners = codec.protocol === Protocol.ledger ? accountOwners : cardOwners;
    owners.find(key, waiter, (ownerKey) =>
      this.#place(codec, this.#router.routeFound(codec, bytes, key, ownerKey), bytes, waiter),
    );
  }

  books(publicIds: readonly string[]): Promise<readonly AccountView[]> {
    return this.#parts.reader.accounts(publicIds);
  }

  windows(entities: SpendEntities): Promise<WindowsView> {
    return this.#parts.reader.windows(entities);
  }

  decision(id: string): Promise<DecisionView | null> {
    return this.#parts.decisions.find(id);
  }

  /** Messages that wait for a lookup, of their own or of their owner. */
  get lookupsWaiting(): number {
    const { lookups, cardOwners, accountOwners } = this.#parts;
    return lookups.waiting + cardOwners.waiting + accountOwners.waiting;
  }

  /** Messages refused because memory had no room for what they need. For the metrics, and for the log. */
  get roomRefusals(): number {
    const { hosts, lookups } = this.#parts;
    return hosts.reduce((sum, { lane }) => sum + lane.roomRefusals, lookups.roomRefusals);
  }

  /** Refuses what waits beyond its deadline. Called by one coarse timer. */
  expire(nowMs: number): void {
    const { hosts, placement, lookups, cardOwners, accountOwners, deadlineMs, standIn } = this.#parts;
    placement.expire(nowMs);
    standIn?.expire(nowMs);
    for (const { lane } of hosts) lane.expire(nowMs);
    lookups.expire(nowMs, deadlineMs);
    cardOwners.expire(nowMs, deadlineMs);
    accountOwners.expire(nowMs, deadlineMs);
  }

  async drain(timeoutMs: number): Promise<void> {
    const { hosts, admission } = this.#parts;
    const giveUpAtMs = performance.now() + timeoutMs;
    while ((admission.count > 0 || hosts.some(({ lane }) => !lane.isIdle)) && performance.now() < giveUpAtMs) {
      await delay(drainLookMs);
    }
  }
}
