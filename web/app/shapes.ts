/** What the app reads of the account API's answers: the names are those of /api/openapi.json. */
import type { RollingWindow } from '../kit/rolling.js';

export interface Image {
  readonly sources: readonly { readonly url: string; readonly type: string; readonly width: number }[];
}

export interface User {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly kind: 'personal' | 'business';
  readonly companyId?: string;
  readonly role?: 'owner' | 'admin' | 'member';
  readonly picture?: Image;
}

export interface Company {
  readonly id: string;
  readonly name: string;
  readonly logo?: Image;
}

export interface Account {
  readonly id: string;
  readonly currency: string;
  readonly status: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export const windowNames = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;
export type WindowName = (typeof windowNames)[number];
export const listNames = ['mcc', 'merchants', 'countries', 'channels', 'wallets'] as const;
export type ListName = (typeof listNames)[number];

interface Window {
  readonly amount?: number;
  readonly count?: number;
}

export type Limits = {
  readonly perAuthorization?: number;
  readonly verification?: Readonly<Record<string, string>>;
  readonly recurring?: 'allow' | 'block';
  readonly rolling?: readonly RollingWindow[];
} & {
  readonly [name in WindowName]?: Window;
} & { readonly [name in ListName]?: { readonly allow?: readonly string[]; readonly block?: readonly string[] } };

export interface ShownLimits {
  readonly limits: Limits;
  readonly used: Readonly<Record<WindowName, { amount: number; count: number; resetsAt: string | null }>> & {
    /** In the order of `limits.rolling`. */
    readonly rolling: readonly Required<RollingWindow>[];
  };
  readonly version: number;
}

export interface Card {
  readonly id: string;
  readonly token: string;
  readonly accountId: string;
  readonly userId: string;
  readonly name: string;
  readonly type: 'virtual' | 'physical' | 'single_use' | 'merchant_locked';
  readonly status: 'active' | 'frozen' | 'closed';
  readonly expires: string;
  readonly limits: Limits;
  readonly replacedBy?: string;
}

/** What a change of a card or its limits answers beside the object. */
export interface Effect {
  readonly effective: boolean;
  readonly engines: { readonly inForce: number; readonly of: number };
  readonly afterMs: number;
}

export interface Transaction {
  readonly id: string;
  readonly cardId: string;
  readonly accountId: string;
  readonly type: string;
  readonly status: 'pending' | 'completed' | 'reversed' | 'expired' | 'declined';
  readonly currency: string;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly heldAmount: number;
  readonly postedAmount: number;
  readonly refundedAmount: number;
  readonly reason: string;
  readonly detail?: string;
  readonly merchant: { readonly name: string | null; readonly mcc: string | null; readonly country: string | null };
  readonly createdAt: string;
}

export interface WholeTransaction extends Transaction {
  readonly events: readonly {
    readonly type: string;
    readonly amount: number | null;
    readonly approvedAmount: number;
    readonly approved: boolean;
    readonly reason: string;
    readonly at: string;
    readonly requestId: string;
  }[];
  readonly eventCount: number;
}

export interface Session {
  readonly id: string;
  readonly current: boolean;
  readonly device: string | null;
  readonly address: string | null;
  readonly lastSeenAt: string;
}

export interface List<T> {
  readonly data: readonly T[];
  readonly next: string | null;
}

export interface Spending {
  readonly data: readonly {
    readonly key: string;
    readonly amount: number;
    readonly count: number;
    readonly currency: string;
  }[];
}

/** The addresses that the home page reads: the service worker keeps their last answers (service-worker.ts). */
export const lastLists = {
  accounts: '/api/accounts?limit=20',
  cards: '/api/cards?limit=50',
  transactions: '/api/transactions?limit=30',
} as const;
