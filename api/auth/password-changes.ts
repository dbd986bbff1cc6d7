/**
 * New passwords for users: changed with the old one, or reset with a one-time link. Each ends every session of the
 * user, also that of the request. A thief of the old password keeps no session, and the owner signs in with the new
 * one.
 */

import type { Log } from '../../platform/log.js';
import { invalid, Problem, unauthorized } from '../http/problem.js';
import type { Mailer } from '../mail/mailer.js';
import type { Mails } from '../mail/mails.js';
import { type ChangedPassword, type PasswordStore, resetMinutes } from '../stores/passwords.js';
import type { Device, SessionStore } from '../stores/sessions.js';
import type { UserStore } from '../stores/users.js';
import type { FailedSignIns } from './failed-sign-ins.js';
import type { SignInFailures } from './failures.js';
import { linkTokenHash, newLinkToken } from './one-time-tokens.js';
import { checkNewPassword } from './password-rules.js';
import type { Passwords } from './passwords.js';
import type { Acting, Principal } from './principal.js';
import type { SignIn } from './sign-in.js';

/**
 * Requests for links that are worked on behind their answers. Beyond it a request is dropped, which its answer does not
 * say.
 */
const requestsMax = 100;

export interface PasswordChangeParts {
  readonly store: PasswordStore;
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly failures: SignInFailures;
  readonly passwords: Passwords;
  readonly signIn: SignIn;
  readonly mailer: Mailer;
  readonly mails: Mails;
  readonly log: Log;
  /** Where tries are put on record. */
  readonly failed: Pick<FailedSignIns, 'note'>;
}

export class PasswordChanges {
  readonly #parts: PasswordChangeParts;
  readonly #requests = new Set<Promise<void>>();
  /** Read by the metrics. */
  dropped = 0;

  constructor(parts: PasswordChangeParts) {
    this.#parts = parts;
  }

  /** A wrong old password counts like a failed sign-in: a stolen session must not be a place to guess at. */
  async change(principal: Acting<Principal>, password: string, newPassword: string, device: Device): Promise<void> {
    const { store, sessions, failures, passwords, failed } = this.#parts;
    const owner = await store.owner(principal.userId);
    if (owner === null) throw unauthorized();
    const { email, passwordHash: stored } = owner;
    const isRight = await passwords.matches({
      account: email,
      network: device.network,
      stored,
      password,
      count: () => failures.guess(email, device.address, () => sessions.isKnownNetwork(email, device.network)),
    });
    if (!isRight) {
      const { publicId } = principal;
      const event = 'password_change_failed';
      await failed.note({
        kind: 'user',
        event,
        account: email,
        publicId,
        reason: 'wrong_password',
        device,
        by: principal,
      });
      throw new Problem(403, 'wrong_password', 'the password is wrong', { field: 'password' });
    }
    checkNewPassword('newPassword', newPassword, [email, owner.name]);
    if (newPassword.normalize('NFKC') === password.normalize('NFKC')) throw invalid('newPassword', 'is the old one');
    const changed = await store.change(principal, stored, await passwords.hash(newPassword));
    if (changed === null) throw unauthorized('the password was changed meanwhile: sign in again');
    await this.#changed(changed);
  }

  /**
   * Sends a link to the address if it has an active user. Everything that depends on the address happens behind the
   * answer, so neither the answer nor its time tells.
   */
  async request(email: string, device: Device): Promise<void> {
    await this.#parts.failures.resetRequest(device.address);
    await this.#parts.mailer.check();
    if (this.#requests.size >= requestsMax) {
      this.dropped++;
      return;
    }
    const request = this.#sendLink(email, device).finally(() => this.#requests.delete(request));
    this.#requests.add(request);
  }

  /** Uses a link. */
  async reset(token: string, newPassword: string, device: Device): Promise<void> {
    const { store, failures, passwords } = this.#parts;
    const attempt = await failures.link(device.address);
    const hash = linkTokenHash(token);
    const owner = await store.byLink(hash);
    if (owner === null) throw unknownLink();
    await attempt.right();
    checkNewPassword('newPassword', newPassword, [owner.email, owner.name]);
    const changed = await store.useLink(hash, await passwords.hash(newPassword), device);
    if (changed === null) throw unknownLink();
    await this.#changed(changed);
  }

  /** Waits for the links that are on their way to the mailer. */
  async stop(): Promise<void> {
    await Promise.all(this.#requests);
  }

  /** Never rejects. */
  async #sendLink(email: string, device: Device): Promise<void> {
    const { store, users, failures, mailer, mails, log, failed } = this.#parts;
    try {
      const { account, user } = await users.byEmail(email);
      const publicId = user?.publicId ?? null;
      const event = 'password_reset_requested';
      await failed.note({ kind: 'user', event, account, publicId, reason: 'accepted', device });
      if (!(await failures.mailTo(account))) return;
      const token = newLinkToken('afr');
      const address = await store.addLink(account, linkTokenHash(token));
      if (address !== null) mailer.send(mails.passwordReset(address, token, resetMinutes));
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'a link for a new password was not made');
    }
  }

  async #changed({ email, endedSessions }: ChangedPassword): Promise<void> {
    const { signIn, mailer, mails, log } = this.#parts;
    await signIn.sessionsEnded(endedSessions);
    try {
      await mailer.check();
      mailer.send(mails.passwordChanged(email));
    } catch (error) {
      // The change is made: a notice that cannot be sent must not deny it.
      log.debug({ error: (error as Error).message }, 'no notice of a changed password was sent');
    }
  }
}

function unknownLink(): Problem {
  return invalid('reset', 'is not good any more: ask for a new link');
}
