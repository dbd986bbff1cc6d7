/** Companies and their people. Owners and admins run a company; members read its name. */

import { companyManagers, type Principal } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { sendVersion, versionChanged, versionExpected } from '../http/etag.js';
import { checkName } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  closedChange,
  Id,
  IdParams,
  Name,
  Part,
  page,
  pageQuery,
  Role,
  type Static,
  Status,
  Timestamp,
  Type,
  Version,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { CompanyRow } from '../stores/companies.js';
import { Image, showImage } from './image-schema.js';
import { Member, showMember } from './member-schema.js';

const Company = closed(
  { id: Id, name: Type.String(), version: Version, createdAt: Timestamp, logo: Type.Optional(Image) },
  { title: 'Company' },
);
const CompanyChange = closedChange(
  { name: Name },
  { title: 'CompanyChange', examples: [{ name: 'Lovelace Engines' }] },
);
const memberFilters = {
  role: Type.Optional(Role),
  status: Type.Optional(Status),
  name: Type.Optional(Type.String({ ...Part, description: 'a part of the name, in any case' })),
  email: Type.Optional(Type.String({ ...Part, description: 'a part of the e-mail address, in any case' })),
};
const order = new Cursor('company-users', 'integer');
const tag = 'companies';

export function companyRoutes({ companies }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/companies/:id',
      access: ['owner', 'admin', 'member'],
      target: 'company',
      tag,
      operationId: 'getCompany',
      summary: 'A company',
      schemas: { params: IdParams, responses: { 200: Company } },
      handler: async ({ principal, params }, reply) => {
        const company = await companies.company(ownCompany(principal, params.id));
        sendVersion(reply, company.version);
        return showCompany(company);
      },
    }),
    route({
      method: 'PATCH',
      url: '/api/companies/:id',
      access: companyManagers,
      target: 'company',
      tag,
      operationId: 'changeCompany',
      versioned: true,
      summary: 'Rename a company; If-Match guards against lost updates',
      schemas: { params: IdParams, body: CompanyChange, responses: { 200: Company } },
      handler: async (request, reply) => {
        const companyId = ownCompany(request.principal, request.params.id);
        const company = await companies.rename(
          request.principal,
          checkName('name', request.body.name),
          versionExpected(request),
        );
        if (company === null) throw versionChanged((await companies.company(companyId)).version);
        sendVersion(reply, company.version);
        return showCompany(company);
      },
    }),
    route({
      method: 'GET',
      url: '/api/companies/:id/users',
      access: companyManagers,
      target: 'company',
      tag,
      operationId: 'listMembers',
      summary: 'The people of a company, in the order they joined',
      description:
        'With a filter, a page may have fewer people than `limit`, even none, while `next` is not null: go on until ' +
        'it is.',
      schemas: { params: IdParams, query: pageQuery(memberFilters), responses: { 200: page(Member) } },
      handler: async ({ principal, params, query }) => {
        const companyId = ownCompany(principal, params.id);
        const { limit, cursor, ...filter } = query;
        const [afterId] = order.decode(cursor) ?? [0];
        const { members, next } = await companies.members(companyId, afterId, limit, filter);
        return {
          data: members.map((row) => showMember(params.id, row)),
          next: next === null ? null : order.encode([next]),
        };
      },
    }),
  ];
}

/** The caller's company, when it is the one that the path names. */
export function ownCompany(principal: Principal, publicId: string): number {
  if (principal.companyId === null || principal.companyPublicId !== publicId) throw notFound('company');
  return principal.companyId;
}

function showCompany({ publicId, name, version, createdAt, logo }: CompanyRow): Static<typeof Company> {
  return { id: publicId, name, version, createdAt, ...(logo === null ? {} : { logo: showImage(logo) }) };
}
