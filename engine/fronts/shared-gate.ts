/**
 * The bounds on connections of a port that several threads accept on: they count in shared memory. The counts of
 * addresses lie in cells by a hash with a seed of the process. Two addresses of one cell share the bound, which takes a
 * flood from one of them to notice.
 */
import { randomInt } from 'node:crypto';
import { type GateCounts, type GateLog, RefusalSpell, refusalCauses } from '../../platform/process/connection-gate.js';
import type { ConnectionBounds } from '../../platform/process/descriptors.js';
import type { Gate } from '../transports/http/server-options.js';

/** Cells; those of the addresses follow. */
const cell = { open: 0, refusedByPort: 1, refusedByAddress: 2, seed: 3, addresses: 4 } as const;
/** 256 KB. Of 1,000 addresses at once 15 share a cell with another one. */
const addressCells = 2 ** 16;

export class SharedGate implements Gate, GateCounts {
  readonly port: string;
  readonly bounds: ConnectionBounds;
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #spell: RefusalSpell;
  readonly notAccepted = 0;
  readonly displaced = 0;

  /** The memory of a port, for all its threads. */
  static create(): SharedArrayBuffer {
    const memory = new SharedArrayBuffer((cell.addresses + addressCells) * Int32Array.BYTES_PER_ELEMENT);
    new Int32Array(memory)[cell.seed] = randomInt(2 ** 31 - 1);
    return memory;
  }

  /** @param port its name in log and metrics */
  constructor(port: string, bounds: ConnectionBounds, log: GateLog, memory: SharedArrayBuffer) {
    this.port = port;
    this.bounds = bounds;
    this.memory = memory;
    this.#cells = new Int32Array(memory);
    this.#spell = new RefusalSpell(port, log);
  }

  get open(): number {
    return Atomics.load(this.#cells, cell.open);
  }
  get refusedByPort(): number {
    return Atomics.load(this.#cells, cell.refusedByPort);
  }
  get refusedByAddress(): number {
    return Atomics.load(this.#cells, cell.refusedByAddress);
  }

  /** As ConnectionGate.enter. */
  enter(address: string): boolean {
    const { max, perAddressMax } = this.bounds;
    const open = Atomics.add(this.#cells, cell.open, 1) + 1;
    if (open > max) {
      Atomics.add(this.#cells, cell.refusedByPort, 1);
      this.#spell.refused(refusalCauses.port(this.bounds));
      return false;
    }
    const ofAddress = Atomics.add(this.#cells, this.#cellOf(address), 1) + 1;
    if (ofAddress > perAddressMax) {
      this.forgetAddress(address);
      Atomics.add(this.#cells, cell.refusedByAddress, 1);
      this.#spell.refused(refusalCauses.address(this.bounds, address));
      return false;
    }
    return true;
  }

  leave(): void {
    Atomics.sub(this.#cells, cell.open, 1);
  }

  forgetAddress(address: string): void {
    Atomics.sub(this.#cells, this.#cellOf(address), 1);
  }

  /** FNV-1a over the text, from the seed. */
  #cellOf(address: string): number {
    let hash = this.#cells[cell.seed]!;
    for (let index = 0; index < address.length; index++) {
      hash = Math.imul(hash ^ address.charCodeAt(index), 0x01000193);
    }
    return cell.addresses + (((hash >>> 16) ^ hash) & (addressCells - 1));
  }
}
