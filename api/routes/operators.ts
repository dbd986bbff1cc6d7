/** Operators: the people who run the program, signing in and out. */
import { tokenOf } from '../auth/actors.js';
import { type Acting, type Operator, operatorRoles } from '../auth/principal.js';
import { route } from '../http/route.js';
import { closed, Email, Id, NoContent, oneOf, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { deviceOf } from './device.js';

export const OperatorBody = closed(
  {
    id: Id,
    email: Type.String(),
    name: Type.String(),
    role: oneOf(operatorRoles, { title: 'OperatorRole' }),
  },
  { title: 'Operator' },
);
export const OperatorCredentials = closed(
  {
    email: Email,
    password: Type.String({ minLength: 1, maxLength: 200 }),
    totp: Type.Optional(Type.String({ pattern: '^[0-9]{6}$', description: 'the code of this half minute' })),
  },
  { title: 'OperatorCredentials', examples: [{ email: 'operator@example.com', password: 'password123' }] },
);
const OperatorSignedIn = closed({ token: Type.String(), operator: OperatorBody }, { title: 'OperatorSignedIn' });
export const anyOperator = operatorRoles.map((role) => `operator:${role}` as const);

export function operatorRoutes({ operatorSignIn, operators }: Services) {
  return [
    route({
      method: 'POST',
      url: '/api/operators/login',
      access: 'public',
      tag: 'operators',
      operationId: 'signInOperator',
      errors: [401],
      summary: 'Sign in as an operator, with the code of an authenticator',
      schemas: {
        body: OperatorCredentials,
        responses: { 200: OperatorSignedIn },
      },
      handler: async (request) => {
        const { email, password, totp = null } = request.body;
        const { token, operator } = await operatorSignIn.login(email, password, totp, deviceOf(request));
        return { token, operator: showOperator(operator) };
      },
    }),
    route({
      method: 'POST',
      url: '/api/operators/logout',
      access: anyOperator,
      tag: 'operators',
      operationId: 'signOutOperator',
      summary: 'End the session of this request',
      schemas: { responses: { 204: NoContent } },
      handler: async ({ actor, headers }) => {
        await operators.end(actor as Acting<Operator>, tokenOf(headers.authorization));
        return null;
      },
    }),
    route({
      method: 'GET',
      url: '/api/operators/me',
      access: anyOperator,
      tag: 'operators',
      operationId: 'getOperator',
      summary: 'The operator who asks',
      unrecorded: true,
      schemas: { responses: { 200: OperatorBody } },
      handler: async ({ actor }) => showOperator(actor as Operator),
    }),
  ];
}

export function showOperator({ publicId, email, name, role }: Pick<Operator, 'publicId' | 'email' | 'name' | 'role'>) {
  return { id: publicId, email, name, role };
}
