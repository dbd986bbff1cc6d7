/**
 * What an entry of a slab says in HTTP: status, content type and body, per protocol. A decision leaves as the codec
 * wrote it; bodies without a decision are made here.
 */

import {
  badRequestBody,
  encode,
  jsonContentType,
  notFoundBody,
  problemBody,
  problemContentType,
} from '../../../platform/problems/problem-body.js';
import { Reason } from '../../core/reasons.js';
import { AnswerFlag, EntryStatus } from '../../exchange/slab.js';
import { notPermitted } from '../../protocols/marqeta/reasons.js';
import { readFault } from '../../protocols/refusal.js';
import { overloadedBody, shuttingDownBody, systemErrorBody } from './problem.js';

/** The bodies of a 503: no decision could be made. Shared: never write into them. */
export interface UnavailableBodies {
  readonly contentType: string;
  readonly overloaded: Uint8Array;
  readonly systemError: Uint8Array;
  readonly shuttingDown: Uint8Array;
}

/** How the answers of one protocol look in HTTP. */
export interface HttpForm {
  /** Status of a decline. */
  readonly declineStatus: number;
  /** What the 409 of a conflict says; null where a conflict is a decline like any other. */
  readonly conflict: string | null;
  readonly unavailable: UnavailableBodies;
}

export const nativeForm: HttpForm = {
  declineStatus: 200,
  conflict: 'this id was used before: same id, other content; nothing was held',
  unavailable: {
    contentType: problemContentType,
    overloaded: overloadedBody,
    systemError: systemErrorBody,
    shuttingDown: shuttingDownBody,
  },
};

const marqetaDecline = encode({ jit_funding: { decline_reason: notPermitted } });

export const marqetaForm: HttpForm = {
  declineStatus: 402,
  conflict: null,
  unavailable: {
    contentType: jsonContentType,
    overloaded: marqetaDecline,
    systemError: marqetaDecline,
    shuttingDown: marqetaDecline,
  },
};

// A 503 is no decline here: the command may have been carried out already, or be about to.
const again = 'ask again with the same id: it is carried out once at most, and answered the same';

/** Ledger commands, on the ops port. */
export const commandForm: HttpForm = {
  declineStatus: 200,
  conflict: 'this id was used before: same id, other content; nothing was moved',
  unavailable: {
    contentType: problemContentType,
    overloaded: problemBody(503, 'overloaded', `too many requests are waiting; ${again}`),
    systemError: problemBody(503, 'system_error', `no answer in time; ${again}`),
    shuttingDown: problemBody(503, 'shutting_down', `this engine is starting or stopping; ${again}`),
  },
};

const unknownAccountBody = problemBody(404, 'not_found', 'there is no account with this id');

/** One answer as HTTP. An instance is reused for every answer. */
export class HttpAnswer {
  status = 200;
  contentType = jsonContentType;
  body: Uint8Array = notFoundBody;

  /** @param bytes the answer's bytes in the slab, valid during the call; a decision's body is these bytes themselves */
  set(form: HttpForm, entryStatus: number, flags: number, reason: number, bytes: Uint8Array): void {
    this.contentType = jsonContentType;
    this.body = bytes;
    if (entryStatus === EntryStatus.decided) {
      this.status = (flags & AnswerFlag.approved) !== 0 ? 200 : form.declineStatus;
      if (reason === Reason.duplicateConflict && form.conflict !== null) this.#conflict(form.conflict, bytes);
    } else if (entryStatus === EntryStatus.malformed) {
      this.#problem(400, badRequestBody(readFault(bytes)));
    } else this.#problem(404, unknownAccountBody);
  }

  setUnavailable(form: HttpForm, reason: Reason, isShuttingDown: boolean): void {
    const { contentType, overloaded, systemError, shuttingDown } = form.unavailable;
    this.status = 503;
    this.contentType = contentType;
    this.body = isShuttingDown ? shuttingDown : reason === Reason.overloaded ? overloaded : systemError;
  }

  /** The problem has the members of the answer as its own. */
  #conflict(detail: string, bytes: Uint8Array): void {
    const answer = JSON.parse(Buffer.from(bytes).toString()) as object;
    this.#problem(409, problemBody(409, 'duplicate_conflict', detail, answer));
  }

  #problem(status: number, body: Uint8Array): void {
    this.status = status;
    this.contentType = problemContentType;
    this.body = body;
  }
}
