/**
 * Signatures of processors over the raw bytes of a request (HMAC). A comparison takes the same time whatever is sent,
 * and a time outside of the tolerance is refused. Lithic's and Stripe's are the whole authentication of their paths;
 * Marqeta has Basic authentication, and a signature beside it where one is configured.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { BasicAuth } from './basic-auth.js';
import type { HttpRequest } from './uws.js';

/** How far the time in a signature may be from the arrival, both ways. */
const toleranceMs = 300_000;
/** Of a header. With several signatures during a rotation a sender's own ones stay below a third of it. */
const headerLengthMax = 1024;
/** Signatures of one request that are compared: a rotation has two. */
const signaturesMax = 8;

/** What a request says of its signature, read while its headers can be. */
export interface Proof {
  /** What stands before the body in the signed bytes. */
  readonly signedBefore: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly signatures: readonly Buffer[];
}

export interface SignatureCheck {
  /** Null: the headers carry no signature that could be right. */
  proofOf(request: Pick<HttpRequest, 'getHeader'>): Proof | null;
  accepts(proof: Proof, body: Uint8Array, arrivalMs: number): boolean;
}

function accepts(keys: readonly Buffer[], proof: Proof, body: Uint8Array, arrivalMs: number): boolean {
  let isAccepted = false;
  // All are compared, whichever is right.
  for (const key of keys) {
    const expected = createHmac('sha256', key).update(proof.signedBefore).update(body).digest();
    for (const signature of proof.signatures) if (timingSafeEqual(signature, expected)) isAccepted = true;
  }
  return isAccepted && Math.abs(arrivalMs - proof.atMs) <= toleranceMs;
}

/** The HMAC's bytes, or null when the text is not those of one: nothing is compared with it then. */
function signatureOf(text: string, encoding: 'base64' | 'hex'): Buffer | null {
  const bytes = Buffer.from(text, encoding);
  return bytes.length === 32 ? bytes : null;
}

function header(request: Pick<HttpRequest, 'getHeader'>, name: string): string {
  const value = request.getHeader(name);
  return value.length > headerLengthMax ? '' : value;
}

/** Seconds since 1970 in at most eleven digits; NaN for anything else. */
function msOf(seconds: string): number {
  return /^[0-9]{1,11}$/.test(seconds) ? Number(seconds) * 1000 : Number.NaN;
}

function proof(signedBefore: string, atMs: number, texts: readonly string[], encoding: 'base64' | 'hex'): Proof | null {
  if (Number.isNaN(atMs)) return null;
  const signatures = texts.slice(0, signaturesMax).flatMap((text) => signatureOf(text, encoding) ?? []);
  return signatures.length === 0 ? null : { signedBefore, atMs, signatures };
}

const standardPrefix = 'whsec_';

/** The key in a secret of the Standard Webhooks scheme; null when the secret is none. */
export function standardKey(secret: string): Buffer | null {
  const text = secret.startsWith(standardPrefix) ? secret.slice(standardPrefix.length) : secret;
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0 ? Buffer.from(text, 'base64') : null;
}

/** Standard Webhooks, as Lithic signs: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,… v1,…`. */
export function standardWebhooks(secrets: readonly string[]): SignatureCheck {
  const keys = secrets.flatMap((secret) => standardKey(secret) ?? []);
  return {
    proofOf(request) {
      const id = header(request, 'webhook-id');
      const timestamp = header(request, 'webhook-timestamp');
      const texts = header(request, 'webhook-signature')
        .split(' ')
        .flatMap((entry) => (entry.startsWith('v1,') ? [entry.slice(3)] : []));
      return id === '' ? null : proof(`${id}.${timestamp}.`, msOf(timestamp), texts, 'base64');
    },
    accepts: (given, body, arrivalMs) => accepts(keys, given, body, arrivalMs),
  };
}

/** `Stripe-Signature: t=…,v1=…,v1=…`. The key is the secret as it stands, its prefix included. */
export function stripeSignatures(secrets: readonly string[]): SignatureCheck {
  const keys = secrets.map((secret) => Buffer.from(secret));
  return {
    proofOf(request) {
      const entries = header(request, 'stripe-signature')
        .split(',')
        .map((entry): [string, string] => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]);
      const timestamp = entries.findLast(([name]) => name === 't')?.[1] ?? '';
      const texts = entries.flatMap(([name, value]) => (name === 'v1' ? [value] : []));
      return proof(`${timestamp}.`, msOf(timestamp), texts, 'hex');
    },
    accepts: (given, body, arrivalMs) => accepts(keys, given, body, arrivalMs),
  };
}

/** Bytes of the HMACs with which Marqeta may sign, by algorithm. */
const marqetaAlgorithms = { sha1: 20, sha256: 32 } as const;

/**
 * Basic authentication, and with secrets `X-Marqeta-Signature`: the hex of an HMAC over the body, by SHA-1 or SHA-256.
 * Nothing in it tells the time, so a repeat is refused by what it names, not here.
 */
export function marqetaSignatures(secrets: readonly string[], auth: Pick<BasicAuth, 'accepts'>): SignatureCheck {
  const keys = secrets.map((secret) => Buffer.from(secret));
  return {
    proofOf(request) {
      if (!auth.accepts(request.getHeader('authorization'))) return null;
      const text = header(request, 'x-marqeta-signature');
      const signatures = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? [Buffer.from(text, 'hex')] : [];
      return keys.length > 0 && signatures.length === 0 ? null : { signedBefore: '', atMs: 0, signatures };
    },
    accepts({ signatures: [signature] }, body) {
      let isAccepted = keys.length === 0;
      for (const [algorithm, bytes] of Object.entries(marqetaAlgorithms)) {
        if (signature?.length !== bytes) continue;
        // All are compared, whichever is right.
        for (const key of keys) {
          if (timingSafeEqual(signature, createHmac(algorithm, key).update(body).digest())) isAccepted = true;
        }
      }
      return isAccepted;
    },
  };
}
