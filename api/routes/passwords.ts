/** Changing a password, and setting a new one where the old one is lost. */

import { anyCaller } from '../auth/principal.js';
import { checkEmail } from '../http/fields.js';
import { invalid } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, Email, NoContent, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { GivenPassword, NewPassword } from './auth.js';
import { deviceOf } from './device.js';
import { Pending } from './invitations.js';

const PasswordChange = closed(
  { password: GivenPassword, newPassword: NewPassword },
  {
    title: 'PasswordChange',
    examples: [{ password: 'password123', newPassword: 'a violet otter reads maps' }],
  },
);
const PasswordReset = closed(
  {
    email: Type.Optional(Email),
    reset: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'from the link' })),
    newPassword: Type.Optional(NewPassword),
  },
  { title: 'PasswordReset', examples: [{ email: 'test@example.com' }] },
);

export function passwordRoutes({ passwordChanges }: Services) {
  return [
    route({
      method: 'POST',
      url: '/api/auth/password',
      access: anyCaller,
      tag: 'sign-in',
      operationId: 'changePassword',
      summary: 'Change the password of the user who asks; every session ends, also this one',
      schemas: { body: PasswordChange, responses: { 204: NoContent } },
      // A repeat fails by itself, because the old password is right no more. Nothing is kept of a body with two
      // passwords.
      secret: true,
      handler: async (request) => {
        const { password, newPassword } = request.body;
        await passwordChanges.change(request.principal, password, newPassword, deviceOf(request));
        return null;
      },
    }),
    route({
      method: 'POST',
      url: '/api/auth/password/reset',
      access: 'public',
      tag: 'sign-in',
      operationId: 'resetPassword',
      summary: 'Ask for a link with `email`, always 202; then set the password with `reset` and `newPassword`',
      schemas: { body: PasswordReset, responses: { 202: Pending, 204: NoContent } },
      handler: async (request, reply) => {
        const { email, reset, newPassword } = request.body;
        if (email !== undefined) {
          if (reset !== undefined) throw invalid('reset', 'comes in a request of its own, without email');
          if (newPassword !== undefined) throw invalid('newPassword', 'comes in a request of its own, without email');
          await passwordChanges.request(checkEmail('email', email), deviceOf(request));
          return { status: 'pending' as const };
        }
        if (reset === undefined) throw invalid('email', 'is missing: give email, or reset and newPassword');
        if (newPassword === undefined) throw invalid('newPassword', 'is missing');
        await passwordChanges.reset(reset, newPassword, deviceOf(request));
        reply.code(204);
        return null;
      },
    }),
  ];
}
