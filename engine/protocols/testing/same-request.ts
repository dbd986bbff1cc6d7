/** Test support: compares two readings of one message by what they mean, wherever their texts stand. */
import type { Request, TextSlice } from '../../core/request.js';
import type { Refusal } from '../refusal.js';

const scalars = [
  'type',
  'protocol',
  'amountMinor',
  'currency',
  'mcc',
  'country',
  'channel',
  'partialAllowed',
  'final',
  'capture',
  'extraHash',
  'avs',
  'cvv',
  'threeDS',
  'pin',
  'wallet',
  'device',
  'recurring',
  'initiator',
  'riskScore',
] as const;
const texts = ['id', 'card', 'original', 'merchantId', 'merchantName', 'at'] as const;

export function textOf(request: Request, slice: TextSlice): string {
  return Buffer.from(request.source.subarray(slice.start, slice.end)).toString('utf8');
}

function sameText(a: Request, b: Request, sliceA: TextSlice, sliceB: TextSlice): boolean {
  const length = sliceA.end - sliceA.start;
  if (length !== sliceB.end - sliceB.start) return false;
  for (let index = 0; index < length; index++) {
    if (a.source[sliceA.start + index] !== b.source[sliceB.start + index]) return false;
  }
  return true;
}

/** Name of the first field in which two requests differ, or null. */
export function difference(a: Request, b: Request): string | null {
  for (const name of scalars) if (!Object.is(a[name], b[name])) return name;
  for (const name of texts) if (!sameText(a, b, a[name], b[name])) return name;
  for (const [index, echo] of a.echoes.entries()) if (!sameText(a, b, echo, b.echoes[index]!)) return `echo ${index}`;
  return null;
}

export function sameRefusal(a: Refusal | null, b: Refusal | null): boolean {
  if (a === null || b === null) return a === b;
  return a.field === b.field && a.message === b.message && 'unsupported' in a === 'unsupported' in b;
}

/** A plain object of what was read, for assertions in tables. */
export function seen(request: Request): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const name of scalars) out[name] = request[name];
  for (const name of texts) out[name] = textOf(request, request[name]);
  out['echoes'] = request.echoes.map((echo) => textOf(request, echo));
  return out;
}
