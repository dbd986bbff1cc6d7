/** The links of ISO 8583 over TCP: one port each, with as many connections as its settings permit. */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { ConfigError } from '../../../platform/config/variables.js';
import { boundConnections, ConnectionGate, type GateLog } from '../../../platform/process/connection-gate.js';
import { Framing } from '../../protocols/iso8583/framing.js';
import type { LinkSettings, LinkTlsSettings } from '../../protocols/iso8583/link-settings.js';
import { Packager } from '../../protocols/iso8583/packager.js';
import { type CardFinder, KnownCards } from './known-cards.js';
import { KnownOriginals } from './known-originals.js';
import { LinkConnection } from './link-connection.js';
import { LinkCounts } from './link-counts.js';
import type { LinkParts, LinksOptions } from './link-options.js';

/** How often connections are held against their bounds of time. */
const lookMs = 1000;
const handshakeMsMax = 10_000;
/**
 * Answers are written in batches already: nothing gains by waiting for more. The system asks a silent peer after a
 * minute whether it is there: one that vanished without a word would keep its place among `connectionsMax` for ever.
 */
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };
/** What a peer may take to receive the last answers. */
const endMsMax = 1000;

export class IsoLinks {
  readonly counts: readonly LinkCounts[];
  readonly gates: readonly ConnectionGate[];
  readonly #links: readonly Link[];
  readonly #closing = { isRefusing: false };
  readonly #sweep: NodeJS.Timeout | null;

  constructor(settings: readonly LinkSettings[], options: LinksOptions, finder: CardFinder, log: GateLog) {
    const shared = {
      ...options,
      cards: new KnownCards(finder),
      originals: new KnownOriginals(),
      closing: this.#closing,
    };
    this.#links = settings.map((link) => new Link(link, shared, log));
    this.counts = this.#links.map(({ parts }) => parts.counts);
    this.gates = this.#links.map(({ parts }) => parts.gate);
    const look = (): void => {
      for (const link of this.#links) link.look(options.clock.nowMs());
    };
    this.#sweep = settings.length === 0 ? null : setInterval(look, lookMs).unref();
  }

  /** Rejects when a port is taken. */
  async listen(): Promise<void> {
    for (const link of this.#links) await link.listen();
  }

  /** From now on messages are answered as unavailable. */
  refuse(): void {
    this.#closing.isRefusing = true;
  }

  /** Takes no new connections. */
  stopAccepting(): void {
    for (const link of this.#links) link.stopAccepting();
  }

  /** Sends the answers that are written, then closes every connection. */
  async close(): Promise<void> {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    await Promise.all(this.#links.map((link) => link.close()));
  }
}

class Link {
  readonly parts: LinkParts;
  readonly #server: Server;
  readonly #connections = new Map<Socket, LinkConnection>();

  constructor(
    settings: LinkSettings,
    shared: Omit<LinkParts, 'settings' | 'packager' | 'framing' | 'gate' | 'counts'>,
    log: GateLog,
  ) {
    const { name, connectionsMax } = settings;
    const bounds = { max: connectionsMax, perAddressMax: connectionsMax };
    this.parts = {
      ...shared,
      settings,
      packager: new Packager(settings.packager),
      framing: new Framing(settings.framing),
      gate: new ConnectionGate(`iso8583:${name}`, bounds, log),
      counts: new LinkCounts(name),
    };
    this.#server = this.#createServer(settings);
    boundConnections(this.#server, this.parts.gate);
  }

  #createServer({ tls }: LinkSettings): Server {
    if (tls === undefined) return createServer(socketOptions, (socket) => this.#connected(socket));
    const server = createTlsServer(
      {
        ...socketOptions,
        ...this.#certificates(tls),
        requestCert: tls.requireClientCertificate,
        rejectUnauthorized: tls.requireClientCertificate,
        minVersion: 'TLSv1.2',
        handshakeTimeout: handshakeMsMax,
      },
      (socket: TLSSocket) => this.#connected(socket),
    );
    server.on('tlsClientError', () => this.parts.trouble(this.parts.settings.name, 'a TLS handshake failed'));
    return server;
  }

  /** @throws ConfigError that names the link, where a file cannot be read or is no PEM file of its kind */
  #certificates({ certFile, keyFile, caFile }: LinkTlsSettings): SecureContextOptions {
    try {
      const files = {
        cert: readFileSync(certFile),
        key: readFileSync(keyFile),
        ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      };
      createSecureContext(files);
      return files;
    } catch (error) {
      const why = (error as Error).message;
      throw new ConfigError(`ISO8583_LINKS: the tls files of link ${this.parts.settings.name} cannot be used: ${why}`);
    }
  }

  #connected(socket: Socket): void {
    // The gate has refused it.
    if (socket.destroyed) return;
    this.#connections.set(socket, new LinkConnection(this.parts, socket));
    socket.once('close', () => this.#connections.delete(socket));
  }

  look(nowMs: number): void {
    for (const connection of this.#connections.values()) connection.look(nowMs);
  }

  listen(): Promise<void> {
    const { name, host, port } = this.parts.settings;
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(new Error(`link ${name} cannot listen on ${host}:${port}: ${error.message}; see ISO8583_LINKS`));
      };
      this.#server.once('error', failed);
      this.#server.listen({ host, port, exclusive: true }, () => {
        this.#server.removeListener('error', failed);
        resolve();
      });
    });
  }

  stopAccepting(): void {
    this.#server.close();
  }

  async close(): Promise<void> {
    this.#server.close();
    const open = [...this.#connections];
    const closed = Promise.all(open.map(([socket]) => new Promise((resolve) => socket.once('close', resolve))));
    for (const [, connection] of open) connection.end();
    const giveUp = setTimeout(() => {
      for (const [, connection] of open) connection.destroy();
    }, endMsMax);
    await closed;
    clearTimeout(giveUp);
  }
}
