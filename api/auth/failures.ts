/**
 * Failed sign-ins, counted in windows for an account from one network, for an account from everywhere, and for a
 * network. A guess is counted before its password is hashed, so that parallel guesses count too. Its count is
 * subtracted again when the password is right or was never compared. Beyond the bound of a window, guesses are refused
 * unread until it ends.
 *
 * One network reaches its own bound long before the account's, so one guesser locks out only itself. When many networks
 * together reach the account's bound, networks from which the owner has signed in before still get in.
 * An e-mail address without an account is counted like any other, so that a refusal tells nothing.
 */
import { createHash } from 'node:crypto';
import { maskPansInText } from '../../platform/masking/redact.js';
import { Problem } from '../http/problem.js';
import { networkOf, wideNetworkOf } from './networks.js';

export interface WindowCount {
  readonly value: number;
  /** Seconds until the window ends. */
  readonly leftS: number;
}

export interface FailureCounter {
  /** Counts one for each key. A key's window starts with its first count. @returns the counts with this one, by key */
  add(keys: readonly string[]): Promise<readonly WindowCount[]>;
  /** Takes back one count of each key. */
  takeBack(keys: readonly string[]): Promise<void>;
  clear(key: string): Promise<void>;
}

export const windowS = 15 * 60;
/** One person who mistypes, from one network. */
export const pairMax = 10;
/** Many networks that guess one person's password. */
export const accountMax = 100;
/**
 * One network that guesses many people's passwords. Guesses under way count as well, and up to 160 wait for a hash
 * (passwords.ts). The bound leaves an office with one address 140 typing errors.
 */
export const networkMax = 300;
/** One network that asks which e-mail addresses are registered. */
export const takenMax = 30;
/** Invitations of one company. */
export const invitationsMax = 60;
/** Mails with links to one address, whichever company or network asks for them. */
export const mailsMax = 5;
/** One network that asks for new passwords. */
export const resetsMax = 30;
/** One network that tries one-time links. */
export const linksMax = 30;
/** Registrations from a /24 (IPv4) or /48 (IPv6), as a multiple of what one network may make. */
const wideFactor = 3;

/** One guess at a password, counted. */
export interface Guess {
  /** The password was right: forgives the network's earlier errors at this account, not its guesses at others. */
  right(): Promise<void>;
  /** The password was not looked at. */
  unread(): Promise<void>;
}

export class SignInFailures {
  readonly #counter: FailureCounter;
  readonly #registrationsMax: number;
  /** Tries refused unread; read by the metrics. */
  refused = 0;

  /** @param registrationsMax how many customers one network may register in a window */
  constructor(counter: FailureCounter, registrationsMax: number) {
    this.#counter = counter;
    this.#registrationsMax = registrationsMax;
  }

  /**
   * Counts a guess at an account. Throws 429 beyond a bound; a refused guess is not counted.
   * @param account the e-mail address as the database folds it
   * @param isKnownNetwork whether the account's owner has signed in from this network before
   */
  async guess(account: string, address: string, isKnownNetwork: () => Promise<boolean>): Promise<Guess> {
    const { pair, everywhere, network } = keysOf(account, address);
    const [ofPair, ofNetwork] = await this.#counter.add([pair, network]);
    const full = [
      { count: ofPair!, max: pairMax },
      { count: ofNetwork!, max: networkMax },
    ].filter(({ count, max }) => count.value > max);
    if (full.length > 0) {
      await this.#counter.takeBack([pair, network]);
      this.#refuse(Math.max(...full.map(({ count }) => count.leftS)));
    }
    // Behind the network's own bound: one guesser must not use up what the account has for everyone.
    const [ofAccount] = await this.#counter.add([everywhere]);
    if (ofAccount!.value > accountMax && !(await isKnownNetwork())) {
      await this.#counter.takeBack([pair, network, everywhere]);
      this.#refuse(ofAccount!.leftS);
    }
    return {
      right: async () => {
        await this.#counter.takeBack([network, everywhere]);
        await this.#counter.clear(pair);
      },
      unread: () => this.#counter.takeBack([pair, network, everywhere]),
    };
  }

  /** Counts a registration. Throws 429 when too many came from this network, or from those around it. */
  async registration(address: string): Promise<void> {
    const keys = [`r:${networkOf(address)}`, `w:${wideNetworkOf(address)}`];
    const [near, wide] = await this.#counter.add(keys);
    if (near!.value > this.#registrationsMax) this.#refuse(near!.leftS);
    if (wide!.value > this.#registrationsMax * wideFactor) this.#refuse(wide!.leftS);
  }

  /** A registration met a taken e-mail address, which its answer must say. Throws 429 when too many did. */
  async registrationTaken(address: string): Promise<void> {
    const [taken] = await this.#counter.add([`t:${networkOf(address)}`]);
    if (taken!.value > takenMax) this.#refuse(taken!.leftS);
  }

  /** Counts an invitation of a company. Throws 429 beyond its bound. */
  async invitation(companyId: number): Promise<void> {
    const [count] = await this.#counter.add([`i:${companyId}`]);
    if (count!.value > invitationsMax) this.#refuse(count!.leftS);
  }

  /** Counts a request for a new password. Throws 429 when too many came from this network, or from those around it. */
  async resetRequest(address: string): Promise<void> {
    const [near, wide] = await this.#counter.add([`n:${networkOf(address)}`, `x:${wideNetworkOf(address)}`]);
    if (near!.value > resetsMax) this.#refuse(near!.leftS);
    if (wide!.value > resetsMax * wideFactor) this.#refuse(wide!.leftS);
  }

  /** Counts a mail with a link. @returns false when the address has had enough: the caller must answer all the same */
  async mailTo(account: string): Promise<boolean> {
    const [count] = await this.#counter.add([`m:${digestOf(account)}`]);
    return count!.value <= mailsMax;
  }

  /** Counts a try at a one-time link. Throws 429 when too many from this network found none. */
  async link(address: string): Promise<Pick<Guess, 'right'>> {
    const key = `l:${networkOf(address)}`;
    const [count] = await this.#counter.add([key]);
    if (count!.value > linksMax) this.#refuse(count!.leftS);
    return { right: () => this.#counter.takeBack([key]) };
  }

  #refuse(leftS: number): never {
    this.refused++;
    throw new Problem(429, 'too_many_failures', 'too many failed tries; wait before trying again', {
      headers: { 'retry-after': String(Math.max(1, Math.ceil(leftS))) },
    });
  }
}

/** E-mail addresses are people's: what is kept elsewhere, for long, holds only a digest. */
function digestOf(account: string): string {
  return createHash('sha256').update(maskPansInText(account)).digest('base64url').slice(0, 22);
}

function keysOf(account: string, address: string) {
  const digest = digestOf(account);
  const network = networkOf(address);
  return { pair: `p:${digest}:${network}`, everywhere: `u:${digest}`, network: `a:${network}` };
}
