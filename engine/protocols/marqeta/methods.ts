/**
 * The meaning of a Gateway JIT Funding `method`: our message type, whether the money moves at once without a clearing,
 * and whether it is a cash machine. Methods that only inform (reversals, clearings, refunds) come by webhook and are
 * not here; a method that is not here is declined, never guessed.
 */
import { MessageType } from '../../core/codes.js';

export interface Method {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly type: MessageType;
  /** Authorization and final capture in one: posted at once. */
  readonly capture: boolean;
  readonly atm: boolean;
}

function method(name: string, type: MessageType, options: { capture?: boolean; atm?: boolean } = {}): Method {
  return {
    name,
    bytes: Uint8Array.from(Buffer.from(name)),
    type,
    capture: options.capture ?? false,
    atm: options.atm ?? false,
  };
}

/** The commonest first: the byte reader tries them in order of equal length. */
export const methods: readonly Method[] = [
  method('pgfs.authorization', MessageType.authorization),
  method('pgfs.authorization.incremental', MessageType.incremental),
  method('pgfs.authorization.cashback', MessageType.authorization),
  method('pgfs.authorization.account_verification', MessageType.verification),
  method('pgfs.authorization.quasi.cash', MessageType.authorization),
  method('pgfs.authorization.atm.withdrawal', MessageType.authorization, { atm: true }),
  method('pgfs.atm.withdrawal', MessageType.authorization, { atm: true }),
  method('pgfs.auth_plus_capture', MessageType.authorization, { capture: true }),
  method('pgfs.pindebit', MessageType.authorization, { capture: true }),
  method('pgfs.pindebit.cashback', MessageType.authorization, { capture: true }),
  method('pgfs.pindebit.quasi.cash', MessageType.authorization, { capture: true }),
  method('pgfs.pindebit.atm.withdrawal', MessageType.authorization, { capture: true, atm: true }),
  // Dual message: pgfs.pindebit.authorization.clearing follows.
  method('pgfs.pindebit.authorization', MessageType.authorization),
  method('pgfs.balanceinquiry', MessageType.balanceInquiry),
  method('pgfs.pindebit.balanceinquiry', MessageType.balanceInquiry),
];

/** The entry of a method that an authorization of zero means, too. */
export const plainAuthorization = methods[0]!;
