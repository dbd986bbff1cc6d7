/**
 * Counts a port's connections, in all and by address, and refuses those beyond the bounds. A refused connection is
 * closed as soon as it is accepted: reading its request would keep the file descriptor that is missing.
 */
import type { Server, Socket } from 'node:net';
import type { Metrics } from '../metrics/metrics.js';
import type { ConnectionBounds } from './descriptors.js';

export interface GateLog {
  warn(fields: object, message: string): void;
}

/** Refusals with longer pauses between them than this are reported separately. */
const quietMs = 5000;

export class ConnectionGate implements GateCounts {
  readonly port: string;
  readonly bounds: ConnectionBounds;
  readonly #spell: RefusalSpell;
  readonly #byAddress = new Map<string, number>();
  #open = 0;
  refusedByPort = 0;
  refusedByAddress = 0;
  notAccepted = 0;
  displaced = 0;

  /** @param port its name in log and metrics */
  constructor(port: string, bounds: ConnectionBounds, log: GateLog) {
    this.port = port;
    this.bounds = bounds;
    this.#spell = new RefusalSpell(port, log);
  }

  get open(): number {
    return this.#open;
  }

  /** Addresses that have connections. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /**
   * Counts a connection; leave() follows when it ends, whatever this returns.
   * @param address see addressOf
   * @returns false when it is to be closed; true when forgetAddress() follows too
   */
  enter(address: string): boolean {
    this.#open++;
    const { max, perAddressMax } = this.bounds;
    const ofAddress = this.#byAddress.get(address) ?? 0;
    if (this.#open > max) {
      this.refusedByPort++;
      this.#spell.refused(refusalCauses.port(this.bounds));
      return false;
    }
    if (ofAddress >= perAddressMax) {
      this.refusedByAddress++;
      this.#spell.refused(refusalCauses.address(this.bounds, address));
      return false;
    }
    this.#byAddress.set(address, ofAddress + 1);
    return true;
  }

  /** Which bound refuses the next connection of this address; null: none. */
  fullFor(address: string): 'port' | 'address' | null {
    if ((this.#byAddress.get(address) ?? 0) >= this.bounds.perAddressMax) return 'address';
    return this.#open >= this.bounds.max ? 'port' : null;
  }

  leave(): void {
    this.#open--;
  }

  /** The connection does not count for its address any more. */
  forgetAddress(address: string): void {
    const left = this.#byAddress.get(address)! - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }

  /** The system could not hand a connection over. */
  acceptFailed(error: Error): void {
    this.notAccepted++;
    this.#spell.refused(error.message);
  }
}

/** Logs the first refusal of a spell, and the number of them once it is over. */
export class RefusalSpell {
  readonly #port: string;
  readonly #log: GateLog;
  #count = 0;
  #quiet: NodeJS.Timeout | null = null;

  /** @param port its name in the log */
  constructor(port: string, log: GateLog) {
    this.#port = port;
    this.#log = log;
  }

  refused(cause: string): void {
    this.#count++;
    if (this.#quiet !== null) {
      this.#quiet.refresh();
      return;
    }
    this.#log.warn({ port: this.#port, cause }, 'connections are being refused');
    this.#quiet = setTimeout(() => {
      this.#quiet = null;
      this.#log.warn({ port: this.#port, count: this.#count }, 'connections are no longer refused');
      this.#count = 0;
    }, quietMs).unref();
  }
}

/** What a bound on connections says when it refuses one. */
export const refusalCauses = {
  port: ({ max }: ConnectionBounds): string => `${max} connections are open`,
  address: ({ perAddressMax }: ConnectionBounds, address: string): string =>
    `${address} has ${perAddressMax} connections`,
};

/** What the metrics show of a port. */
export interface GateCounts {
  readonly port: string;
  readonly bounds: ConnectionBounds;
  readonly open: number;
  readonly refusedByPort: number;
  readonly refusedByAddress: number;
  /** Connections that the system could not hand over, for want of a file descriptor mostly. */
  readonly notAccepted: number;
  /** Connections that were closed to make room for newer ones. */
  readonly displaced: number;
}

/** What a connection beyond the bounds does: it is refused, or it takes the place of the oldest one. */
export type WhenFull = 'refuse-newest' | 'close-oldest';

/** Bounds the connections of a server of node:net or node:http. */
export function boundConnections(server: Server, gate: ConnectionGate, whenFull: WhenFull = 'refuse-newest'): void {
  /** How to count a connection out, by connection, the oldest first. */
  const taken = new Map<Socket, { readonly address: string; readonly leave: () => void }>();
  const closeOldest = (address: string): void => {
    const wanted = gate.fullFor(address);
    if (wanted === null) return;
    for (const [socket, oldest] of taken) {
      if (wanted === 'address' && oldest.address !== address) continue;
      oldest.leave();
      gate.displaced++;
      socket.destroy();
      return;
    }
  };
  server.on('connection', (socket) => {
    const address = addressOf(socket.remoteAddress ?? '');
    if (whenFull === 'close-oldest') closeOldest(address);
    const isTaken = gate.enter(address);
    const leave = (): void => {
      if (isTaken && !taken.delete(socket)) return;
      gate.leave();
      if (isTaken) gate.forgetAddress(address);
    };
    if (isTaken) taken.set(socket, { address, leave });
    socket.once('close', leave);
    if (!isTaken) socket.destroy();
  });
  // Without a listener an accept that fails would end the process.
  server.on('error', (error) => {
    if (server.listening) gate.acceptFailed(error);
  });
}

/** Shows the connections of ports. Call before the metrics are loaded. */
export function measureConnections(metrics: Metrics, gates: readonly GateCounts[]): void {
  metrics.gauge('connections_open', 'Connections of a port', ['port'], (gauge) => {
    for (const { port, open } of gates) gauge.set({ port }, open);
  });
  metrics.gauge('connections_max', 'Connections that a port may have', ['port'], (gauge) => {
    for (const { port, bounds } of gates) gauge.set({ port }, bounds.max);
  });
  metrics.counter(
    'connections_refused_total',
    'Connections closed: at once beyond the bound of the port or of one address, for want of a file descriptor, or ' +
      'for newer ones',
    ['port', 'cause'],
    (counter) => {
      for (const gate of gates) {
        const { port } = gate;
        counter.inc({ port, cause: 'port' }, gate.refusedByPort);
        counter.inc({ port, cause: 'address' }, gate.refusedByAddress);
        counter.inc({ port, cause: 'descriptors' }, gate.notAccepted);
        counter.inc({ port, cause: 'displaced' }, gate.displaced);
      }
    },
  );
}

/**
 * What counts as one address: an IPv4 address, or the /64 network of an IPv6 one, which a single customer usually has.
 */
export function addressOf(text: string): string {
  if (!text.includes(':')) return text;
  const [head = '', tail] = text.split('%')[0]!.split('::');
  const groups = head === '' ? [] : head.split(':');
  const tailGroups = tail === undefined || tail === '' ? [] : tail.split(':');
  const dotted = (tailGroups.at(-1) ?? groups.at(-1) ?? '').includes('.');
  const missing = 8 - groups.length - tailGroups.length - (dotted ? 1 : 0);
  if (tail !== undefined) for (let index = 0; index < missing; index++) groups.push('0');
  groups.push(...tailGroups);
  const numbers = groups.filter((group) => !group.includes('.')).map((group) => Number.parseInt(group, 16));
  const isMapped = numbers.slice(0, 5).every((number) => number === 0) && numbers[5] === 0xffff;
  if (!isMapped)
    return `${numbers
      .slice(0, 4)
      .map((number) => number.toString(16))
      .join(':')}::/64`;
  if (dotted) return groups.at(-1)!;
  const [high = 0, low = 0] = numbers.slice(6);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
