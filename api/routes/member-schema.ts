/** A user of a company, as the API shows them to its managers. */
import { closed, Id, Role, type Static, Status, Timestamp, Type, Version } from '../http/schemas.js';
import type { MemberRow } from '../stores/companies.js';
import { Metadata } from './metadata-schema.js';

export const memberFields = {
  id: Id,
  email: Type.String(),
  name: Type.String(),
  role: Role,
  status: Status,
  metadata: Metadata,
  companyId: Id,
  version: Version,
  createdAt: Timestamp,
};
export const Member = closed(memberFields, { title: 'Member' });

export function showMember(companyId: string, row: MemberRow): Static<typeof Member> {
  const { publicId, email, name, role, status, metadata, version, createdAt } = row;
  return { id: publicId, email, name, role, status, metadata, companyId, version, createdAt };
}
