/**
 * How people join a company. A manager names an address, the address gets a one-time link, and the reader of its mail
 * chooses the password. The inviter's answer is the same whatever address it is.
 */

import { conflict, forbidden, invalid, type Problem } from '../http/problem.js';
import { newId } from '../ids.js';
import type { Mailer } from '../mail/mailer.js';
import type { Mails } from '../mail/mails.js';
import { type InvitationStore, invitationDays, pendingMax } from '../stores/invitations.js';
import type { Device } from '../stores/sessions.js';
import type { SignInFailures } from './failures.js';
import { linkTokenHash, newLinkToken } from './one-time-tokens.js';
import { checkNewPassword } from './password-rules.js';
import type { Passwords } from './passwords.js';
import type { Acting, Principal, Role } from './principal.js';
import type { SignedIn, SignIn } from './sign-in.js';

export interface InvitationParts {
  readonly invitations: InvitationStore;
  readonly failures: SignInFailures;
  readonly passwords: Passwords;
  readonly signIn: SignIn;
  readonly mailer: Mailer;
  readonly mails: Mails;
}

export class Invitations {
  readonly #parts: InvitationParts;

  constructor(parts: InvitationParts) {
    this.#parts = parts;
  }

  /** Throws when the inviter may not, when too many were made, or when no mail can be sent: never for the address. */
  async invite(inviter: Acting<Principal>, person: { email: string; name: string; role: Role }): Promise<void> {
    const { invitations, failures, mailer, mails } = this.#parts;
    if (person.role === 'owner' && inviter.role !== 'owner') throw forbidden('only an owner may make owners');
    await failures.invitation(inviter.companyId!);
    await mailer.check();
    const token = newLinkToken('afi');
    const invited = await invitations.add(inviter, {
      ...person,
      publicId: newId('inv'),
      tokenHash: linkTokenHash(token),
    });
    if (invited === null) throw await this.#whyNot(inviter);
    const { account, company, hasUser } = invited;
    // Beyond its bound an address gets no more mail; the inviter must not learn how much it had from others.
    if (!(await failures.mailTo(account))) return;
    mailer.send(
      hasUser
        ? mails.invitedUser(account, company)
        : mails.invitation(account, person.name, company, token, invitationDays),
    );
  }

  /** Uses an invitation and signs its new user in. */
  async accept(token: string, password: string, device: Device): Promise<SignedIn> {
    const { invitations, failures, passwords, signIn } = this.#parts;
    const attempt = await failures.link(device.address);
    const hash = linkTokenHash(token);
    const invitation = await invitations.byToken(hash);
    if (invitation === null) throw unknownInvitation();
    await attempt.right();
    checkNewPassword('password', password, [invitation.email, invitation.name, invitation.company]);
    const passwordHash = await passwords.hash(password);
    const accepted = await invitations.accept(hash, newId('usr'), passwordHash, device);
    switch (accepted.outcome) {
      case 'accepted':
        return signIn.open(accepted.user, passwordHash, device);
      case 'taken':
        throw conflict('email_taken', 'this e-mail address has a user already: sign in instead');
      case 'full':
        throw this.#tooManyUsers();
      case 'unknown':
        throw unknownInvitation();
    }
  }

  async #whyNot({ companyId }: Principal): Promise<Problem> {
    const pending = await this.#parts.invitations.list(companyId!, Number.MAX_SAFE_INTEGER, pendingMax - 1);
    if (await this.#parts.invitations.isFull(companyId!)) return this.#tooManyUsers();
    if (pending.length < pendingMax) return forbidden();
    return conflict('too_many_invitations', `${pendingMax} invitations are open: withdraw some first`);
  }

  #tooManyUsers(): Problem {
    const { usersMax } = this.#parts.invitations;
    return conflict('too_many_users', `a company has ${usersMax} users at most, with those that are invited`);
  }
}

function unknownInvitation(): Problem {
  return invalid('invitation', 'is not good any more: ask the company for a new one');
}
