/** Inviting people to a company, and joining it. */

import { companyManagers } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { checkEmail, checkName } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  Email,
  Id,
  IdParams,
  Name,
  NoContent,
  oneOf,
  page,
  pageQuery,
  Role,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { InvitationRow } from '../stores/invitations.js';
import { NewPassword, SignInAnswer, showSignedIn } from './auth.js';
import { ownCompany } from './companies.js';
import { deviceOf } from './device.js';

const Invitation = closed(
  { id: Id, email: Type.String(), name: Type.String(), role: Role, createdAt: Timestamp, expiresAt: Timestamp },
  { title: 'Invitation' },
);
const NewInvitation = closed(
  { email: Email, name: Name, role: Role },
  {
    title: 'NewInvitation',
    examples: [{ email: 'grace@example.com', name: 'Grace Hopper', role: 'member' }],
  },
);
const Acceptance = closed(
  { invitation: Type.String({ minLength: 1, maxLength: 200, description: 'from the link' }), password: NewPassword },
  { title: 'Acceptance' },
);
/** The same for every address. */
export const Pending = closed({ status: oneOf(['pending']) }, { title: 'Pending' });
const order = new Cursor('invitations', 'integer');

export function invitationRoutes({ invitations, invitationStore }: Services) {
  return [
    route({
      method: 'POST',
      url: '/api/companies/:id/invitations',
      access: companyManagers,
      target: 'company',
      tag: 'companies',
      operationId: 'invite',
      summary: 'Invite someone by e-mail; the answer does not depend on the address. Only an owner may invite owners',
      schemas: {
        params: IdParams,
        body: NewInvitation,
        responses: { 202: Pending },
      },
      handler: async ({ principal, params, body }) => {
        ownCompany(principal, params.id);
        checkEmail('email', body.email);
        checkName('name', body.name);
        await invitations.invite(principal, body);
        return { status: 'pending' as const };
      },
    }),
    route({
      method: 'GET',
      url: '/api/companies/:id/invitations',
      access: companyManagers,
      target: 'company',
      tag: 'companies',
      operationId: 'listInvitations',
      summary: 'Invitations that are not accepted yet, newest first',
      schemas: { params: IdParams, query: pageQuery({}), responses: { 200: page(Invitation) } },
      // An acceptance is no write of this tenant, so nothing else would end a kept answer.
      cached: false,
      handler: async ({ principal, params, query }) => {
        const companyId = ownCompany(principal, params.id);
        const [beforeId] = order.decode(query.cursor) ?? [Number.MAX_SAFE_INTEGER];
        const rows = await invitationStore.list(companyId, beforeId, query.limit);
        return order.page(rows, query.limit, ({ id }) => [id] as const, showInvitation);
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/invitations/:id',
      access: companyManagers,
      target: 'invitation',
      tag: 'companies',
      operationId: 'withdrawInvitation',
      summary: 'Withdraw an invitation: its link is good no more',
      schemas: { params: IdParams, responses: { 204: NoContent } },
      handler: async ({ principal, params }) => {
        if (!(await invitationStore.withdraw(principal, params.id))) throw notFound('invitation');
        return null;
      },
    }),
    route({
      method: 'POST',
      url: '/api/auth/accept',
      access: 'public',
      tag: 'sign-in',
      operationId: 'acceptInvitation',
      errors: [401, 409],
      summary: 'Accept an invitation with a password, and sign in',
      schemas: {
        body: Acceptance,
        responses: { 200: SignInAnswer },
      },
      handler: async (request) => {
        const { invitation, password } = request.body;
        return showSignedIn(await invitations.accept(invitation, password, deviceOf(request)));
      },
    }),
  ];
}

function showInvitation(row: InvitationRow): Static<typeof Invitation> {
  const { publicId, email, name, role, createdAt, expiresAt } = row;
  return { id: publicId, email, name, role, createdAt, expiresAt };
}
