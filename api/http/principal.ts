/** Who asks: known from the access token, with status and role as the database has them. */

export type Kind = 'personal' | 'business';
export type Role = 'owner' | 'admin' | 'member';

export interface Principal {
  /** Number of the user in the database; never leaves the API. */
  readonly userId: number;
  readonly publicId: string;
  readonly kind: Kind;
  /** Null for personal users, as is the role. */
  readonly companyId: number | null;
  readonly companyPublicId: string | null;
  readonly role: Role | null;
  /** The sign-in that the token belongs to. */
  readonly sessionId: number;
}

/** What a route may require: a personal customer, or a role in a company. */
export type Caller = 'personal' | Role;

export function callerOf(principal: Principal): Caller {
  return principal.role ?? 'personal';
}

export const anyCaller: readonly Caller[] = ['personal', 'owner', 'admin', 'member'];
/** May see and move the money of their accounts. */
export const moneyCallers: readonly Caller[] = ['personal', 'owner', 'admin'];
/** May run a company. */
export const companyManagers: readonly Caller[] = ['owner', 'admin'];

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that is not public. */
    principal: Principal;
  }
}
