/** Where the OpenAPI document is served, and the page to read and try it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { problemsPath } from '../../platform/problems/problem-codes.js';
import { apiVersion } from './api-version.js';
import { openApiOf } from './openapi.js';
import { registerProblemPages } from './problem-pages.js';
import type { Route } from './route.js';

const title = 'Atlanticfrewaycard account API';

const description = `## Sign in

\`POST /api/auth/login\` with \`{ "email", "password" }\` answers \`{ token, refreshToken,
user }\`. Send the token with every
other request: \`Authorization: Bearer <token>\` (on this page: **Authorize**). Access tokens live minutes;
trade the refresh
token for new ones at \`POST /api/auth/refresh\`. A refresh token is good once, and for ten seconds more leads to the
newest one; after that an old one that comes back ends the session. A session ends after 90 days, however often it is
refreshed. A missing token is answered with \`unauthorized\`, one that has expired with \`invalid_token\`.

## Version

Every answer names the version of the API in \`Api-Version\`,
a date. Send the one that you were built for with each request: a
server that does not have it answers 400 instead of something that you do not expect. Additions (a field, a route,
a value of
an enumeration that grows) come without a new version; a new date comes with everything else.

## Values

Amounts are integers in minor units (1250 is 12.50 USD). Times are RFC 3339; answers have them in UTC. Where a time is
asked for, a date alone means the start of that day in UTC; as \`to\` of a list
or report it includes that day. Ids are opaque.
A field that is not listed is refused.

## Errors

Errors are \`application/problem+json\` (RFC 9457): \`title\` is a code for programs, \`type\` leads to
[what it means](${problemsPath}), \`requestId\` names the request, and \`errors\` has every field at fault.

## Limits

A person sends 600 requests a minute and an API key 6,000,
unless this program has set others. Answers to a caller say in
\`RateLimit-Limit\`, \`RateLimit-Remaining\` and \`RateLimit-Reset\` (seconds) what is left. Beyond the limit,
and while too many
requests of one company or person are under way, the answer is 429 with \`Retry-After\`.

## Repeat and change safely

Send \`Idempotency-Key\` with a POST. The same key gets the same answer, byte for byte, for a day;
with another body it is
refused (409). Sign-in routes take the header and do not use it,
since their answers carry tokens. Objects carry a version
as \`ETag\`. Send it as \`If-Match\`; when the object has changed since, the answer is 412.

## Lists

Lists answer \`{ data, next }\`;
pass \`next\` as \`cursor\` for the next page. Every GET carries an \`ETag\`: send it as
\`If-None-Match\` and an unchanged answer costs 304.
\`Cache-Control: no-cache\` asks for an answer that is not a moment old.`;

const tags = [
  { name: 'sign-in', description: 'Tokens, and the sessions they belong to' },
  { name: 'companies', description: 'Companies and the people who work for them' },
  { name: 'accounts', description: 'Accounts and the money in them' },
  { name: 'cards', description: 'Cards of these accounts' },
  { name: 'limits', description: 'What may be spent, and what has been' },
  { name: 'transactions', description: 'What was paid' },
  { name: 'images', description: 'Pictures of people and logos of companies' },
  { name: 'operators', description: 'For the people who run the program' },
  { name: 'operations', description: 'For the machines that run the API' },
] as const;

const logo = `<svg xmlns="http://www.w3.org/2000/svg" width="220" height="32" viewBox="0 0 220 32">
<text x="0" y="22" font-family="sans-serif" font-size="20" fill="#fff">Atlanticfrewaycard</text></svg>`;

/** Paths that this file serves: they take GET. */
export const documentationPaths = /^\/api\/(openapi\.json|docs(\/.*)?)$/;

/** The OpenAPI document of the API, and the page that shows it. */
export async function registerDocumentation(app: FastifyInstance, routes: readonly Route[]): Promise<void> {
  const unknown = routes.find(({ tag }) => !tags.some(({ name }) => name === tag));
  if (unknown !== undefined) throw new Error(`describe the tag ${unknown.tag} in documentation.ts`);
  const document = openApiOf(routes, { title, version: apiVersion, description, tags });
  await app.register(swagger, { mode: 'static', specification: { document } });
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    // Of its own pages only; without it the page could not run its own scripts. It must not ask for HTTPS, which a
    // server on a plain port does not speak.
    staticCSP: true,
    transformStaticCSP: (policy) => policy.replace(/;?\s*upgrade-insecure-requests/, ''),
    uiConfig: { docExpansion: 'list', persistAuthorization: false },
    logo: { type: 'image/svg+xml', content: Buffer.from(logo), href: '/api/docs/', target: '_self' },
    theme: { title },
  });
  registerProblemPages(app);
  const text = JSON.stringify(document);
  app.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    return reply
      .type('application/json; charset=utf-8')
      .serializer((body: string) => body)
      .send(text);
  });
}
