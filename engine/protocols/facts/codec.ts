/**
 * What a processor reports to have happened, on its way from the front to a partition. The front takes a processor's
 * notification apart into facts (lithic/events.ts and its like). One fact is one message of the native form, with a
 * byte before it. No client can send one: its protocol has no path that decides.
 */
import { MessageType, Protocol } from '../../core/codes.js';
import type { Codec, CodecOptions } from '../codec.js';
import { createNativeCodec } from '../native/codec.js';

/** A message of the native form. */
export interface Fact {
  readonly id: string;
  readonly type: 'advice' | 'reversal' | 'clearing' | 'refund';
  readonly card: string;
  readonly original?: string | undefined;
  /** Absent: a reversal of all that is left. */
  readonly amount?: number | undefined;
  readonly currency: string;
  readonly merchant?: FactMerchant | undefined;
  readonly final?: boolean | undefined;
  /** What was answered elsewhere, see Request.askedType. */
  readonly answers?: 'authorization' | 'incremental' | undefined;
}

export interface FactMerchant {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly mcc?: string | undefined;
  readonly country?: string | undefined;
}

/** The byte of each kind of advice. */
const kinds = { none: 0x30, authorization: 0x31, incremental: 0x32 } as const;
const askedTypes = [0, MessageType.authorization, MessageType.incremental] as const;

/** The fact as a partition reads it. */
export function factBytes({ answers, ...message }: Fact): Uint8Array {
  const json = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Uint8Array.of(kinds[answers ?? 'none']), json]);
}

export function createFactCodec(protocol: Protocol, options: Pick<CodecOptions, 'panKeys'>): Codec {
  const native = createNativeCodec({ ...options, strictFields: false });
  return {
    protocol,
    read(request, bytes, start, end) {
      const kind = (bytes[start] ?? 0) - kinds.none;
      const refusal = native.read(request, bytes, Math.min(start + 1, end), end);
      request.protocol = protocol;
      if (refusal === null && request.type !== MessageType.refund) request.askedType = askedTypes[kind] ?? 0;
      return refusal;
    },
    writeAnswer: native.writeAnswer,
  };
}

export const createLithicEventCodec = (options: CodecOptions): Codec => createFactCodec(Protocol.lithicEvents, options);
export const createMarqetaEventCodec = (options: CodecOptions): Codec =>
  createFactCodec(Protocol.marqetaEvents, options);
export const createStripeEventCodec = (options: CodecOptions): Codec => createFactCodec(Protocol.stripeEvents, options);
