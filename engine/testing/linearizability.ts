/**
 * Whether the answers about one account have one order. The engines say an order: the record sequence of the account's
 * partition. It is believed as far as it fits what the client saw. By the client's clock no message is behind one that
 * was asked after its answer. Each answer shows the books as they are at its place. So the history may come from
 * several engines.
 */
import type { Asked } from './ledger.js';

export interface Books {
  readonly funds: number;
  readonly held: number;
  readonly posted: number;
}

/** A decision as it was settled, in its order. */
export interface Decided {
  /** Of the message; of a ledger command with its kind before it. */
  readonly requestId: string;
  readonly isRevocation: boolean;
  readonly moved: Books;
}

/** A message and what the client saw of it. */
export interface Operation {
  readonly requestId: string;
  readonly name: string;
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  /** What the answer shows: available funds, and all books where it does. */
  readonly available: number;
  readonly books: Books | null;
}

/** How ids of ledger commands are kept apart from those of messages. */
const commandPrefix = '\u0001ledger:';

/** @returns why the order does not fit; '' when it does */
export function whyNoOrder(operations: readonly Operation[], decided: readonly Decided[], start: Books): string {
  const byId = new Map(operations.map((operation) => [operation.requestId, operation]));
  const answering = answeringPlaces(decided);
  let { funds, held, posted } = start;
  let newest: Operation | null = null;
  for (const [place, { requestId, moved }] of decided.entries()) {
    funds += moved.funds;
    held += moved.held;
    posted += moved.posted;
    if (answering.get(requestId) !== place) continue;
    const operation = byId.get(requestId);
    if (operation === undefined) return `${requestId} was decided, and no answer to it is known`;
    byId.delete(requestId);
    if (newest !== null && newest.askedAtMs > operation.answeredAtMs) {
      return `${operation.name} was answered before ${newest.name}, and decided after it`;
    }
    if (newest === null || operation.askedAtMs > newest.askedAtMs) newest = operation;
    const { available, books } = operation;
    const fits = books === null || (books.funds === funds && books.held === held && books.posted === posted);
    if (funds - held - posted !== available || !fits) {
      return `at its place there are funds ${funds}, held ${held}, posted ${posted}: ${operation.name}`;
    }
  }
  const [undecided] = byId.values();
  return undecided === undefined ? '' : `answered and not decided: ${undecided.name}`;
}

/** Which decision is the answer of an id: the last one, as what was revoked before it was never answered. */
function answeringPlaces(decided: readonly Decided[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  for (const [place, { requestId, isRevocation }] of decided.entries()) {
    if (isRevocation) places.delete(requestId);
    else places.set(requestId, place);
  }
  return places;
}

/** An acknowledged message of the client's ledger. */
export function operationOf({ command, text, answer, message, askedAtMs, answeredAtMs }: Asked): Operation {
  const body = JSON.parse(answer) as { readonly available: number; readonly account?: Books & { available: number } };
  const { account } = body;
  return {
    requestId: command === null ? message.id : commandPrefix + message.id,
    name: `${text} → ${answer} (${askedAtMs.toFixed(1)} to ${answeredAtMs.toFixed(1)} ms)`,
    askedAtMs,
    answeredAtMs,
    available: account?.available ?? body.available,
    books: account ?? null,
  };
}
