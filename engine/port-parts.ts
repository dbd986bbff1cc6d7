/** The two ports of an engine: authorizations and operations. */
import type { Log } from '../platform/log.js';
import { PanKeys } from '../platform/masking/hidden-ids.js';
import { maskCardData, maskedStart } from '../platform/masking/redact.js';
import { ConnectionGate, measureConnections } from '../platform/process/connection-gate.js';
import { Protocol } from './core/codes.js';
import { type Reason, reasonEntry } from './core/reasons.js';
import type { EngineBase } from './engine-base.js';
import { LedgerCommands } from './ledger/ledger-commands.js';
import type { LedgerParts } from './ledger-parts.js';
import { MessageTraces } from './ops/message-traces.js';
import { Ops } from './ops/ops.js';
import type { OpsParts } from './ops-parts.js';
import type { Ownership } from './ownership.js';
import type { Codec } from './protocols/codec.js';
import type { Fact } from './protocols/facts/codec.js';
import { createCodecs } from './protocols/registry.js';
import { BasicAuth } from './transports/http/basic-auth.js';
import { routesOf, signedRoutesOf } from './transports/http/routes.js';
import { Server } from './transports/http/server.js';
import type { CardFinder } from './transports/iso8583/known-cards.js';
import { measureLinks } from './transports/iso8583/link-counts.js';
import type { LinksOptions } from './transports/iso8583/link-options.js';
import { IsoLinks } from './transports/iso8583/links.js';

/** At most so many warnings of one kind a second. */
const warningsPerSecondMax = 10;

export function portParts(
  base: EngineBase,
  { admission, ledger, shipper, cardOwners }: LedgerParts,
  ownership: Ownership,
  { telemetry, health, live }: OpsParts,
) {
  const { config, log, clock, nowMs, traces } = base;
  const slowMs = Math.min(config.slowAuthorizationMs, config.deadlineMs);
  const messageTraces = traces === null ? null : new MessageTraces(traces, nowMs);
  const warnings = serverWarnings(log, nowMs);
  const authGate = new ConnectionGate('auth', config.authConnections, log);
  const opsGate = new ConnectionGate('ops', config.opsConnections, log);
  const codecs = createCodecs(config);
  const slow = (totalMs: number, waitMs: number, runMs: number): void => {
    messageTraces?.noteSlow();
    warnings.slow(totalMs, waitMs, runMs);
  };
  const { deadlineMs } = config;
  const shared = { admission, clock, telemetry, ledger, slowMs, deadlineMs };
  const links = isoLinks(base, cardOwners, codecs[Protocol.iso8583]!, {
    ...warnings,
    ...shared,
    slow,
    traces: messageTraces,
  });
  measureConnections(telemetry, [authGate, opsGate, ...links.gates]);
  measureLinks(telemetry, links.counts);
  const auth = new BasicAuth(config.processorUser, config.processorPasswords);
  const server = new Server({
    host: config.host,
    port: config.authPort,
    routes: routesOf(codecs),
    signedRoutes: signedRoutesOf(codecs, config.signingSecrets, auth),
    auth,
    gate: authGate,
    traces: messageTraces,
    ...warnings,
    ...shared,
    slow,
  });
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

function isoLinks(
  { config, log }: EngineBase,
  cardOwners: CardFinder,
  codec: Codec,
  options: Omit<LinksOptions, 'codec' | 'panKeys' | 'unbooked' | 'trouble'> & ReturnType<typeof serverWarnings>,
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

/** Of a notification in the log: enough for one message of any processor. */
const unreadLengthMax = 8192;

function serverWarnings(log: Log, nowMs: () => number) {
  const slowWarnings = new RateLimit(warningsPerSecondMax);
  const unsupportedWarnings = new RateLimit(warningsPerSecondMax);
  const unbookedWarnings = new RateLimit(warningsPerSecondMax);
  const unreadWarnings = new RateLimit(warningsPerSecondMax);
  const linkWarnings = new RateLimit(warningsPerSecondMax);
  return {
    unbooked({ id, type }: Pick<Fact, 'id'> & { readonly type: string }, reason: Reason): void {
      if (!unbookedWarnings.allows(nowMs())) return;
      const fact = { id: maskCardData(id), type, reason: reasonEntry(reason).name };
      log.warn(fact, 'a fact that a processor reported is in no books; book it by hand, or correct what it names');
    },
    unread(body: Uint8Array): void {
      if (!unreadWarnings.allows(nowMs())) return;
      log.warn(
        { body: maskedStart(Buffer.from(body).toString('utf8'), unreadLengthMax) },
        'a notification names what this version does not know, and was acknowledged',
      );
    },
    linkTrouble(link: string, why: string): void {
      if (linkWarnings.allows(nowMs()))
        log.warn({ link, why }, 'an ISO 8583 link has dropped a message or closed a connection');
    },
    unsupported(answer: string): void {
      if (unsupportedWarnings.allows(nowMs())) log.warn({ answer }, 'declined a kind of message that is not served');
    },
    slow(totalMs: number, waitMs: number, runMs: number): void {
      if (!slowWarnings.allows(nowMs())) return;
      const answerMs = totalMs - waitMs - runMs;
      const hop = waitMs >= runMs && waitMs >= answerMs ? 'wait' : runMs >= answerMs ? 'decide' : 'answer';
      log.warn({ hop, totalMs: round(totalMs), waitMs: round(waitMs), decideMs: round(runMs) }, 'slow authorization');
    },
  };
}

/** So many a second, the rest is dropped. */
class RateLimit {
  readonly #perSecond: number;
  #second = 0;
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  allows(nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    return ++this.#count <= this.#perSecond;
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
