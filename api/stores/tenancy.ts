/**
 * Whose rows a caller may see, as the conditions that every query carries. The owner key is the one of `accounts`: all
 * accounts of a company, or of a person, have the same.
 */
import type { Principal } from '../auth/principal.js';

export interface Scope {
  readonly ownerKey: number;
  /** Set for those who see only what is their own within the owner: members of a company. Number of the user. */
  readonly onlyUser: number | null;
}

export function scopeOf(principal: Principal): Scope {
  return {
    ownerKey: principal.companyId === null ? principal.userId * 2 : principal.companyId * 2 + 1,
    onlyUser: principal.role === 'member' ? principal.userId : null,
  };
}
