/**
 * What a processor knows of a purchase beside amount and merchant, in one vocabulary for every protocol. These signals
 * are the results of address, security code, PIN and 3-D Secure, the wallet, and how the purchase came about.
 * docs/protocols/vocabulary.md says where each protocol has each word. All codes are journaled: append only.
 */

/** Of AVS, of the security code and of 3-D Secure. `partial`: a part of the address, an attempted authentication. */
export const CheckResult = { absent: 0, match: 1, partial: 2, mismatch: 3, notChecked: 4 } as const;
export type CheckResult = (typeof CheckResult)[keyof typeof CheckResult];
export const checkResultNames = ['', 'match', 'partial', 'mismatch', 'not_checked'] as const;

/** Processors say whether a PIN was entered; a wrong one never reaches an issuer. */
export const Pin = { absent: 0, entered: 1, notEntered: 2 } as const;
export type Pin = (typeof Pin)[keyof typeof Pin];
export const pinNames = ['', 'entered', 'not_entered'] as const;

export const Wallet = { absent: 0, applePay: 1, googlePay: 2, samsungPay: 3, other: 4 } as const;
export type Wallet = (typeof Wallet)[keyof typeof Wallet];
export const walletNames = ['', 'apple_pay', 'google_pay', 'samsung_pay', 'other'] as const;

/** The device that holds the wallet. */
export const Device = { absent: 0, phone: 1, tablet: 2, watch: 3, other: 4 } as const;
export type Device = (typeof Device)[keyof typeof Device];
export const deviceNames = ['', 'phone', 'tablet', 'watch', 'other'] as const;

export const Recurring = { absent: 0, no: 1, yes: 2 } as const;
export type Recurring = (typeof Recurring)[keyof typeof Recurring];

export const Initiator = { absent: 0, cardholder: 1, merchant: 2 } as const;
export type Initiator = (typeof Initiator)[keyof typeof Initiator];
export const initiatorNames = ['', 'cardholder', 'merchant'] as const;

/** Largest risk score. Each network has a scale of its own, on which more is worse; a score is kept as it was sent. */
export const riskScoreMax = 999;
export const riskScoreAbsent = -1;

/** What limits may ask of a check. */
export const verificationModes = ['require', 'allow', 'block'] as const;
export type VerificationMode = (typeof verificationModes)[number];
/** The checks of which limits may ask something: the order is that of the bits in Rules.signalBits. */
export const verificationNames = ['avs', 'cvv', 'threeDS'] as const;
export type VerificationName = (typeof verificationNames)[number];

/** Words of limits that need something from the protocol. */
export type Datum = VerificationName | 'wallets' | 'recurring';

/** The protocols by which questions of cards come. */
export const cardProtocols = ['native', 'marqeta', 'lithic', 'stripe', 'iso8583'] as const;
export type CardProtocol = (typeof cardProtocols)[number];

const everything: readonly Datum[] = [...verificationNames, 'wallets', 'recurring'];

/**
 * What the questions of each protocol carry of that. Lithic declines a wrong security code before it asks, and says
 * nothing of a right one; a question of Stripe does not say that it recurs. Each network of ISO 8583 has its
 * own places for these words.
 */
export const carriedBy: Readonly<Record<CardProtocol, readonly Datum[]>> = {
  native: everything,
  marqeta: everything,
  lithic: ['avs', 'threeDS', 'wallets', 'recurring'],
  stripe: ['avs', 'cvv', 'threeDS', 'wallets'],
  iso8583: [],
};

/** What a question says of itself in these words. Request has it; a record keeps it in four bytes. */
export interface Signals {
  avs: CheckResult;
  cvv: CheckResult;
  threeDS: CheckResult;
  pin: Pin;
  wallet: Wallet;
  device: Device;
  recurring: Recurring;
  initiator: Initiator;
  /** 0 … riskScoreMax, or riskScoreAbsent. */
  riskScore: number;
}

export function clearSignals(signals: Signals): void {
  signals.avs = CheckResult.absent;
  signals.cvv = CheckResult.absent;
  signals.threeDS = CheckResult.absent;
  signals.pin = Pin.absent;
  signals.wallet = Wallet.absent;
  signals.device = Device.absent;
  signals.recurring = Recurring.absent;
  signals.initiator = Initiator.absent;
  signals.riskScore = riskScoreAbsent;
}

/** Bytes of the two words below in a record. */
export const signalsBytes = 4;

/**
 * Writes the signals. The first u16 has avs at bit 0, cvv at 3, threeDS at 6, pin at 9, recurring at 11, initiator at
 * 13. The second one has the wallet at bit 0, the device at 3, the risk score plus one at 6 (0: absent).
 */
export function writeSignals(view: DataView, offset: number, signals: Signals): void {
  const { avs, cvv, threeDS, pin, recurring, initiator } = signals;
  const results = avs | (cvv << 3) | (threeDS << 6) | (pin << 9) | (recurring << 11) | (initiator << 13);
  view.setUint16(offset, results, true);
  view.setUint16(offset + 2, signals.wallet | (signals.device << 3) | ((signals.riskScore + 1) << 6), true);
}

/** Reads what writeSignals has written. */
export function readSignals(view: DataView, offset: number, signals: Signals): void {
  const results = view.getUint16(offset, true);
  signals.avs = (results & 0b111) as CheckResult;
  signals.cvv = ((results >> 3) & 0b111) as CheckResult;
  signals.threeDS = ((results >> 6) & 0b111) as CheckResult;
  signals.pin = ((results >> 9) & 0b11) as Pin;
  signals.recurring = ((results >> 11) & 0b11) as Recurring;
  signals.initiator = ((results >> 13) & 0b11) as Initiator;
  const circumstances = view.getUint16(offset + 2, true);
  signals.wallet = (circumstances & 0b111) as Wallet;
  signals.device = ((circumstances >> 3) & 0b111) as Device;
  signals.riskScore = (circumstances >> 6) - 1;
}

export function sameSignals(left: Signals, right: Signals): boolean {
  return (
    left.avs === right.avs &&
    left.cvv === right.cvv &&
    left.threeDS === right.threeDS &&
    left.pin === right.pin &&
    left.wallet === right.wallet &&
    left.device === right.device &&
    left.recurring === right.recurring &&
    left.initiator === right.initiator &&
    left.riskScore === right.riskScore
  );
}
