/** What a link is made of, for all the files that answer on it. */

import type { PanKeys } from '../../../platform/masking/hidden-ids.js';
import type { ConnectionGate } from '../../../platform/process/connection-gate.js';
import type { Clock } from '../../clock.js';
import type { Reason } from '../../core/reasons.js';
import type { Admission } from '../../ledger/admission.js';
import type { Ledger } from '../../ledger/ledger.js';
import type { MessageCounts } from '../../ops/message-counts.js';
import type { MessageTraces } from '../../ops/message-traces.js';
import type { Codec } from '../../protocols/codec.js';
import type { Framing } from '../../protocols/iso8583/framing.js';
import type { LinkSettings } from '../../protocols/iso8583/link-settings.js';
import type { Packager } from '../../protocols/iso8583/packager.js';
import type { KnownCards } from './known-cards.js';
import type { KnownOriginals } from './known-originals.js';
import type { LinkCounts } from './link-counts.js';

/** What all links share. */
export interface LinksOptions {
  readonly codec: Codec;
  readonly panKeys: PanKeys;
  readonly ledger: Ledger;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly telemetry: MessageCounts;
  /** Null: traces are off. */
  readonly traces: MessageTraces | null;
  /** Called for a decided answer that took longer than the configured bound. */
  slow(totalMs: number, waitMs: number, runMs: number): void;
  /** At most the deadline. */
  readonly slowMs: number;
  readonly deadlineMs: number;
  /** Called for a reported fact that was declined, so that its money is in no books. */
  unbooked(id: string, type: string, reason: Reason): void;
  /** Called when a link drops a message or closes a connection. @param why without content */
  trouble(link: string, why: string): void;
}

/** One link. */
export interface LinkParts extends LinksOptions {
  readonly settings: LinkSettings;
  readonly packager: Packager;
  readonly framing: Framing;
  readonly gate: ConnectionGate;
  readonly counts: LinkCounts;
  readonly cards: KnownCards;
  readonly originals: KnownOriginals;
  /** The engine stops: messages are answered as unavailable. */
  readonly closing: { readonly isRefusing: boolean };
}
