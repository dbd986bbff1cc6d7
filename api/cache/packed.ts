/**
 * Values of the shared cache as bytes, and the API's only importer of msgpackr. It decodes nothing but what an API
 * process has encoded: bytes from outside never come here.
 */
import { Packr } from 'msgpackr';

// Plain maps, no shared record structures: any process reads what any other has written.
const packr = new Packr({ useRecords: false, moreTypes: false });

export function pack(value: unknown): Buffer {
  return packr.pack(value);
}

export function unpack(bytes: Buffer): unknown {
  return packr.unpack(bytes);
}
