/** The user who asks. */
import { checkName } from '../http/fields.js';
import { anyCaller } from '../http/principal.js';
import { invalidToken } from '../http/problem.js';
import { route } from '../http/route.js';
import { closedChange, Name } from '../http/schemas.js';
import type { Services } from '../services.js';
import { showUser, User } from './user-schema.js';

const MyChange = closedChange({ name: Name }, { title: 'MyChange', examples: [{ name: 'Ada Byron' }] });

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
      summary: 'Change your name',
      schemas: { body: MyChange, responses: { 200: User } },
      handler: async ({ principal, body }) => {
        const user = await users.rename(principal, checkName('name', body.name));
        if (user === null) throw invalidToken();
        access.forget(user.id);
        await invalidations.userChanged(user.id);
        return showUser(user);
      },
    }),
  ];
}
