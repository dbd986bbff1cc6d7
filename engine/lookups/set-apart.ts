/**
 * Profiles that cannot be applied (core/profile-shape.ts says why). Each is named here, counted, logged once and
 * reported to the account API. Its card, user or account is declined, and all others continue. A later version that can
 * be applied ends it.
 *
 * All profiles on their way to a partition pass here: the feed's, those of lookups, and those that a restart restores.
 */

import type { Log } from '../../platform/log.js';
import { Status } from '../core/accounts.js';
import type { FeedEntry, FeedTopic, RawEntry } from '../core/feed.js';
import type { AccountRow, CardRow, PartitionRows, UserRow } from '../core/partition-rows.js';
import { booksFault, faultOf, isIdentified } from '../core/profile-shape.js';

/** Beyond this many they are declined and counted, but neither named nor reported to the account API. */
const namedMax = 10_000;
/** Names in a line of /health. */
const shownMax = 5;

export interface Apart {
  readonly topic: FeedTopic;
  readonly key: string;
  readonly version: number;
  readonly reason: string;
}

export class SetApart {
  readonly #log: Pick<Log, 'error' | 'warn'>;
  readonly #named = new Map<string, Apart>();
  #unnamed = 0;
  /** What the database does not have yet; `reason` '' where a profile can be applied again. */
  #unreported = new Map<string, Apart>();

  constructor(log: Pick<Log, 'error' | 'warn'>) {
    this.#log = log;
  }

  get count(): number {
    return this.#named.size + this.#unnamed;
  }

  /** What is set apart, for a person; '' when nothing is. */
  get detail(): string {
    if (this.count === 0) return '';
    const shown = [...this.#named.values()].slice(0, shownMax);
    const names = shown.map(({ topic, key, version, reason }) => `${topic} ${key} version ${version}: ${reason}`);
    const more = this.count - shown.length;
    return (
      `${this.count} cannot be applied and are declined until they are corrected: ` +
      `${names.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
    );
  }

  /** Those that earlier engines have found. */
  known(list: readonly Apart[]): void {
    for (const apart of list.slice(0, namedMax)) this.#named.set(`${apart.topic} ${apart.key}`, apart);
  }

  get hasUnreported(): boolean {
    return this.#unreported.size > 0;
  }

  /** Takes what the database shall get next. What comes back with put() is taken again. */
  takeUnreported(): readonly Apart[] {
    const unreported = [...this.#unreported.values()];
    this.#unreported = new Map();
    return unreported;
  }

  putBack(list: readonly Apart[]): void {
    for (const apart of list) {
      const id = `${apart.topic} ${apart.key}`;
      if (!this.#unreported.has(id)) this.#unreported.set(id, apart);
    }
  }

  /**
   * Entries as partitions take them: of a profile that cannot be applied, that it is closed; without those that say
   * nothing.
   */
  entries(list: readonly RawEntry[]): FeedEntry[] {
    const taken: FeedEntry[] = [];
    for (const entry of list) {
      const { sequence, atMs, topic, payload } = entry;
      if (!isIdentified(topic, payload)) {
        // There is no such row, or it has no name that a message could have: nothing is in memory of it.
        this.#add(topic, entry.key ?? '?', entry.version ?? 0, 'neither the change nor its row can be read');
        continue;
      }
      const fault = faultOf(topic, payload);
      this.#judge(topic, payload.number, payload.version, fault);
      const profile = fault === '' ? payload : { ...payload, ...closedProfile };
      taken.push({ sequence, atMs, topic, payload: profile } as FeedEntry);
    }
    return taken;
  }

  /** Rows as partitions take them. Without accounts whose books cannot be taken over, their cards are declined. */
  soundRows(message: PartitionRows): PartitionRows {
    const accounts = this.#rows('account', message.accounts);
    const users = this.#rows('user', message.users);
    const cards = this.#rows('card', message.cards);
    return { ...message, ...(accounts && { accounts }), ...(users && { users }), ...(cards && { cards }) };
  }

  #rows<T extends AccountRow | UserRow | CardRow>(topic: FeedTopic, rows: readonly T[] | undefined): T[] | undefined {
    if (rows === undefined) return undefined;
    const taken: T[] = [];
    for (const row of rows) {
      const brokenBooks = topic === 'account' ? booksFault(row as AccountRow) : '';
      const fault = brokenBooks || faultOf(topic, row as object);
      this.#judge(topic, row.number, row.version, fault);
      if (fault === '') taken.push(row);
      else if (brokenBooks === '') taken.push({ ...row, ...closedRow });
    }
    return taken;
  }

  #judge(topic: FeedTopic, number: number, version: number, fault: string): void {
    if (fault !== '') this.#add(topic, String(number), version, fault);
    else if (this.#named.size > 0) this.#remove(topic, String(number), version);
  }

  #add(topic: FeedTopic, key: string, version: number, reason: string): void {
    const id = `${topic} ${key}`;
    const known = this.#named.get(id);
    if (known !== undefined && known.version >= version) return;
    if (known === undefined && this.#named.size >= namedMax) {
      this.#unnamed++;
      return;
    }
    const apart = { topic, key, version, reason };
    this.#named.set(id, apart);
    this.#unreported.set(id, apart);
    this.#log.error(
      apart,
      'a profile cannot be applied: it is declined until it is corrected, everything else goes on',
    );
  }

  #remove(topic: FeedTopic, key: string, version: number): void {
    const id = `${topic} ${key}`;
    const known = this.#named.get(id);
    if (known === undefined || known.version > version) return;
    this.#named.delete(id);
    this.#unreported.set(id, { topic, key, version, reason: '' });
    this.#log.warn({ topic, key, version }, 'a profile that was set apart can be applied again');
  }
}

const closed = { limits: null, expiresDay: 0, timeZone: 'UTC', partialApproval: false };
const closedProfile = { ...closed, status: 'closed' };
const closedRow = { ...closed, status: Status.closed };
