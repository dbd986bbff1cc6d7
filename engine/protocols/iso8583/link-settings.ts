/**
 * The settings of the links, from the JSON file that ISO8583_LINKS names: a list with one object a link. What is wrong
 * with it stops the start with one line that names the place.
 */
import { ConfigError } from '../../../platform/config/variables.js';
import { loadSchemaCompiler, type SchemaFault } from '../reading/schema.js';
import { fieldFormatPattern } from './field-tables.js';
import { Framing, type FramingSettings, headerBytesLimit, keepAlives, lengthKinds } from './framing.js';
import { messageBytesLimit } from './message.js';
import {
  bcdPaddings,
  bitmapEncodings,
  encodings,
  fieldEncodings,
  Packager,
  type PackagerSettings,
  prefixCounts,
  prefixEncodings,
} from './packager.js';
import type { PartialApprovalPlace } from './partial-approval.js';

/** Paths of PEM files. */
export interface LinkTlsSettings {
  readonly certFile: string;
  readonly keyFile: string;
  /** Of the authorities whose client certificates are taken. */
  readonly caFile?: string;
  /** A connection without a certificate of `caFile` is refused; yes where there is a `caFile`. */
  readonly requireClientCertificate: boolean;
}

export interface LinkSettings {
  /** In logs and metrics. */
  readonly name: string;
  /** Where the engine listens. */
  readonly host: string;
  readonly port: number;
  readonly packager: PackagerSettings;
  readonly framing: FramingSettings;
  /** Absent: plain TCP, for a private line. */
  readonly tls?: LinkTlsSettings;
  /** The engine sends an echo (0800) after so long without a message; 0: never. */
  readonly idleEchoS: number;
  /** Fields that an answer takes over beside those that every answer does. */
  readonly echoFields: readonly number[];
  /** DE39 of a verification (amount zero) without objection, as a code of 1987. */
  readonly verificationAnswer: '85' | '00';
  /** The field with the network's trace id, which is the same in all messages about one purchase. */
  readonly traceField?: number;
  /** What a repeat gets: the stored answer again, or code 94 (913 in the codes of 1993). */
  readonly duplicateAnswer: 'stored' | 'refused';
  /** Absent: nothing is approved in part. */
  readonly partialApproval?: PartialApprovalPlace;
  /** Of DE39: response codes of two characters, or action codes of three digits. */
  readonly responseCodes: 1987 | 1993;
  /** Before a sign-on (0800 with 001) every request is answered as from an issuer that is not there. */
  readonly signOnRequired: boolean;
  readonly connectionsMax: number;
  /** Requests of one connection that are accepted and not answered. */
  readonly inFlightMax: number;
}

const variable = 'ISO8583_LINKS';
/** A settings file is a few kilobytes; a thousand times as much is another file. */
const fileCharsMax = 1_000_000;
/** Each link listens on a port of its own. */
const linksMax = 64;
/** A network opens a handful of connections a link. */
const connectionsLimit = 256;
/** Each request in flight has an entry in memory, and all links share MAX_INFLIGHT. */
const inFlightLimit = 10_000;

const field = { type: 'integer', minimum: 2, maximum: 128 };
const path = { type: 'string', minLength: 1, maxLength: 1024 };
const yesOrNo = { type: 'boolean' };
const oneOf = (values: readonly (string | number)[]) => ({ enum: values });

function objectOf(required: readonly string[], properties: Readonly<Record<string, object>>) {
  return { type: 'object', required, additionalProperties: false, properties };
}

const overrideSchema = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: {
    format: { type: 'string', pattern: fieldFormatPattern },
    encoding: oneOf(fieldEncodings),
    prefix: oneOf(prefixEncodings),
    prefixCounts: oneOf(prefixCounts),
    bcdPadding: oneOf(bcdPaddings),
  },
};

const packagerSchema = objectOf(['version', 'encoding'], {
  version: oneOf([1987, 1993]),
  encoding: oneOf(encodings),
  text: oneOf(['ascii', 'ebcdic']),
  bitmap: oneOf(bitmapEncodings),
  prefix: oneOf(prefixEncodings),
  bytes: oneOf(['binary', 'hex']),
  bcdPadding: oneOf(bcdPaddings),
  overrides: { type: 'object', maxProperties: 126, additionalProperties: overrideSchema },
});

const framingSchema = objectOf(['length'], {
  length: oneOf(lengthKinds),
  lengthIncludesItself: yesOrNo,
  lengthIncludesHeader: yesOrNo,
  header: objectOf(['kind'], {
    kind: oneOf(['tpdu', 'plain']),
    bytes: { type: 'integer', minimum: 1, maximum: headerBytesLimit },
  }),
  keepAlive: oneOf(keepAlives),
  messageBytesMax: { type: 'integer', minimum: 64, maximum: messageBytesLimit },
});

const linkSchema = objectOf(['name', 'port', 'packager', 'framing'], {
  name: { type: 'string', pattern: '^[a-z][a-z0-9_-]{0,31}$' },
  host: { type: 'string', minLength: 1, maxLength: 255 },
  port: { type: 'integer', minimum: 1, maximum: 65_535 },
  packager: packagerSchema,
  framing: framingSchema,
  tls: objectOf(['certFile', 'keyFile'], {
    certFile: path,
    keyFile: path,
    caFile: path,
    requireClientCertificate: yesOrNo,
  }),
  idleEchoS: { type: 'integer', minimum: 0, maximum: 3600 },
  echoFields: { type: 'array', items: field, uniqueItems: true, maxItems: 32 },
  verificationAnswer: oneOf(['85', '00']),
  traceField: field,
  duplicateAnswer: oneOf(['stored', 'refused']),
  partialApproval: objectOf(['field', 'position', 'value'], {
    field,
    subElement: { type: 'integer', minimum: 0, maximum: 99 },
    skip: { type: 'integer', minimum: 0, maximum: 16 },
    position: { type: 'integer', minimum: 1, maximum: 999 },
    value: { type: 'string', pattern: '^[\\u0021-\\u007e]$' },
  }),
  responseCodes: oneOf([1987, 1993]),
  signOnRequired: yesOrNo,
  connectionsMax: { type: 'integer', minimum: 1, maximum: connectionsLimit },
  inFlightMax: { type: 'integer', minimum: 1, maximum: inFlightLimit },
});

const fileSchema = { type: 'array', minItems: 1, maxItems: linksMax, items: linkSchema };

/** A link as the file has it: what has a usual value may be absent. */
type GivenLink = Partial<Omit<LinkSettings, 'tls'>> &
  Pick<LinkSettings, 'name' | 'port' | 'packager' | 'framing'> & {
    readonly tls?: Partial<LinkTlsSettings> & Pick<LinkTlsSettings, 'certFile' | 'keyFile'>;
  };

/**
 * Reads the text of the settings file.
 * @throws ConfigError with one line that names the place at fault
 */
export function readLinkSettings(text: string): readonly LinkSettings[] {
  if (text.length > fileCharsMax) throw fault('', `has more than ${fileCharsMax} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault('', 'is not JSON');
  }
  const validate = new (loadSchemaCompiler())({ strict: true, allowUnionTypes: true }).compile<GivenLink[]>(fileSchema);
  if (!validate(value)) throw schemaFault(validate.errors![0]!);
  const links = value.map(withUsualValues);
  const seen = new Set<string>();
  for (const [index, { name, host, port }] of links.entries()) {
    for (const [what, key] of [
      ['name', name],
      ['host and port', `${host} ${port}`],
    ] as const) {
      if (seen.has(key)) throw fault(`[${index}]`, `has the ${what} of an earlier link`);
      seen.add(key);
    }
  }
  return Object.freeze(links);
}

function withUsualValues(given: GivenLink, index: number): LinkSettings {
  checkParts(given, index);
  const { tls, ...rest } = given;
  return Object.freeze({
    host: '127.0.0.1',
    idleEchoS: 0,
    echoFields: [],
    verificationAnswer: '85',
    duplicateAnswer: 'stored',
    responseCodes: given.packager.version,
    signOnRequired: false,
    connectionsMax: 8,
    inFlightMax: 1000,
    ...rest,
    ...(tls === undefined
      ? {}
      : { tls: { ...tls, requireClientCertificate: tls.requireClientCertificate ?? tls.caFile !== undefined } }),
  } satisfies LinkSettings);
}

/** What an approval has of its own: the approval code, and up to three amounts. It could not be sent otherwise. */
const filledByAnswers = [
  [38, 6],
  [54, 60],
] as const;

/** What the schema cannot say. */
function checkParts(given: GivenLink, index: number): void {
  const { packager, framing, tls, echoFields, partialApproval, traceField } = given;
  let known: Packager;
  try {
    known = new Packager(packager);
  } catch (error) {
    throw fault(`[${index}].packager`, `is not possible: ${(error as Error).message}`);
  }
  try {
    new Framing(framing);
  } catch (error) {
    throw fault(`[${index}].framing`, `is not possible: ${(error as Error).message}`);
  }
  if (tls?.requireClientCertificate === true && tls.caFile === undefined) {
    throw fault(`[${index}].tls`, 'needs caFile, to check client certificates with');
  }
  const named = [...(echoFields ?? []), partialApproval?.field, traceField];
  const absent = named.find((number) => number !== undefined && !known.has(number));
  const codeLength = (given.responseCodes ?? packager.version) === 1987 ? 2 : 3;
  if (known.length[39] !== codeLength) {
    throw fault(`[${index}]`, `needs ${codeLength} characters for field 39, as its responseCodes have`);
  }
  if (absent !== undefined) throw fault(`[${index}]`, `names field ${absent}, which its packager does not have`);
  if (!known.has(11)) throw fault(`[${index}].packager`, 'needs field 11, by which answers find their questions');
  for (const [field, length] of filledByAnswers) {
    if (!known.has(field) || known.length[field]! >= length) continue;
    throw fault(`[${index}].packager`, `needs ${length} characters for field ${field}, as approvals have`);
  }
}

function schemaFault({ instancePath, keyword, params, message }: SchemaFault): ConfigError {
  const place = instancePath
    .split('/')
    .slice(1)
    .map((part) => (/^[0-9]+$/.test(part) ? `[${part}]` : `.${part}`))
    .join('');
  if (keyword === 'additionalProperties') return fault(place, `has an unknown member, ${params['additionalProperty']}`);
  if (keyword === 'required') return fault(place, `has no ${params['missingProperty']}`);
  if (keyword === 'enum') return fault(place, `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`);
  return fault(place, message ?? 'is not valid');
}

function fault(place: string, words: string): ConfigError {
  return new ConfigError(`${variable}: ${place === '' ? 'the file' : place} ${words}`);
}
