/**
 * A certificate authority for a test, and a certificate of 127.0.0.1 and localhost that it signed. X.509 is written by
 * hand, for Node.js can sign and read certificates but not make one, and a bare machine has no openssl.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificates {
  /** Files in PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  remove(): Promise<void>;
}

/** Valid for the years in which two digits name one, in every certificate since 2020. */
const validFrom = '200101000000Z';
const validTo = '491231235959Z';

export async function createTestCertificates(): Promise<TestCertificates> {
  const authority = keyPair();
  const server = keyPair();
  const folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  const write = async (file: string, label: string, bytes: Buffer): Promise<string> => {
    const path = join(folder, file);
    await writeFile(path, pem(label, bytes), { mode: 0o600 });
    return path;
  };
  const name = 'Authority of a test';
  const authorityBytes = certificate(name, name, authority.publicKey, authority.privateKey, [isAuthority]);
  const serverBytes = certificate(name, 'localhost', server.publicKey, authority.privateKey, [ownNames]);
  const pkcs8 = server.privateKey.export({ type: 'pkcs8', format: 'der' });
  return {
    authority: await write('authority.pem', 'CERTIFICATE', authorityBytes),
    certificate: await write('server.pem', 'CERTIFICATE', serverBytes),
    key: await write('server.key', 'PRIVATE KEY', pkcs8),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function keyPair() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return { publicKey, privateKey: createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' }) };
}

/** RFC 5280, 4.1. */
function certificate(
  issuer: string,
  subject: string,
  publicKey: Buffer,
  issuerKey: KeyObject,
  extensions: readonly Buffer[],
): Buffer {
  const signed = sequence(
    tagged(0, integer(2)),
    integer(subject === issuer ? 1 : 2),
    ecdsaWithSha256,
    distinguishedName(issuer),
    sequence(der(0x17, Buffer.from(validFrom)), der(0x17, Buffer.from(validTo))),
    distinguishedName(subject),
    publicKey,
    tagged(3, sequence(...extensions)),
  );
  return sequence(signed, ecdsaWithSha256, bitString(sign('sha256', signed, issuerKey)));
}

/** A value in DER: tag, length, content. */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}
function tagged(number: number, content: Buffer): Buffer {
  return der(0xa0 + number, content);
}
function integer(value: number): Buffer {
  return der(0x02, Buffer.from([value]));
}
function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}
/** By the bytes of its content: each is used once or twice, and none is worth an encoder. */
function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}
function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), der(0x04, value));
}

/** 1.2.840.10045.4.3.2 */
const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'));

/** 2.5.4.3, the common name, is all there is. */
function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(objectId('550403'), der(0x0c, Buffer.from(commonName)))));
}

/** 2.5.29.19, basicConstraints: it may sign others. */
const isAuthority = extension('551d13', sequence(der(0x01, Buffer.from([0xff]))));
/** 2.5.29.17, subjectAltName: a name and an address. */
const ownNames = extension(
  '551d11',
  sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1]))),
);

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
