/** Limits as they come in and go out: the shape of engine/core/rules.ts, with every value checked. */
import { channelNames, packLetters } from '../../engine/core/codes.js';
import { windowNames } from '../../engine/core/limit-names.js';
import { limitsBytesMax } from '../../engine/core/limits.js';
import { amountMinorMax, idLengthMax } from '../../engine/core/request.js';
import { rollingHoursMax, rollingHoursMin, rollingMax } from '../../engine/core/rolling.js';
import type { Limits } from '../../engine/core/rules.js';
import {
  type CardProtocol,
  carriedBy,
  type Datum,
  verificationModes,
  verificationNames,
  walletNames,
} from '../../engine/core/vocabulary.js';
import { countryOf } from '../../engine/protocols/reading/countries.js';
import { maskCardData } from '../../platform/masking/redact.js';
import { invalid } from '../http/problem.js';
import { Count, closed, nullable, oneOf, printable, Timestamp, type TSchema, Type } from '../http/schemas.js';

/** Longer lists belong into rules of another kind: every engine keeps every list in memory. */
const listMax = 500;
const countMax = 1_000_000_000;

const MinorUnits = Type.Integer({ minimum: 0, maximum: amountMinorMax });
const Window = Type.Object(
  {
    amount: Type.Optional(MinorUnits),
    count: Type.Optional(Type.Integer({ minimum: 0, maximum: countMax })),
  },
  { additionalProperties: false, minProperties: 1, title: 'SpendWindow' },
);

const RollingWindow = Type.Object(
  {
    hours: Type.Integer({ minimum: rollingHoursMin, maximum: rollingHoursMax }),
    amount: Type.Optional(MinorUnits),
    count: Type.Optional(Type.Integer({ minimum: 0, maximum: countMax })),
  },
  // The hours, and an amount or a count.
  { additionalProperties: false, minProperties: 2, title: 'RollingWindow' },
);

export const Channel = oneOf(
  channelNames.filter((name) => name !== ''),
  { title: 'Channel' },
);

const Mode = oneOf(verificationModes, { title: 'VerificationMode' });
const WalletName = oneOf(
  walletNames.filter((name) => name !== ''),
  { title: 'Wallet' },
);

function allowOrBlock<T extends TSchema>(item: T, description: string) {
  const list = Type.Optional(Type.Array(item, { maxItems: listMax, uniqueItems: true }));
  return Type.Optional(
    Type.Object(
      { allow: list, block: list },
      { additionalProperties: false, minProperties: 1, maxProperties: 1, description },
    ),
  );
}

export const LimitsBody = closed(
  {
    perAuthorization: Type.Optional(MinorUnits),
    daily: Type.Optional(Window),
    weekly: Type.Optional(Window),
    monthly: Type.Optional(Window),
    yearly: Type.Optional(Window),
    lifetime: Type.Optional(Window),
    mcc: allowOrBlock(Type.String({ pattern: '^[0-9]{4}$' }), 'merchant category codes, four digits'),
    merchants: allowOrBlock(Type.String({ minLength: 1, maxLength: idLengthMax, pattern: printable }), 'merchant ids'),
    countries: allowOrBlock(Type.String({ pattern: '^[A-Z]{2}$' }), 'ISO 3166 alpha-2'),
    channels: allowOrBlock(Channel, 'how the card was read'),
    rolling: Type.Optional(
      Type.Array(RollingWindow, {
        minItems: 1,
        maxItems: rollingMax,
        description: 'windows of the last hours, beside the calendar ones',
      }),
    ),
    verification: Type.Optional(
      Type.Object(
        { avs: Type.Optional(Mode), cvv: Type.Optional(Mode), threeDS: Type.Optional(Mode) },
        {
          additionalProperties: false,
          minProperties: 1,
          title: 'Verification',
          description: 'require: only a match passes; block: a mismatch is declined; allow: nothing is asked',
        },
      ),
    ),
    wallets: allowOrBlock(WalletName, 'the wallet that holds the card; a purchase without one is on no list'),
    recurring: Type.Optional(
      oneOf(['allow', 'block'] as const, {
        title: 'RecurringLimit',
        description: 'block declines recurring purchases',
      }),
    ),
  },
  {
    title: 'Limits',
    examples: [{ perAuthorization: 5_000, daily: { amount: 20_000, count: 10 }, mcc: { block: ['7995'] } }],
  },
);

const Used = closed(
  {
    amount: Count,
    count: Count,
    resetsAt: nullable(Timestamp, { description: 'null: never' }),
  },
  { title: 'WindowUse' },
);

export const UsedWindows = closed(
  {
    daily: Used,
    weekly: Used,
    monthly: Used,
    yearly: Used,
    lifetime: Used,
    rolling: Type.Array(
      closed({ hours: Count, amount: Count, count: Count }, { title: 'RollingUse', description: 'of the last hours' }),
      { description: 'in the order of `limits.rolling`' },
    ),
  },
  { title: 'UsedWindows' },
);

/**
 * Checks what a schema cannot say. Throws 400 with the field's path.
 * @param protocols by which the questions come: what one of them does not carry, no limit may ask for
 * @param prefix path of the limits within the body, '' when they are the body
 */
export function checkLimits(limits: Limits, protocols: readonly CardProtocol[], prefix = ''): Limits {
  const bytes = Buffer.byteLength(JSON.stringify(limits));
  if (bytes > limitsBytesMax) throw invalid(prefix, `has ${bytes} bytes, and may have ${limitsBytesMax}`);
  const at = (path: string): string => (prefix === '' ? path : `${prefix}.${path}`);
  for (const [path, datum] of needsOf(limits)) {
    const without = protocols.filter((protocol) => !carriedBy[protocol].includes(datum));
    if (without.length === 0) continue;
    throw invalid(at(path), `needs what questions by ${without.join(' and ')} do not carry, so it would judge nothing`);
  }
  for (const kind of ['allow', 'block'] as const) {
    for (const [index, code] of (limits.countries?.[kind] ?? []).entries()) {
      if (countryOf(Buffer.from(code), 0, 2) !== packLetters(code)) {
        throw invalid(at(`countries.${kind}.${index}`), 'is not a country of ISO 3166');
      }
    }
    for (const [index, id] of (limits.merchants?.[kind] ?? []).entries()) {
      if (maskCardData(id) !== id) throw invalid(at(`merchants.${kind}.${index}`), 'looks like a card number');
    }
  }
  return limits;
}

/** What limits need of a question, by the path of the limit. One that asks nothing needs nothing. */
function needsOf({ verification, wallets, recurring }: Limits): [path: string, datum: Datum][] {
  const checks = verificationNames.filter((name) => (verification?.[name] ?? 'allow') !== 'allow');
  return [
    ...checks.map((name): [string, Datum] => [`verification.${name}`, name]),
    ...(wallets === undefined ? [] : [['wallets', 'wallets'] as [string, Datum]]),
    ...(recurring === 'block' ? [['recurring', 'recurring'] as [string, Datum]] : []),
  ];
}

export { windowNames };
