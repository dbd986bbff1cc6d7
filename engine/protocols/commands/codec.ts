/**
 * Ledger commands on their way from the ops port to a partition: `{ id, type, account, amount }` in JSON, read by the
 * front to refuse what is malformed and by the partition to decide. A few a second, so the obvious way: JSON.parse and
 * the schema. The answer is the ops port's: `{ id, approved, reason, amount, account: { … } }`.
 *
 * Ids of commands live in a namespace of their own: a prefix that starts with a control character, which no processor's
 * protocol lets through in an id. A deposit and an authorization may therefore carry the same id and never meet, neither
 * by accident nor by design. The prefix is in the journal and in the books, and never in an answer.
 */

import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import {
  badRequestBody,
  jsonContentType,
  problemBody,
  problemContentType,
} from '../../../platform/problems/problem-body.js';
import { MessageType, Protocol, unpackLetters } from '../../core/codes.js';
import type { Outcome } from '../../core/outcome.js';
import { Reason, reasonEntry } from '../../core/reasons.js';
import { idLengthMax, type Request, type TextSlice } from '../../core/request.js';
import type { Codec } from '../codec.js';
import { panMessage, repeatedMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { repeatedName, wholeText } from '../reading/json-text.js';
import { shownName } from '../reading/member-names.js';
import { compileCheck, fieldError, keptTextPattern } from '../reading/schema.js';
import { copyBytes } from '../reading/write.js';

export const commandIdPrefix = '\u0001ledger:';

const types = { deposit: MessageType.deposit, withdrawal: MessageType.withdrawal } as const;
export type CommandName = keyof typeof types;

const token = { type: 'string', minLength: 1, maxLength: idLengthMax, pattern: keptTextPattern } as const;
const schema = {
  type: 'object',
  required: ['id', 'type', 'account', 'amount'],
  properties: {
    id: token,
    type: { enum: Object.keys(types) },
    account: token,
    amount: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  },
} as const;
const text64 = `a string of 1 to ${idLengthMax} characters without control characters`;
const descriptions = {
  '': 'a JSON object in UTF-8',
  id: text64,
  type: `one of ${Object.keys(types).join(', ')}`,
  account: text64,
  amount: `an integer of minor units, 0 to ${Number.MAX_SAFE_INTEGER}`,
} as const;
const check = compileCheck(schema, descriptions);

/** The account that a command names does not exist: nothing was decided, so nothing is remembered. */
export const unknownAccount: FieldError = { field: 'account', message: 'names no account' };

function read(request: Request, bytes: Uint8Array, start: number, end: number, panKeys: PanKeys): FieldError | null {
  request.reset(bytes, Protocol.ledger);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', descriptions);
  const repeated = repeatedName(text, wholeText(text));
  if (repeated !== null) return { field: shownName(repeated), message: repeatedMessage };
  const error = check(parsed);
  if (error !== null) return error;
  const body = parsed as { id: string; type: CommandName; account: string; amount: number };
  request.type = types[body.type];
  // Adding 0 turns −0, which is an integer to JSON, into 0.
  request.amountMinor = body.amount + 0;
  if (isCardNumber(body.account)) return { field: 'account', message: panMessage };
  keepIds(request, panKeys, { id: body.id, card: body.account, original: undefined }, [], commandIdPrefix);
  return null;
}

function textOf(request: Request, { start, end }: TextSlice): string {
  return Buffer.from(request.source.subarray(start, end)).toString('utf8');
}

function writeAnswer(target: Uint8Array, offset: number, request: Request, outcome: Outcome): number {
  const id =
    request.hidden === null
      ? textOf(request, request.id).slice(commandIdPrefix.length)
      : textOf(request, request.sentId);
  if (outcome.reason === Reason.duplicateConflict) return write(target, offset, conflictBody(id));
  const { availableMinor: available, heldMinor: held, postedMinor: posted } = outcome;
  const answer = {
    id,
    approved: outcome.approved,
    reason: reasonEntry(outcome.reason).name,
    amount: outcome.amountMinor,
    account: {
      id: textOf(request, request.account),
      currency: unpackLetters(outcome.currency),
      funds: available + held + posted,
      available,
      held,
      posted,
    },
  };
  return write(target, offset, Buffer.from(JSON.stringify(answer)));
}

function write(target: Uint8Array, offset: number, body: Uint8Array): number {
  return copyBytes(target, offset, body) - offset;
}

function conflictBody(id: string): Uint8Array {
  const detail = 'this id was used before: same id, other content; nothing was moved';
  return problemBody(409, 'duplicate_conflict', detail, { id, approved: false, reason: 'duplicate_conflict' });
}

const notFoundBody = problemBody(404, 'not_found', 'there is no account with this id');
// A 503 is no decline here: the command may have been carried out already, or be about to.
const again = 'ask again with the same id: it is carried out once at most, and answered the same';
const overloadedBody = problemBody(503, 'overloaded', `too many requests are waiting; ${again}`);
const shuttingDownBody = problemBody(503, 'shutting_down', `this engine is starting or stopping; ${again}`);
const systemErrorBody = problemBody(503, 'system_error', `no answer in time; ${again}`);

/** The answer to a refused command; an id that could not even be an account's names none. */
export function commandRefusalBody(refusal: FieldError): Uint8Array {
  return isUnknownAccount(refusal) ? notFoundBody : badRequestBody(refusal);
}

export function commandRefusalStatus(refusal: FieldError): number {
  return isUnknownAccount(refusal) ? 404 : 400;
}

function isUnknownAccount({ field }: FieldError): boolean {
  return field === unknownAccount.field;
}

export function createLedgerCodec(panKeys: PanKeys): Codec {
  return { ...ledgerWords, read: (request, bytes, start, end) => read(request, bytes, start, end, panKeys) };
}

/** The prebuilt 503 body, see Codec.unavailableBody. */
export function commandUnavailableBody(reason: Reason, shuttingDown = false): Uint8Array {
  if (shuttingDown) return shuttingDownBody;
  return reason === Reason.overloaded ? overloadedBody : systemErrorBody;
}

export function commandContentType(status: number): string {
  return status === 200 ? jsonContentType : problemContentType;
}

const ledgerWords: Omit<Codec, 'read'> = {
  protocol: Protocol.ledger,
  writeAnswer,
  status: (outcome) => (outcome.reason === Reason.duplicateConflict ? 409 : 200),
  writeRefusal: (target, offset, _request, refusal) => write(target, offset, commandRefusalBody(refusal)),
  refusalStatus: commandRefusalStatus,
  contentType: commandContentType,
  stampResponseTime: () => undefined,
  unavailableBody: commandUnavailableBody,
};
