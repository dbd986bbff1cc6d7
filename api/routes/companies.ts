/** Companies and their people. Owners and admins run a company; members read its name. */
import { Cursor } from '../http/cursor.js';
import { sendVersion, versionChanged, versionExpected } from '../http/etag.js';
import { checkEmail, checkName } from '../http/fields.js';
import { operationOf } from '../http/idempotency.js';
import { companyManagers, type Principal } from '../http/principal.js';
import { conflict, forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  closedChange,
  Email,
  Id,
  IdParams,
  Name,
  page,
  pageQuery,
  Role,
  type Static,
  Timestamp,
  Type,
  Version,
} from '../http/schemas.js';
import { idOf } from '../ids.js';
import type { Services } from '../services.js';
import type { CompanyRow } from '../stores/companies.js';
import { NewPassword } from './auth.js';
import { Member, showMember } from './member-schema.js';

const Company = closed({ id: Id, name: Type.String(), version: Version, createdAt: Timestamp }, { title: 'Company' });
const CompanyChange = closedChange({ name: Name }, { title: 'CompanyChange' });
const NewMember = closed({ email: Email, name: Name, role: Role, password: NewPassword }, { title: 'NewMember' });
const order = new Cursor('company-users', 'integer');
const tag = 'companies';

export function companyRoutes({ companies, passwords }: Services) {
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
          companyId,
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
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Member) } },
      handler: async ({ principal, params, query }) => {
        const companyId = ownCompany(principal, params.id);
        const [afterId] = order.decode(query.cursor) ?? [0];
        const rows = await companies.members(companyId, afterId, query.limit);
        return order.page(
          rows,
          query.limit,
          ({ id }) => [id] as const,
          (row) => showMember(params.id, row),
        );
      },
    }),
    route({
      method: 'POST',
      url: '/api/companies/:id/users',
      access: companyManagers,
      target: 'company',
      tag,
      operationId: 'addMember',
      summary: 'Add somebody; only an owner may add owners',
      schemas: { params: IdParams, body: NewMember, responses: { 201: Member } },
      handler: async (request) => {
        const { principal, params, body } = request;
        const companyId = ownCompany(principal, params.id);
        if (body.role === 'owner' && principal.role !== 'owner') throw forbidden('only an owner may make owners');
        checkEmail('email', body.email);
        checkName('name', body.name);
        const { password, ...rest } = body;
        const publicId = idOf('usr', operationOf(request));
        const passwordHash = await passwords.hash(password);
        const member = await companies.addMember(companyId, { ...rest, publicId, passwordHash });
        if (member === null) throw conflict('email_taken', 'this e-mail address is registered', { field: 'email' });
        return showMember(params.id, member);
      },
    }),
  ];
}

/** The caller's company, when it is the one that the path names. */
function ownCompany(principal: Principal, publicId: string): number {
  if (principal.companyId === null || principal.companyPublicId !== publicId) throw notFound('company');
  return principal.companyId;
}

function showCompany({ publicId, name, version, createdAt }: CompanyRow): Static<typeof Company> {
  return { id: publicId, name, version, createdAt };
}
