/** The people of a company, one by one. Only owners change owners, and the last active owner stays one. */

import { companyManagers, type Principal } from '../auth/principal.js';
import { requireVersion, sendVersion, versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { conflict, forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, closedChange, IdParams, Name, Role, Status, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import type { CompanyStore, MemberRow } from '../stores/companies.js';
import { awaitEffect, effectFields } from './change-answers.js';
import { Member, memberFields, showMember } from './member-schema.js';
import { checkMetadata, Metadata } from './metadata-schema.js';

const Change = closedChange(
  {
    name: Type.Optional(Name),
    role: Type.Optional(Role),
    status: Type.Optional(Status),
    metadata: Type.Optional(Metadata),
  },
  { title: 'MemberChange', examples: [{ role: 'admin' }] },
);
const ChangedMember = closed({ ...memberFields, ...effectFields }, { title: 'ChangedMember' });
const common = { url: '/api/users/:id', access: companyManagers, target: 'user', tag: 'companies' } as const;

export function userRoutes({ companies, access, feed, invalidations }: Services) {
  return [
    route({
      ...common,
      method: 'GET',
      operationId: 'getMember',
      summary: 'A user of the company',
      schemas: { params: IdParams, responses: { 200: Member } },
      handler: async ({ principal, params }, reply) => {
        const member = await memberOf(companies, principal, params.id);
        sendVersion(reply, member.version);
        return showMember(principal.companyPublicId!, member);
      },
    }),
    route({
      ...common,
      method: 'PATCH',
      operationId: 'changeMember',
      errors: [409],
      versioned: true,
      summary: 'Change name, role, status or metadata; a user who is not active is signed out, and their cards decline',
      schemas: { params: IdParams, body: Change, responses: { 200: ChangedMember, 202: ChangedMember } },
      handler: async (request, reply) => {
        const { principal, params, body } = request;
        if (body.name !== undefined) checkName('name', body.name);
        if (body.metadata !== undefined) checkMetadata(body.metadata);
        const expected = versionExpected(request);
        const before = await memberOf(companies, principal, params.id);
        // What is judged here is the version that is changed.
        if (expected !== null) requireVersion(expected, before.version);
        if ((before.role === 'owner' || body.role === 'owner') && principal.role !== 'owner') {
          throw forbidden('only an owner may make or change owners');
        }
        if (before.status === 'closed' && (body.status ?? 'closed') !== 'closed') {
          throw conflict('user_closed', 'a closed user stays closed: invite another address', { field: 'status' });
        }
        // Of two changes at once the second is refused, whether or not it named a version.
        const member = await companies.changeMember(principal, params.id, body, expected ?? before.version);
        if (member === null) throw await whyUnchanged(companies, principal, params.id, expected ?? before.version);
        access.forget(member.id);
        await invalidations.userChanged(member.id);
        const published = { number: member.id, version: member.version };
        const effect = await awaitEffect(feed, principal, reply, 'user', params.id, published);
        return { ...showMember(principal.companyPublicId!, member), ...effect };
      },
    }),
  ];
}

async function memberOf(companies: CompanyStore, principal: Principal, publicId: string): Promise<MemberRow> {
  const member = await companies.member(principal.companyId!, publicId);
  if (member === null) throw notFound('user');
  return member;
}

async function whyUnchanged(companies: CompanyStore, principal: Principal, publicId: string, expected: number) {
  const member = await memberOf(companies, principal, publicId);
  requireVersion(expected, member.version);
  return conflict('last_owner', 'a company keeps an active owner: make another one first');
}
