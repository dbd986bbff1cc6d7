/**
 * The paths of processors that sign their requests. The signature is checked over the raw bytes before anything is read
 * of them. A question is then decided as on every other path. A notification is taken apart into facts, and is answered
 * 200 when all of them are booked.
 */

import type { FieldError } from '../../../platform/problems/field-error.js';
import {
  badRequestBody,
  encode,
  jsonContentType,
  problemContentType,
} from '../../../platform/problems/problem-body.js';
import { bodyBytesMax } from '../../core/limits.js';
import { Reason } from '../../core/reasons.js';
import { Request } from '../../core/request.js';
import { bookFacts } from '../../ledger/fact-booker.js';
import { Counted } from '../../ops/message-counts.js';
import { type Fact, factBytes } from '../../protocols/facts/codec.js';
import { isFault, isQuestion, unknownPart } from '../../protocols/facts/notification.js';
import { decodeBody, parseJson } from '../../protocols/reading/body-text.js';
import { isIdentityEncoding, isJsonMediaType } from '../../protocols/reading/media-type.js';
import { type Exchange, problem, statusLines } from './exchange.js';
import { unsignedBody, unsupportedMediaTypeBody } from './problem.js';
import type { RefusalPace } from './refusal-pace.js';
import type { Notifications, SignedRoute } from './routes.js';
import type { Closing, ServerOptions } from './server-options.js';
import type { Proof } from './signatures.js';
import { exchangeFor } from './traced-exchange.js';
import type { HttpRequest, HttpResponse } from './uws.js';

const acknowledged = encode({ received: true });
const emptyBody = Buffer.alloc(0);

export class SignedPort {
  readonly #options: ServerOptions;
  readonly #closing: Closing;
  readonly #request = new Request();

  readonly #refusals: RefusalPace;

  constructor(options: ServerOptions, refusals: RefusalPace) {
    this.#options = options;
    this.#closing = options.closing;
    this.#refusals = refusals;
  }

  receive(route: SignedRoute, res: HttpResponse, req: HttpRequest): void {
    const proof = route.signature.proofOf(req);
    if (proof === null) {
      this.#unauthorized(route);
      // A connection that has not proved who it is must not stay: see Server.
      res.writeStatus(statusLines[401]!).writeHeader('content-type', problemContentType).end(unsignedBody, true);
      return;
    }
    const contentType = req.getHeader('content-type');
    if (
      (contentType !== '' && !isJsonMediaType(contentType)) ||
      !isIdentityEncoding(req.getHeader('content-encoding'))
    ) {
      problem(res, 415, unsupportedMediaTypeBody, true);
      return;
    }
    const exchange = exchangeFor(route, res, req, this.#options);
    res.onAborted(() => exchange.abort());
    res.onData((chunk, isLast) => this.#body(route, exchange, proof, chunk, isLast));
  }

  #body(route: SignedRoute, exchange: Exchange, proof: Proof, chunk: ArrayBuffer, isLast: boolean): void {
    if (exchange.isSettled) return;
    const before = exchange.body ?? emptyBody;
    if (before.length + chunk.byteLength > bodyBytesMax) {
      exchange.tooLarge();
      return;
    }
    exchange.body = Buffer.concat([before, new Uint8Array(chunk)]);
    if (isLast) this.#admit(route, exchange, proof, exchange.body);
  }

  #admit(route: SignedRoute, exchange: Exchange, proof: Proof, body: Buffer): void {
    const { admission, clock, ledger } = this.#options;
    exchange.body = null;
    exchange.arrivalMs = clock.nowMs();
    if (!route.signature.accepts(proof, body, exchange.arrivalMs)) {
      this.#options.telemetry.add(Counted.unauthorized);
      exchange.end(401, problemContentType, unsignedBody, true);
      return;
    }
    if (this.#closing.isRefusing) {
      exchange.shuttingDown();
      return;
    }
    const facts = route.notifications === undefined ? null : this.#facts(route.notifications, exchange, body);
    // Answered already.
    if (exchange.isSettled) return;
    if (!admission.enter()) {
      this.#refusals.refuse(exchange);
      return;
    }
    exchange.isAdmitted = true;
    if (facts === null) ledger.submit(exchange.codec, body, exchange);
    else void this.#book(route.notifications!, exchange, facts);
  }

  #unauthorized(route: SignedRoute): void {
    this.#options.telemetry.add(Counted.unauthorized);
    this.#options.telemetry.called(route.codec.protocol, 401);
  }

  /** The facts of a notification; null for a question. One without facts, or a malformed one, is answered here. */
  #facts({ read, codec }: Notifications, exchange: Exchange, body: Buffer): readonly Fact[] | null {
    const text = decodeBody(body, 0, body.length);
    const parsed = text === null ? undefined : parseJson(text);
    const found = parsed === undefined ? notJson : read(parsed);
    if (isFault(found)) return this.#malformed(exchange, found);
    if (isQuestion(found)) {
      exchange.headers = found.headers;
      return null;
    }
    const { kinds, facts } = found;
    for (const fact of facts) {
      const bytes = factBytes(fact);
      const fault = codec.read(this.#request, bytes, 0, bytes.length);
      if (fault !== null) return this.#malformed(exchange, fault);
    }
    for (const kind of kinds) this.#options.telemetry.notified(codec.protocol, kind);
    if (kinds.includes(unknownPart)) this.#options.unread(body);
    if (facts.length === 0) exchange.end(200, jsonContentType, acknowledged);
    return facts;
  }

  #malformed(exchange: Exchange, fault: FieldError): readonly Fact[] {
    this.#options.telemetry.add(Counted.badRequests);
    exchange.end(400, problemContentType, badRequestBody(fault));
    return [];
  }

  async #book({ codec }: Notifications, exchange: Exchange, facts: readonly Fact[]): Promise<void> {
    const { clock, ledger, telemetry, unbooked } = this.#options;
    let at = 0;
    const parts = { ledger, nowMs: () => clock.nowMs() };
    const refused = await bookFacts(parts, codec, facts.map(factBytes), ({ isRepeat, reason }) => {
      if (isRepeat) telemetry.add(Counted.repeated);
      else telemetry.fact(reason);
      if (isLost(reason)) unbooked(facts[at]!, reason);
      at++;
    });
    if (refused === null) exchange.end(200, jsonContentType, acknowledged);
    else exchange.refuse(refused);
  }
}

const notJson: FieldError = { field: '', message: 'must be a JSON object in UTF-8' };

/** Whether a decline keeps money out of the books. The others say that there was nothing left to do. */
function isLost(reason: Reason): boolean {
  return (
    reason !== Reason.approved &&
    reason !== Reason.duplicateConflict &&
    reason !== Reason.originalNotFound &&
    reason !== Reason.originalClosed
  );
}
