/** Which engines run on this database, and which of them has which partition, as the database said last. */

export interface EngineEntry {
  readonly id: string;
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly peerHost: string;
  readonly peerPort: number;
  /** It is about to stop: no partition goes there. */
  readonly isLeaving: boolean;
  /** Zero or less where its lease counts on because the database was away (engines_alive in sql/migrations/300). */
  readonly leaseMsLeft: number;
}

export interface LeaseEntry {
  readonly partition: number;
  readonly epoch: number;
  /** Null: free. The holder may be an engine that is not alive. */
  readonly holder: string | null;
  /** A release made it free for this engine. */
  readonly reservedFor: string | null;
}

export interface View {
  /** Those that are alive, by id. */
  readonly engines: readonly EngineEntry[];
  /** By partition; all of them. */
  readonly leases: readonly LeaseEntry[];
}

export const emptyView: View = { engines: [], leases: [] };

/** What `GET /admin/engines` answers. */
export function describeEngines({ engines, leases }: View) {
  return {
    data: engines.map(({ id, authUrl, opsUrl, leaseMsLeft }) => {
      const held = leases.filter(({ holder }) => holder === id);
      return {
        id,
        authUrl,
        opsUrl,
        epoch: Math.max(0, ...held.map(({ epoch }) => epoch)),
        partitions: held.map(({ partition }) => partition),
        leaseMsLeft,
      };
    }),
  };
}
