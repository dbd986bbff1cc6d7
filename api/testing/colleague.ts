/** People of a company for tests that are not about invitations: as an accepted invitation leaves them. */
import type { Role } from '../auth/principal.js';
import type { TestApi } from './api-inside.js';
import { fresh } from './customer.js';

export interface Colleague {
  readonly id: number;
  readonly publicId: string;
  readonly email: string;
  readonly password: string;
}

/** @param companyId public id */
export async function addColleague({ api, sql }: TestApi, companyId: string, role: Role): Promise<Colleague> {
  const password = 'a-password-of-tests';
  const passwordHash = await api.services.passwords.hash(password);
  const publicId = fresh('usr');
  const email = `${publicId}@example.com`;
  const [row] = await sql<{ id: number }[]>`
    insert into users (public_id, company_id, role, email, name, kind, password_hash)
    select ${publicId}, id, ${role}, ${email}, 'Colleague', 'business', ${passwordHash}
    from companies where public_id = ${companyId}
    returning id::integer`;
  return { id: row!.id, publicId, email, password };
}
