/** Connects to any node of a Redis Cluster: one of those that REDIS_URL names, and the next one after each loss. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { AbstractConnector } from 'ioredis';
import type { RedisTarget } from './url.js';

/** A connection that was asked to close and does not is cut. */
const closeMsMax = 1000;

/** The driver makes one connector for each client. */
export function anyNode({ hosts, isTls }: Pick<RedisTarget, 'hosts' | 'isTls'>) {
  return class AnyNode extends AbstractConnector {
    // Not all processes on the first one.
    #next = Math.floor(Math.random() * hosts.length);

    constructor() {
      super(closeMsMax);
    }

    async connect(): Promise<Socket | TLSSocket> {
      this.connecting = true;
      const host = hosts[this.#next++ % hosts.length]!;
      this.stream = isTls ? connectTls({ ...host }) : connect({ ...host });
      // The driver asks for it when the connection is over before it could listen.
      this.stream.once('error', (error) => {
        this.firstError = error;
      });
      return this.stream;
    }
  };
}
