/** Parts of a message that more than one reader needs. */
import { packLetters, unpackLetters } from '../../core/codes.js';
import { currencyOfNumber, exponentOf } from '../../core/money.js';
import type { IsoMessage } from './message.js';
import type { MessageKey } from './names.js';
import { institutionId } from './original-data-elements.js';

export type Version = 1987 | 1993;

/** The card number of DE 2, else of track 2 (DE 35); null: there is none. */
export function panOf(message: IsoMessage): string | null {
  const pan = message.has(2) ? message.text(2) : message.text(35).split(/[=D]/, 1)[0]!;
  return /^[0-9]{8,19}$/.test(pan) ? pan : null;
}

/**
 * By what the sender knows the message again; null: it has no such fields. The moment is the one that a later message
 * names in its original data elements: DE 7 in DE 90 of 1987, DE 12 in DE 56 of 1993.
 */
export function keyOf(message: IsoMessage, version: Version): MessageKey | null {
  const transmittedAt = message.text(version === 1993 && message.has(12) ? 12 : 7);
  if (!message.has(11) || transmittedAt === '') return null;
  return { transmittedAt, traceNumber: message.integer(11), acquirerId: institutionId(message.text(32)) };
}

export interface Money {
  readonly amountMinor: number;
  /** ISO 4217; undefined where nothing is asked for. */
  readonly currency: string | undefined;
}

/**
 * What is decided: the amount in the cardholder's currency where the network has converted it, else that of the
 * purchase. Both are in minor units. Some senders fill DE 6 with zeros where they convert nothing: a purchase must not
 * become a verification by that.
 * @returns the field that is at fault instead
 */
export function moneyOf(message: IsoMessage): Money | number {
  const isConverted = message.has(6) && message.has(51) && (message.integer(6) !== 0 || message.integer(4) === 0);
  const [amountField, currencyField] = isConverted ? [6, 51] : [4, 49];
  const amountMinor = message.has(amountField) ? message.integer(amountField) : 0;
  if (Number.isNaN(amountMinor)) return amountField;
  const packed = currencyOf(message.text(currencyField));
  if (packed === 0)
    return amountMinor > 0 || message.has(currencyField) ? currencyField : { amountMinor, currency: undefined };
  return { amountMinor, currency: unpackLetters(packed) };
}

/** A link has ISO 4217 in digits or in letters. @returns packLetters() of it, 0 when there is no such currency */
function currencyOf(text: string): number {
  if (/^[0-9]{3}$/.test(text)) return currencyOfNumber(Number(text));
  const packed = packLetters(text);
  return exponentOf(packed) < 0 ? 0 : packed;
}

/** By what later messages may name this one, where DE 90 does not say it. */
export function referenceOf(
  message: IsoMessage,
  traceField: number | undefined,
  card: string,
): { readonly retrieval: string; readonly trace: string } {
  const [retrieval, terminal, acceptor] = [message.text(37), message.text(41), message.text(42)];
  const trace = traceField === undefined ? '' : message.text(traceField);
  return {
    retrieval: retrieval === '' ? '' : ['37', card, retrieval, message.text(11), terminal, acceptor].join('|'),
    trace: trace === '' ? '' : ['trace', card, trace].join('|'),
  };
}
