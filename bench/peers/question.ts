/**
 * What all peers read and answer: the authorization of our own port, no other message. They differ only in where the
 * money stands and what makes it durable.
 */

export interface Question {
  readonly id: string;
  readonly card: string;
  readonly amount: number;
  readonly currency: string;
  /** JSON, kept with the authorization as the engine keeps it. */
  readonly merchant: string;
}

export interface Outcome {
  readonly approved: boolean;
  readonly reason: 'approved' | 'insufficient_funds' | 'card_inactive' | 'card_not_found';
  /** The account's available funds after this message. */
  readonly available: number;
  /** The id was used for another question: nothing was done. */
  readonly conflict: boolean;
}

/** Decides durably: what it resolves with survives a crash, as far as the peer's description says. */
export interface Peer {
  authorize(question: Question): Promise<Outcome>;
  close(): Promise<void>;
}

/** @returns null when it is not a question that a peer serves. */
export function readQuestion(body: string): Question | null {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { id, type, card, amount, currency, merchant } = value as Record<string, unknown>;
  if (typeof id !== 'string' || id.length < 1 || id.length > 64 || type !== 'authorization') return null;
  if (typeof card !== 'string' || typeof currency !== 'string') return null;
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount <= 0) return null;
  return { id, card, amount, currency, merchant: JSON.stringify(merchant ?? null) };
}

const responseCodes: Record<Outcome['reason'], string> = {
  approved: '00',
  insufficient_funds: '51',
  card_inactive: '62',
  card_not_found: '14',
};

/** The answer's body, in the engine's form; a conflict is a 409 with the engine's reason. */
export function answerText(question: Question, outcome: Outcome, responseTimeMs: number): string {
  const { id, amount, currency } = question;
  return JSON.stringify({
    id,
    approved: outcome.approved && !outcome.conflict,
    reason: outcome.conflict ? 'duplicate_conflict' : outcome.reason,
    responseCode: outcome.conflict ? '94' : responseCodes[outcome.reason],
    authorizationId: id,
    amount,
    approvedAmount: outcome.approved && !outcome.conflict ? amount : 0,
    available: outcome.available,
    currency,
    responseTimeMs: Math.round(responseTimeMs * 1000) / 1000,
  });
}
