/** Operators for tests, signed in. */
import type { OperatorRole } from '../auth/principal.js';
import { addOperator } from '../stores/operators.js';
import type { TestApi } from './api-inside.js';
import { fresh } from './customer.js';

export interface TestOperator {
  readonly id: string;
  readonly number: number;
  readonly role: OperatorRole;
  readonly token: string;
}

export async function signedIn({ sql, api }: TestApi, role: OperatorRole): Promise<TestOperator> {
  const { operators } = api.services;
  const email = `${fresh(role)}@example.com`;
  await addOperator(sql, { email, name: role, role, passwordHash: 'none', totpSecret: null });
  const { operator } = await operators.byEmail(email);
  const { id: number, publicId: id } = operator!;
  const device = { address: '127.0.0.1', network: '127.0.0.1', userAgent: '', requestId: '' };
  return { id, number, role, token: await operators.open(number, device) };
}
