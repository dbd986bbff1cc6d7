/** Signing people in and out: what the sign-in routes do, without their HTTP. */

import type { Log } from '../../platform/log.js';
import { conflict, forbidden, Problem } from '../http/problem.js';
import type { Registration, RegistrationStore } from '../stores/registration.js';
import { type Device, type SessionRow, type SessionStore, visitorFrom } from '../stores/sessions.js';
import type { UserRow, UserStore, UserWithHash } from '../stores/users.js';
import type { Access } from './access.js';
import type { FailedSignIns } from './failed-sign-ins.js';
import type { SignInFailures } from './failures.js';
import { checkNewPassword } from './password-rules.js';
import type { Passwords } from './passwords.js';
import type { Acting, Operator, Principal } from './principal.js';
import type { Tokens } from './tokens.js';

export interface SignedIn {
  readonly token: string;
  readonly refreshToken: string;
  readonly user: UserRow;
}

/** Says to the other processes what ended here. */
export interface AccessAnnouncer {
  sessionEnded(sessionId: number): Promise<void>;
  sessionsEnded(sessionIds: readonly number[]): Promise<void>;
}

export interface SignInParts {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly registrations: RegistrationStore;
  readonly passwords: Passwords;
  readonly failures: SignInFailures;
  readonly failed: FailedSignIns;
  readonly tokens: Tokens;
  readonly access: Access;
  readonly announce: AccessAnnouncer;
  readonly log: Log;
}

export class SignIn {
  readonly #parts: SignInParts;

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  /** Throws 409 when the address is taken. The hash comes first, so that a taken one takes as long as a free one. */
  async register(
    registration: Omit<Registration, 'passwordHash'> & { readonly password: string },
    device: Device,
  ): Promise<SignedIn> {
    const { registrations, passwords, failures } = this.#parts;
    await failures.registration(device.address);
    const { password, ...rest } = registration;
    checkNewPassword('password', password, [rest.email, rest.name, rest.companyName ?? '']);
    const passwordHash = await passwords.hash(password);
    const user = await registrations.register(visitorFrom(device), { ...rest, passwordHash });
    if (user === null) {
      await failures.registrationTaken(device.address);
      throw conflict('email_taken', 'this e-mail address is registered: sign in instead', { field: 'email' });
    }
    return this.open(user, passwordHash, device);
  }

  /** Throws 401 with the same words and after the same time, whether the address or the password is wrong. */
  async login(email: string, password: string, device: Device): Promise<SignedIn> {
    const { users, failed } = this.#parts;
    const { account, user } = await users.byEmail(email);
    try {
      return await this.#login(account, user, password, device);
    } catch (error) {
      if (error instanceof Problem && error.status < 500) {
        const publicId = user?.publicId ?? null;
        await failed.note({ kind: 'user', account, publicId, reason: error.title, device });
      }
      throw error;
    }
  }

  async #login(account: string, user: UserWithHash | null, password: string, device: Device): Promise<SignedIn> {
    const { sessions, passwords, failures } = this.#parts;
    const isRight = await passwords.matches({
      account,
      network: device.network,
      stored: user?.passwordHash ?? null,
      password,
      count: () => failures.guess(account, device.address, () => sessions.isKnownNetwork(account, device.network)),
    });
    if (!isRight || user === null) throw wrong();
    if (user.status !== 'active') throw forbidden('this user is not active: ask your administrator or our support');
    const { passwordHash, ...row } = user;
    return this.open(row, passwordHash!, device);
  }

  /** Throws 401 when the token is neither the newest of a living session nor one within its grace. */
  async refresh(refreshToken: string, device: Device): Promise<SignedIn> {
    const { sessions, tokens, access, log } = this.#parts;
    const refreshed = await sessions.refresh(refreshToken, device);
    if (refreshed.outcome === 'reused') {
      await this.#endAccess(refreshed.sessionId);
      log.warn(
        { user: refreshed.userId, session: refreshed.sessionId },
        'an old refresh token came back: session ended',
      );
    }
    if (refreshed.outcome !== 'renewed' || refreshed.user.status !== 'active') {
      throw new Problem(401, 'invalid_refresh_token', 'this refresh token is no longer good: sign in again');
    }
    const { session, user } = refreshed;
    access.remember(user);
    return { token: await tokens.sign(user.id, session.sessionId), refreshToken: session.refreshToken, user };
  }

  /** Whatever the token is: afterwards it is no good. */
  async logout(refreshToken: string, device: Device): Promise<void> {
    const sessionId = await this.#parts.sessions.end(refreshToken, device);
    if (sessionId !== null) await this.#endAccess(sessionId);
  }

  /** Living sessions of a user, newest first: one more than `limit`. */
  sessions(userId: number, beforeId: number, limit: number): Promise<readonly SessionRow[]> {
    return this.#parts.sessions.list(userId, beforeId, limit);
  }

  /** Ends a session of this user, or of any for an operator. @returns false when there is no such living session */
  async endSession(actor: Acting<Principal> | Acting<Operator>, publicId: string): Promise<boolean> {
    const sessionId = await this.#parts.sessions.endOwn(actor, publicId);
    if (sessionId !== null) await this.#endAccess(sessionId);
    return sessionId !== null;
  }

  /** Sessions that a new password ended: their access tokens are good no more, here and at the other processes. */
  async sessionsEnded(sessionIds: readonly number[]): Promise<void> {
    for (const sessionId of sessionIds) this.#parts.access.endSession(sessionId);
    await this.#parts.announce.sessionsEnded(sessionIds);
  }

  /** Opens a session of a user whose password is right. Throws 401 when it was changed meanwhile. */
  async open(user: UserRow, passwordHash: string, device: Device): Promise<SignedIn> {
    const { sessions, tokens, access } = this.#parts;
    const session = await sessions.open(user.id, passwordHash, device);
    if (session === null) throw wrong();
    access.remember(user);
    return { token: await tokens.sign(user.id, session.sessionId), refreshToken: session.refreshToken, user };
  }

  /** The session's access tokens are good no more, here and at the other processes. */
  async #endAccess(sessionId: number): Promise<void> {
    this.#parts.access.endSession(sessionId);
    await this.#parts.announce.sessionEnded(sessionId);
  }
}

function wrong(): Problem {
  return new Problem(401, 'invalid_credentials', 'the e-mail address or the password is wrong');
}
