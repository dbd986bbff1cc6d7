/**
 * Which customer asks, from an access token: the token's signature, then the user's status and role as the database had
 * them at most `statusMs` ago. This process forgets a user at once when it changes one itself.
 */
import { LRUCache } from 'lru-cache';
import { invalidToken } from '../http/problem.js';
import { principalOf, type UserRow, type UserStore } from '../stores/users.js';
import type { Principal } from './principal.js';
import type { AccessClaims, Tokens } from './tokens.js';

/** How long another process' change of a user may go unnoticed here: a blocked user is out within this. */
const statusMs = 5000;
/** Active users in memory. */
const usersMax = 20_000;
/** At a sign-out each second: more than a token lives. */
const endedMax = 20_000;

export class Access {
  readonly #tokens: Tokens;
  readonly #store: Pick<UserStore, 'byNumber'>;
  readonly #users: LRUCache<number, UserRow>;
  /** Lookups under way by user: one serves all requests that arrive meanwhile. Bounded by the requests that wait. */
  readonly #flights = new Map<number, Promise<UserRow | null>>();
  /** Sessions that ended here, for as long as an access token of them may live. Other processes learn it by that. */
  readonly #ended: LRUCache<number, true>;

  constructor(tokens: Tokens, users: Pick<UserStore, 'byNumber'>, accessTokenS: number) {
    this.#ended = new LRUCache({ max: endedMax, ttl: accessTokenS * 1000 });
    this.#tokens = tokens;
    this.#store = users;
    this.#users = new LRUCache<number, UserRow>({ max: usersMax, ttl: statusMs });
  }

  /** The customer of an access token. Throws a 401. */
  authenticate(token: string): Principal | Promise<Principal> {
    const claims = this.#tokens.verify(token);
    // The usual case, a token and a user that are both known, waits for nothing.
    if (claims instanceof Promise || claims === null) return this.#lookUp(claims);
    const user = this.#users.get(claims.userId);
    return user === undefined ? this.#lookUp(claims) : this.#permitted(user, claims.sessionId);
  }

  /** Whose token this is, by its signature alone; null: it is not one of ours, or it has lapsed. Reads nothing. */
  signedUser(token: string): number | null | Promise<number | null> {
    const claims = this.#tokens.verify(token);
    return claims instanceof Promise ? claims.then((signed) => signed?.userId ?? null) : (claims?.userId ?? null);
  }

  /** The customer as the database has them now, with the role that they have now. Throws a 401. */
  async confirm({ userId, sessionId }: Principal): Promise<Principal> {
    const user = await this.#store.byNumber(userId);
    if (user === null) throw invalidToken();
    return this.#permitted(user, sessionId);
  }

  /** A user was just read: spares the first request after a sign-in its lookup. */
  remember(user: UserRow): void {
    // A lookup that is still under way began earlier, so its result may be older.
    this.#flights.delete(user.id);
    this.#users.set(user.id, user);
  }

  /** Access tokens of this session are good no more. */
  endSession(sessionId: number): void {
    this.#ended.set(sessionId, true);
  }

  /** A user was changed here. */
  forget(userId: number): void {
    this.#flights.delete(userId);
    this.#users.delete(userId);
  }

  async #lookUp(verified: AccessClaims | null | Promise<AccessClaims | null>): Promise<Principal> {
    const claims = await verified;
    if (claims === null) throw invalidToken();
    const user = await (this.#flights.get(claims.userId) ?? this.#read(claims.userId));
    if (user === null) throw invalidToken();
    return this.#permitted(user, claims.sessionId);
  }

  /** Reads the user. The result is kept only if nothing replaced this lookup meanwhile. */
  #read(userId: number): Promise<UserRow | null> {
    const flight: Promise<UserRow | null> = this.#store.byNumber(userId).then(
      (user) => {
        if (this.#endFlight(userId, flight) && user !== null) this.#users.set(userId, user);
        return user;
      },
      (error: unknown) => {
        this.#endFlight(userId, flight);
        throw error;
      },
    );
    this.#flights.set(userId, flight);
    return flight;
  }

  /** @returns whether the lookup was still the newest one of its user */
  #endFlight(userId: number, flight: Promise<UserRow | null>): boolean {
    return this.#flights.get(userId) === flight && this.#flights.delete(userId);
  }

  #permitted(user: UserRow, sessionId: number): Principal {
    if (this.#ended.has(sessionId)) throw invalidToken('this session has ended: sign in again');
    if (user.status !== 'active') throw invalidToken('this user is not active');
    return principalOf(user, sessionId);
  }
}
