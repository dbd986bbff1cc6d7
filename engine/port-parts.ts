/** The two ports of an engine: authorizations and operations. */
import { PanKeys } from '../platform/masking/hidden-ids.js';
import { ConnectionGate, type GateCounts, measureConnections } from '../platform/process/connection-gate.js';
import { Protocol } from './core/codes.js';
import type { EngineBase } from './engine-base.js';
import { FrontPool, type FrontPoolOptions } from './fronts/front-pool.js';
import { SharedGate } from './fronts/shared-gate.js';
import { LedgerCommands } from './ledger/ledger-commands.js';
import type { LedgerParts } from './ledger-parts.js';
import { MessageTraces } from './ops/message-traces.js';
import { messageWarnings } from './ops/message-warnings.js';
import { Ops } from './ops/ops.js';
import type { Telemetry } from './ops/telemetry.js';
import type { OpsParts } from './ops-parts.js';
import type { Ownership } from './ownership.js';
import type { Codec } from './protocols/codec.js';
import { type Codecs, createCodecs } from './protocols/registry.js';
import { BasicAuth } from './transports/http/basic-auth.js';
import { routesOf, signedRoutesOf } from './transports/http/routes.js';
import { Server } from './transports/http/server.js';
import type { AuthorizationPort, ServerOptions } from './transports/http/server-options.js';
import type { CardFinder } from './transports/iso8583/known-cards.js';
import { measureLinks } from './transports/iso8583/link-counts.js';
import type { LinksOptions } from './transports/iso8583/link-options.js';
import { IsoLinks } from './transports/iso8583/links.js';

export function portParts(
  base: EngineBase,
  { admission, sharedAdmission, ledger, shipper, cardOwners }: LedgerParts,
  ownership: Ownership,
  { telemetry, health, live }: OpsParts,
) {
  const { config, log, clock, nowMs, traces } = base;
  const slowMs = Math.min(config.slowAuthorizationMs, config.deadlineMs);
  const messageTraces = traces === null ? null : new MessageTraces(traces, nowMs);
  const warnings = messageWarnings(log, nowMs);
  const opsGate = new ConnectionGate('ops', config.opsConnections, log);
  const codecs = createCodecs(config);
  const slow = (totalMs: number, waitMs: number, runMs: number): void => {
    messageTraces?.noteSlow();
    warnings.slow(totalMs, waitMs, runMs);
  };
  const { deadlineMs } = config;
  const shared = { admission, clock, telemetry: telemetry.messages, ledger, slowMs, deadlineMs };
  const links = isoLinks(base, cardOwners, codecs[Protocol.iso8583]!, {
    ...warnings,
    ...shared,
    slow,
    traces: messageTraces,
  });
  const { server, gate } =
    sharedAdmission === null
      ? ownPort(base, codecs, { ...warnings, ...shared, slow, traces: messageTraces })
      : frontThreads(base, codecs, { ...shared, admission: sharedAdmission }, telemetry, messageTraces);
  measureConnections(telemetry, [gate, opsGate, ...links.gates]);
  measureLinks(telemetry, links.counts);
  const commands = new LedgerCommands({
    admission,
    telemetry,
    codec: codecs[Protocol.ledger]!,
    native: codecs[Protocol.native]!,
    nowMs,
    ledger,
  });
  const ops = new Ops({
    host: config.opsHost,
    port: config.opsPort,
    gate: opsGate,
    engineTokens: config.engineTokens,
    health,
    traces,
    metrics: () => telemetry.scrape(),
    admin: {
      ledger,
      engines: () => ownership.engines(),
      calls: () => ownership.calls(),
      live,
      command: (name, account, body) => commands.submit(name, account, body),
      release: (body) => commands.release(body),
      retry: (partition, sequence) => shipper.retry(partition, sequence),
    },
  });
  return { server, links, commands, ops };
}

interface AuthPortParts {
  readonly server: AuthorizationPort;
  readonly gate: GateCounts;
}

type PortOptions = Omit<
  ServerOptions,
  'host' | 'port' | 'isPortShared' | 'closing' | 'routes' | 'signedRoutes' | 'auth' | 'gate'
>;

/** The main thread serves the authorization port itself. */
function ownPort({ config, log }: EngineBase, codecs: Codecs, options: PortOptions): AuthPortParts {
  const gate = new ConnectionGate('auth', config.authConnections, log);
  const auth = new BasicAuth(config.processorUser, config.processorPasswords);
  const server = new Server({
    ...options,
    host: config.host,
    port: config.authPort,
    isPortShared: false,
    closing: { isLeaving: false, isRefusing: false },
    routes: routesOf(codecs),
    signedRoutes: signedRoutesOf(codecs, config.signingSecrets, auth),
    auth,
    gate,
  });
  return { server, gate };
}

/** With FRONTS above 1. */
function frontThreads(
  { config, log, clock, traces }: EngineBase,
  codecs: Codecs,
  { admission, ledger }: Pick<FrontPoolOptions, 'admission' | 'ledger'>,
  telemetry: Telemetry,
  messageTraces: MessageTraces | null,
): AuthPortParts {
  const gate = new SharedGate('auth', config.authConnections, log, SharedGate.create());
  const notified: FrontPoolOptions['notified'] = (protocol, kind, count) =>
    telemetry.messages.notified(protocol, kind, count);
  const died: FrontPoolOptions['died'] = (front, error) => {
    log.fatal(
      { front, error },
      'a front thread died, and with it its connections: stopping; after a start clients may ask the same ids again',
    );
    process.exit(1);
  };
  const parts = { config, log, clock, admission, gate, codecs, ledger, traces, messageTraces, notified, died };
  const server = new FrontPool(parts);
  telemetry.addFronts(server.counts);
  return { server, gate };
}

function isoLinks(
  { config, log }: EngineBase,
  cardOwners: CardFinder,
  codec: Codec,
  options: Omit<LinksOptions, 'codec' | 'panKeys' | 'unbooked' | 'trouble'> & ReturnType<typeof messageWarnings>,
): IsoLinks {
  const linksOptions: LinksOptions = {
    ...options,
    codec,
    panKeys: new PanKeys(config.panKeys),
    unbooked: (id, type, reason) => options.unbooked({ id, type }, reason),
    trouble: options.linkTrouble,
  };
  return new IsoLinks(config.isoLinks, linksOptions, cardOwners, log);
}
