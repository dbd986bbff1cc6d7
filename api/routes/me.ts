/** The user who asks. */

import { anyCaller } from '../auth/principal.js';
import { checkName } from '../http/fields.js';
import { forbidden, invalidToken } from '../http/problem.js';
import { route } from '../http/route.js';
import { closedChange, Name, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { checkMetadata, Metadata } from './metadata-schema.js';
import { showUser, User } from './user-schema.js';

const MyChange = closedChange(
  { name: Type.Optional(Name), metadata: Type.Optional(Metadata) },
  { title: 'MyChange', examples: [{ name: 'Ada Byron' }] },
);

export function meRoutes({ users, access, invalidations }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/me',
      access: anyCaller,
      tag: 'sign-in',
      operationId: 'getMe',
      summary: 'The user who asks',
      schemas: { responses: { 200: User } },
      handler: async ({ principal }) => {
        const user = await users.byNumber(principal.userId);
        if (user === null) throw invalidToken();
        return showUser(user);
      },
    }),
    route({
      method: 'PATCH',
      url: '/api/me',
      access: anyCaller,
      tag: 'sign-in',
      operationId: 'changeMe',
      summary: 'Change your name or metadata; the metadata of people in a company are for its managers to change',
      schemas: { body: MyChange, responses: { 200: User } },
      handler: async ({ principal, body }) => {
        if (body.metadata !== undefined) {
          if (principal.kind !== 'personal') throw forbidden('managers of your company change metadata');
          checkMetadata(body.metadata);
        }
        if (body.name !== undefined) checkName('name', body.name);
        const user = await users.changeSelf(principal, body);
        if (user === null) throw invalidToken();
        access.forget(user.id);
        await invalidations.userChanged(user.id);
        return showUser(user);
      },
    }),
  ];
}
