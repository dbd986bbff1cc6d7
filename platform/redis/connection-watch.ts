/**
 * What is wrong with a connection to Redis, in words for `/health` and the log: what it is, and what to do about it
 * where that is known. Messages only, never the driver's errors themselves: these carry the command, and AUTH has the
 * password.
 */
import type { RedisClient } from './client.js';

/** By what the driver, TLS or Redis say. */
const remedies: readonly (readonly [said: RegExp, remedy: string])[] = [
  [/^WRONGPASS|^NOAUTH|invalid password/, 'REDIS_URL has the wrong password, or none'],
  [
    /self-signed certificate|unable to (get|verify)/,
    'the certificate is not trusted: name its CA in NODE_EXTRA_CA_CERTS',
  ],
];

/** Where the driver keeps what led to an error. */
interface CausedError extends Error {
  readonly lastNodeError?: Error | null;
  readonly previousErrors?: readonly Error[];
}

export class ConnectionWatch {
  #failure = 'not connected yet';
  readonly #changed: (failure: string) => void;

  /** @param changed called with each new failure, and with '' when it works again */
  constructor(client: RedisClient, changed: (failure: string) => void = () => undefined) {
    this.#changed = changed;
    client.on('ready', () => this.#set(''));
    client.on('error', (error: Error) => this.failed(error));
    // A Cluster says no more than that no node answers; its nodes say why.
    client.on('node error', (error: Error) => {
      if (this.#failure !== '') this.failed(error);
    });
    client.on('close', () => {
      // Whatever led to it was said before.
      if (this.#failure === '') this.#set('the connection was lost');
    });
  }

  /** '': it works. */
  get failure(): string {
    return this.#failure;
  }

  /** Something was asked of it in vain. */
  failed(error: Error): void {
    this.#set(describeFailure(error));
  }

  #set(failure: string): void {
    if (failure === this.#failure) return;
    this.#failure = failure;
    this.#changed(failure);
  }
}

export function describeFailure(error: Error): string {
  // What a Cluster says of itself is less than what its last node said, and EXEC less than what it was to execute.
  const { lastNodeError, previousErrors } = error as CausedError;
  const { message } = lastNodeError ?? previousErrors?.[0] ?? error;
  const remedy = remedies.find(([said]) => said.test(message))?.[1];
  return remedy === undefined ? message : `${remedy} (${message})`;
}
