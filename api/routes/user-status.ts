/** A customer's user whom an operator stops: signed out at once, and every card of theirs declines. */
import type { Acting, Operator } from '../auth/principal.js';
import { freezers } from '../auth/principal.js';
import { conflict, forbidden, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, Id, IdParams, oneOf, Status, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { awaitEffect, effectFields } from './change-answers.js';

const UserStatusChange = closed(
  { status: oneOf(['active', 'frozen']) },
  { title: 'UserStatusChange', examples: [{ status: 'frozen' }] },
);
const UserStatus = closed(
  { id: Id, status: Status, version: Type.Integer({ minimum: 1 }), ...effectFields },
  { title: 'UserStatus' },
);

export function userStatusRoutes({ users, access, feed, invalidations }: Services) {
  return [
    route({
      method: 'PUT',
      url: '/api/users/:id/status',
      access: freezers,
      target: 'user',
      tag: 'operators',
      operationId: 'setUserStatus',
      errors: [409],
      summary: 'Freeze any user, or let them in again; a frozen user is signed out, and their cards decline',
      description: 'Support may freeze; risk and admin also end it. A user who was closed stays closed.',
      schemas: { params: IdParams, body: UserStatusChange, responses: { 200: UserStatus, 202: UserStatus } },
      handler: async ({ actor, params, body }, reply) => {
        const operator = actor as Acting<Operator>;
        if (body.status === 'active' && operator.role === 'support') {
          throw forbidden('support may freeze a user; ask an operator of the role risk or admin to end it');
        }
        const user = await users.setStatus(operator, params.id, body.status);
        if (user === null) throw notFound('user');
        if (user.status !== body.status) {
          throw conflict('user_closed', 'a closed user stays closed: invite another address', { field: 'status' });
        }
        access.forget(user.id);
        await invalidations.userChanged(user.id);
        const published = { number: user.id, version: user.version };
        const effect = await awaitEffect(feed, actor, reply, 'user', params.id, published);
        return { id: params.id, status: user.status, version: user.version, ...effect };
      },
    }),
  ];
}
