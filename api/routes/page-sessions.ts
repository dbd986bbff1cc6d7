/**
 * Signing in and out of our own pages: the tokens go into cookies, and the answers carry none. With CONSOLE_HOST each
 * page's session is at its own address, and 404 at the other.
 */

import type { FastifyReply } from 'fastify';
import { tokenOf } from '../auth/actors.js';
import { appTokensOf, clearCookie, type PageName, setAppCookie, setConsoleCookie } from '../auth/page-sessions.js';
import type { Acting, Operator } from '../auth/principal.js';
import { Problem } from '../http/problem.js';
import { route } from '../http/route.js';
import { closed, NoContent, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { operatorSessionHours } from '../stores/operators.js';
import { Credentials } from './auth.js';
import { deviceOf } from './device.js';
import { anyOperator, OperatorBody, OperatorCredentials, showOperator } from './operators.js';
import { showUser, User } from './user-schema.js';

const Csrf = Type.String({ description: 'send it back as `x-csrf-token` with each write' });
const ConsoleSession = closed({ operator: OperatorBody, csrf: Csrf }, { title: 'ConsoleSession' });
const AppSession = closed({ user: User, csrf: Csrf }, { title: 'AppSession' });
const daySeconds = 86_400;

export function pageSessionRoutes(services: Services) {
  return [...consoleRoutes(services), ...appRoutes(services)];
}

function consoleRoutes({ actors, operatorSignIn, operators, pageSessions }: Services) {
  const common = { url: '/api/console/session', tag: 'operators' } as const;
  return [
    route({
      ...common,
      method: 'POST',
      access: 'public',
      operationId: 'openConsole',
      errors: [401, 404],
      summary: 'Sign in to the console: the session is kept in a cookie',
      schemas: { body: OperatorCredentials, responses: { 200: ConsoleSession } },
      handler: async (request, reply) => {
        const { email, password, totp = null } = request.body;
        const { token, operator } = await operatorSignIn.login(email, password, totp, deviceOf(request));
        setConsoleCookie(reply, token, operatorSessionHours * 3600);
        return { operator: showOperator(operator), csrf: pageSessions.csrfOf(token) };
      },
    }),
    route({
      ...common,
      method: 'GET',
      access: 'public',
      operationId: 'getConsoleSession',
      errors: [403, 404],
      summary: 'The operator of the cookie; 204 when there is no living session',
      schemas: { responses: { 200: ConsoleSession, 204: NoContent } },
      handler: async (request, reply) => {
        pageSessions.guard(request);
        const token = request.pageToken;
        if (token === null) return signedOut(reply);
        const operator = await unless401(async () => actors.authenticate(`Bearer ${token}`));
        if (operator?.kind !== 'operator') return signedOut(reply, 'console');
        reply.header('cache-control', 'no-store');
        return { operator: showOperator(operator), csrf: pageSessions.csrfOf(token) };
      },
    }),
    route({
      ...common,
      method: 'DELETE',
      access: anyOperator,
      operationId: 'closeConsole',
      errors: [404],
      summary: 'End the session of the cookie',
      schemas: { responses: { 204: NoContent } },
      handler: async ({ actor, headers }, reply) => {
        await operators.end(actor as Acting<Operator>, tokenOf(headers.authorization));
        clearCookie(reply, 'console');
        return null;
      },
    }),
  ];
}

function appRoutes({ access, config, pageSessions, signIn, users }: Services) {
  // Public: the cookie's access token may have lapsed, and its refresh token then gives the next one.
  const common = { url: '/api/app/session', access: 'public', tag: 'sign-in' } as const;
  const cookieAgeS = config.refreshTokenDays * daySeconds;
  return [
    route({
      ...common,
      method: 'POST',
      operationId: 'openApp',
      errors: [401, 403, 404],
      summary: 'Sign in to the app: the session is kept in a cookie',
      schemas: { body: Credentials, responses: { 200: AppSession } },
      handler: async (request, reply) => {
        const { email, password } = request.body;
        const { user, ...tokens } = await signIn.login(email, password, deviceOf(request));
        setAppCookie(reply, tokens, cookieAgeS);
        return { user: showUser(user), csrf: pageSessions.csrfOf(tokens.token) };
      },
    }),
    route({
      ...common,
      method: 'GET',
      operationId: 'getAppSession',
      errors: [403, 404],
      summary: 'The user of the cookie, with new tokens in it when they lapsed; 204 when there is no living session',
      schemas: { responses: { 200: AppSession, 204: NoContent } },
      handler: async (request, reply) => {
        pageSessions.guard(request);
        const tokens = appTokensOf(request);
        if (tokens === null) return signedOut(reply);
        const { token, refreshToken } = tokens;
        const principal = await unless401(async () => access.authenticate(token));
        const user = principal === null ? null : await users.byNumber(principal.userId);
        if (user !== null) {
          reply.header('cache-control', 'no-store');
          return { user: showUser(user), csrf: pageSessions.csrfOf(token) };
        }
        const renewed = await unless401(() => signIn.refresh(refreshToken, deviceOf(request)));
        if (renewed === null) return signedOut(reply, 'app');
        setAppCookie(reply, renewed, cookieAgeS);
        return { user: showUser(renewed.user), csrf: pageSessions.csrfOf(renewed.token) };
      },
    }),
    route({
      ...common,
      method: 'DELETE',
      operationId: 'closeApp',
      errors: [403, 404],
      summary: 'End the session of the cookie',
      schemas: { responses: { 204: NoContent } },
      handler: async (request, reply) => {
        pageSessions.guard(request);
        const tokens = appTokensOf(request);
        if (tokens === null) return null;
        await signIn.logout(tokens.refreshToken, deviceOf(request));
        clearCookie(reply, 'app');
        return null;
      },
    }),
  ];
}

/**
 * Not a 401, which a browser would write into its console as an error: a person who is signed out is none.
 * @param page whose cookie the request came with, which is of no use any more. Undefined: it came with none of ours. A
 *   link on another site leads here so, and must not sign a person out.
 */
function signedOut(reply: FastifyReply, page?: PageName): null {
  if (page !== undefined) clearCookie(reply, page);
  reply.code(204);
  return null;
}

async function unless401<T>(attempt: () => Promise<T>): Promise<T | null> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}
