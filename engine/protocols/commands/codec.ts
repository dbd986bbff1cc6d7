/**
 * Ledger commands on their way from the ops port to a partition: `{ id, type, account, amount }` in JSON. The front
 * reads them to refuse malformed ones, and the partition to decide. A few a second, so the obvious way: JSON.parse and
 * the schema. The answer is the ops port's: `{ id, approved, reason, amount, account: { … } }`.
 *
 * Ids of commands have a namespace of their own. Its prefix starts with a control character, which no processor's
 * protocol permits in an id. A deposit and an authorization may therefore carry the same id and never meet, neither by
 * accident nor by design. The prefix is in the journal and in the books, and never in an answer.
 */

import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { MessageType, Protocol, unpackLetters } from '../../core/codes.js';
import type { Outcome } from '../../core/outcome.js';
import { Reason, reasonEntry } from '../../core/reasons.js';
import { idLengthMax, type Request, Text, type TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { panMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import * as f from '../reading/fields.js';
import { repeatedName, wholeText } from '../reading/json-text.js';
import { shownName } from '../reading/member-names.js';
import { compileCheck, fieldError } from '../reading/schema.js';
import { repeatedMessage } from '../reading/slow-parts.js';
import { copyBytes } from '../reading/write.js';

export const commandIdPrefix = '\u0001ledger:';

const types = { deposit: MessageType.deposit, withdrawal: MessageType.withdrawal } as const;
export type CommandName = keyof typeof types;

const fields = {
  id: f.required(f.text(idLengthMax, Text.id)),
  type: f.required(f.word(Object.entries(types), f.Target.type)),
  account: f.required(f.text(idLengthMax, Text.card)),
  amount: f.required(f.minorUnits()),
};
const descriptions = f.descriptionsOf(fields);
const check = compileCheck(f.schemaOf(fields), descriptions);

function read(request: Request, bytes: Uint8Array, start: number, end: number, panKeys: PanKeys): FieldError | null {
  request.reset(bytes, Protocol.ledger);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', descriptions);
  const repeated = repeatedName(text, wholeText(text));
  if (repeated !== null) return { field: shownName(repeated), message: repeatedMessage };
  const error = check(parsed);
  if (error !== null) return error;
  const body = parsed as f.BodyOf<typeof fields>;
  request.type = types[body.type as CommandName];
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
  const reason = reasonEntry(outcome.reason).name;
  if (outcome.reason === Reason.duplicateConflict) return write(target, offset, { id, approved: false, reason });
  const { availableMinor: available, heldMinor: held, postedMinor: posted } = outcome;
  const answer = {
    id,
    approved: outcome.approved,
    reason,
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
  return write(target, offset, answer);
}

function write(target: Uint8Array, offset: number, answer: object): number {
  return copyBytes(target, offset, Buffer.from(JSON.stringify(answer))) - offset;
}

export function createLedgerCodec({ panKeys }: Pick<CodecOptions, 'panKeys'>): Codec {
  return {
    protocol: Protocol.ledger,
    read: (request, bytes, start, end) => read(request, bytes, start, end, panKeys),
    writeAnswer,
  };
}
