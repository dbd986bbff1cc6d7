/** `GET /api/me`: the user who asks. */
import { anyCaller } from '../http/principal.js';
import { invalidToken } from '../http/problem.js';
import { route } from '../http/route.js';
import type { Services } from '../services.js';
import { showUser, User } from './user-schema.js';

export function meRoutes({ users }: Services) {
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
  ];
}
