/**
 * Signing operators in: password, then a time-based code (RFC 6238, SHA-1, six digits, 30 seconds), which is good once.
 * The only importer of otpauth.
 */
import { Secret, TOTP } from 'otpauth';
import { Problem } from '../http/problem.js';
import type { OperatorCredentials, OperatorStore } from '../stores/operators.js';
import type { Device } from '../stores/sessions.js';
import type { FailedSignIns } from './failed-sign-ins.js';
import type { SignInFailures } from './failures.js';
import type { Passwords } from './passwords.js';

const issuer = 'Atlanticfrewaycard';
const periodS = 30;
/** A code of the step before or after is taken too: clocks differ. */
const stepsAround = 1;

export interface SignedInOperator {
  readonly token: string;
  readonly operator: OperatorCredentials;
}

export class OperatorSignIn {
  readonly #operators: OperatorStore;
  readonly #passwords: Passwords;
  readonly #failures: SignInFailures;
  readonly #failed: FailedSignIns;
  readonly #nowMs: () => number;

  constructor(
    operators: OperatorStore,
    passwords: Passwords,
    failures: SignInFailures,
    failed: FailedSignIns,
    nowMs = Date.now,
  ) {
    this.#operators = operators;
    this.#passwords = passwords;
    this.#failures = failures;
    this.#failed = failed;
    this.#nowMs = nowMs;
  }

  /**
   * Throws 401 with the same words, whether the address, the password or the code is wrong. A wrong code counts as a
   * failure like a wrong password.
   * @param code of the operator's authenticator; null: none was sent
   */
  async login(email: string, password: string, code: string | null, device: Device): Promise<SignedInOperator> {
    const { account, operator } = await this.#operators.byEmail(email);
    try {
      return await this.#login(account, operator, password, code, device);
    } catch (error) {
      if (error instanceof Problem && error.status < 500) {
        const publicId = operator?.publicId ?? null;
        await this.#failed.note({ kind: 'operator', account, publicId, reason: error.title, device });
      }
      throw error;
    }
  }

  async #login(
    account: string,
    operator: OperatorCredentials | null,
    password: string,
    code: string | null,
    device: Device,
  ): Promise<SignedInOperator> {
    // Operators and customers may have the same address, and are counted apart.
    const counted = `operator ${account}`;
    const isKnown = () => this.#operators.isKnownNetwork(account, device.network);
    const isRight = await this.#passwords.matches({
      account: counted,
      network: device.network,
      stored: operator?.passwordHash ?? null,
      password,
      count: () => this.#failures.guess(counted, device.address, isKnown),
    });
    if (!isRight || operator === null || operator.status !== 'active') throw wrong();
    if (operator.totpSecret !== null) {
      // Counted apart: the right password, sent again with every guess at a code, must not forgive those guesses.
      const guess = await this.#failures.guess(`code of ${counted}`, device.address, isKnown);
      if (!(await this.#isCode(operator.id, operator.totpSecret, code))) throw wrong();
      await guess.right();
    }
    return { token: await this.#operators.open(operator.id, device), operator };
  }

  async #isCode(operatorId: number, secret: string, code: string | null): Promise<boolean> {
    if (code === null) return false;
    const timestamp = this.#nowMs();
    const delta = totpOf(secret, '').validate({ token: code, timestamp, window: stepsAround });
    if (delta === null) return false;
    return this.#operators.takeStep(operatorId, Math.floor(timestamp / 1000 / periodS) + delta);
  }
}

function wrong(): Problem {
  return new Problem(401, 'invalid_credentials', 'the e-mail address, the password or the code is wrong');
}

/** A new secret, and the URI from which an authenticator takes it. */
export function newTotp(email: string): { readonly secret: string; readonly uri: string } {
  const { base32 } = new Secret({ size: 20 });
  return { secret: base32, uri: totpOf(base32, email).toString() };
}

/** The code of this instant. */
export function totpCode(secret: string, timestamp: number): string {
  return totpOf(secret, '').generate({ timestamp });
}

function totpOf(secret: string, label: string): TOTP {
  return new TOTP({ issuer, label, secret: Secret.fromBase32(secret), algorithm: 'SHA1', digits: 6, period: periodS });
}
