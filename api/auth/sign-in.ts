/** Signing people in and out: what the sign-in routes do, without their HTTP. */
import { conflict, forbidden, Problem } from '../http/problem.js';
import type { Log } from '../log.js';
import type { Registration, RegistrationStore } from '../stores/registration.js';
import type { SessionStore } from '../stores/sessions.js';
import type { UserRow, UserStore } from '../stores/users.js';
import type { Access } from './access.js';
import type { SignInFailures } from './failures.js';
import type { Passwords } from './passwords.js';
import type { Tokens } from './tokens.js';

export interface SignedIn {
  readonly token: string;
  readonly refreshToken: string;
  readonly user: UserRow;
}

/** Where the profile of a personal customer is kept, apart from the credentials. */
export interface PersonalProfiles {
  /** Makes sure that the profile of this user (public id) is there. */
  ensure(userId: string): Promise<void>;
}

export interface SignInParts {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly registrations: RegistrationStore;
  readonly passwords: Passwords;
  readonly failures: SignInFailures;
  readonly tokens: Tokens;
  readonly access: Access;
  readonly personal: PersonalProfiles | null;
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
    address: string,
  ): Promise<SignedIn> {
    const { registrations, passwords, failures } = this.#parts;
    await failures.checkRegistration(address);
    const { password, ...rest } = registration;
    const user = await registrations.register({ ...rest, passwordHash: await passwords.hash(password) });
    if (user === null) {
      await failures.registrationRefused(address);
      throw conflict('email_taken', 'this e-mail address is registered: sign in instead', { field: 'email' });
    }
    if (user.kind === 'personal') await this.#openProfile(user.publicId);
    return this.#open(user);
  }

  /** Throws 401 with the same words and after the same time, whether the address or the password is wrong. */
  async login(email: string, password: string, address: string): Promise<SignedIn> {
    const { users, passwords, failures } = this.#parts;
    const failedBefore = await failures.check(email, address);
    const user = await users.byEmail(email);
    if (!(await passwords.matches(user?.passwordHash ?? null, password)) || user === null) {
      await failures.failed(email, address);
      throw new Problem(401, 'invalid_credentials', 'the e-mail address or the password is wrong');
    }
    if (failedBefore) await failures.succeeded(email, address);
    if (user.status !== 'active') throw forbidden('this user is not active: ask your administrator or our support');
    const { passwordHash: _, ...row } = user;
    return this.#open(row);
  }

  /** Throws 401 when the token is not the newest of a living session. */
  async refresh(refreshToken: string): Promise<SignedIn> {
    const { sessions, tokens, access, log } = this.#parts;
    const refreshed = await sessions.refresh(refreshToken);
    if (refreshed.outcome === 'reused') {
      access.endSession(refreshed.sessionId);
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
  async logout(refreshToken: string): Promise<void> {
    const { sessions, access } = this.#parts;
    const sessionId = await sessions.end(refreshToken);
    if (sessionId !== null) access.endSession(sessionId);
  }

  /** The customer exists; a profile that cannot be kept now is made up for when they come back. */
  async #openProfile(userId: string): Promise<void> {
    try {
      await this.#parts.personal?.ensure(userId);
    } catch (error) {
      this.#parts.log.warn(
        { user: userId, error: (error as Error).message },
        'a profile is not in the personal store yet',
      );
    }
  }

  async #open(user: UserRow): Promise<SignedIn> {
    const { sessions, tokens, access } = this.#parts;
    const { sessionId, refreshToken } = await sessions.open(user.id);
    access.remember(user);
    return { token: await tokens.sign(user.id, sessionId), refreshToken, user };
  }
}
