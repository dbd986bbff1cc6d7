/** Who asks: known from the Authorization header, with status and role as the database has them. */

export type Kind = 'personal' | 'business';
export type Role = 'owner' | 'admin' | 'member';
/** Whether the identity of a customer was checked. */
export const kycStatuses = ['pending', 'verified', 'rejected'] as const;
export type KycStatus = (typeof kycStatuses)[number];

/** A customer's user: a person, or someone who works for a company. */
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

export const operatorRoles = ['viewer', 'support', 'risk', 'admin'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

/** A person who runs the program. */
export interface Operator {
  readonly kind: 'operator';
  /** Number in the database; never leaves the API. */
  readonly operatorId: number;
  readonly publicId: string;
  readonly email: string;
  readonly name: string;
  readonly role: OperatorRole;
  readonly sessionId: number;
}

export const keyScopes = ['funding:write', 'customers:write'] as const;
export type KeyScope = (typeof keyScopes)[number];

/** A program of the program's own. */
export interface ApiKey {
  readonly kind: 'key';
  readonly keyId: number;
  readonly publicId: string;
  readonly scopes: readonly KeyScope[];
}

export type Actor = Principal | Operator | ApiKey;

/** An operator who acts on what belongs to one customer: their owner key, as `accounts` has it. */
export type OperatorOn = Operator & { readonly ownerKey: number };
/** Who may see or change something of a customer's. */
export type Keeper = Principal | OperatorOn;

export function isCustomer<T extends Actor>(actor: T): actor is Extract<T, { readonly userId: number }> {
  return actor.kind !== 'operator' && actor.kind !== 'key';
}

/** Where a request comes from, and what its route let it in as. */
export interface Origin {
  readonly address: string;
  readonly requestId: string;
  /** What the actor was judged as: a writing statement is refused when the actor is none of these any more. */
  readonly callers: readonly Caller[];
}

/** An actor in a request. */
export type Acting<T extends Actor = Actor> = T extends Actor ? T & { readonly origin: Origin } : never;

/** What a route may require: a personal customer, a role in a company, an operator's role, or a scope of an API key. */
export type CustomerCaller = 'personal' | Role;
export type Caller = CustomerCaller | `operator:${OperatorRole}` | `key:${KeyScope}`;

/** Everything that the actor may call as. */
export function callersOf(actor: Actor): readonly Caller[] {
  switch (actor.kind) {
    case 'operator':
      return [`operator:${actor.role}`];
    case 'key':
      return actor.scopes.map((scope): Caller => `key:${scope}`);
    default:
      return [actor.role ?? 'personal'];
  }
}

export const anyCaller: readonly Caller[] = ['personal', 'owner', 'admin', 'member'];
/** May see and move the money of their accounts. */
export const moneyCallers: readonly Caller[] = ['personal', 'owner', 'admin'];
/** Operators who may freeze a card; and those who may do all that its owner may. */
export const freezers: readonly Caller[] = ['operator:support', 'operator:risk', 'operator:admin'];
export const riskCallers: readonly Caller[] = ['operator:risk', 'operator:admin'];
/** May run a company. */
export const companyManagers: readonly Caller[] = ['owner', 'admin'];
/** May put money into accounts and take it out, whosever they are. */
export const fundingCallers: readonly Caller[] = ['operator:admin', 'key:funding:write'];
/** May say whose identity was checked. */
export const customerManagers: readonly Caller[] = [
  'operator:support',
  'operator:risk',
  'operator:admin',
  'key:customers:write',
];

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that is not public. */
    actor: Acting;
    /** The actor, where the route lets in no other than customers. */
    principal: Acting<Principal>;
  }
}
