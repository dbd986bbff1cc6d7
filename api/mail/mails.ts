/**
 * The texts of our mails. Customers choose the names in them, so a name must not become a link. Subjects have no names,
 * and texts leave out the characters that make a web address.
 */
import type { Mail } from './mailer.js';

const product = 'Atlanticfrewaycard';
const nameLengthMax = 80;

export class Mails {
  readonly #publicUrl: string;

  /** @param publicUrl where people reach this API, without a slash at the end */
  constructor(publicUrl: string) {
    this.#publicUrl = publicUrl;
  }

  invitation(to: string, name: string, company: string, token: string, days: number): Mail {
    return {
      to,
      subject: `Your invitation to ${product}`,
      text: [
        `Hello ${plain(name)},`,
        `${plain(company)} invites you to ${product}. Choose a password within ${days} days:`,
        this.#link('accept', 'invitation', token),
        `If an app asks for your invitation, give it this: ${token}`,
        'If you do not know this company, do nothing: the invitation lapses by itself.',
      ].join('\n\n'),
    };
  }

  invitedUser(to: string, company: string): Mail {
    return {
      to,
      subject: `Your invitation to ${product}`,
      text: [
        `${plain(company)} invited this address to ${product}. It has a user already, and a user belongs to one ` +
          'customer.',
        'Sign in as before. To work for that company as well, have it invite another address of yours.',
      ].join('\n\n'),
    };
  }

  passwordReset(to: string, token: string, minutes: number): Mail {
    return {
      to,
      subject: `Your new ${product} password`,
      text: [
        `A new password was requested for this address. Choose it within ${minutes} minutes:`,
        this.#link('reset', 'reset', token),
        `If an app asks for your code, give it this: ${token}`,
        'If it was not you, do nothing: your password stays as it is.',
      ].join('\n\n'),
    };
  }

  passwordChanged(to: string): Mail {
    return {
      to,
      subject: `Your ${product} password was changed`,
      text:
        'Your password was changed, and every session has ended. If it was not you, ask for a new password at ' +
        'once.',
    };
  }

  /** The secret stands behind `#`: browsers send that part to no server, so no log and no referrer has it. */
  #link(page: string, field: string, token: string): string {
    return `${this.#publicUrl}/app/${page}#${field}=${token}`;
  }
}

function plain(name: string): string {
  return name
    .replace(/[:/\\@]+|(?<=\S)\.(?=\S)/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, nameLengthMax);
}
