/** Where the OpenAPI document is served, and the page to read and try it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { openApiOf } from './openapi.js';
import type { Route } from './route.js';

const description = `Amounts are integers in minor units (1250 is 12.50 USD). Times are RFC 3339 in UTC. Ids are opaque.
A field that is not listed is refused (400). Errors are \`application/problem+json\` (RFC 9457) and name the field.

**Sign in** with \`POST /api/auth/login\` and send \`Authorization: Bearer <token>\`. Access tokens live minutes; trade the
refresh token for new ones. A refresh token is good once, and for ten seconds more leads to the same successor; after
that an old one that comes back ends the session. A session ends after 90 days, however often it is refreshed.

**Repeat safely**: send \`Idempotency-Key\` with a POST. The same key gets the same answer, byte for byte, for a day; with
another body it is refused (409). Sign-in routes take the header and do not use it, since their answers carry tokens.

**Change safely**: objects carry a version as \`ETag\`. Send it as \`If-Match\`; when somebody else was faster the answer is 412.

**Lists** answer \`{ data, next }\`; pass \`next\` as \`cursor\` for the next page. Every GET carries an \`ETag\`: send it as
\`If-None-Match\` and an unchanged answer costs 304. \`Cache-Control: no-cache\` passes by answers kept for a moment.`;

const tags = [
  { name: 'sign-in', description: 'Tokens, and the sessions they belong to' },
  { name: 'companies', description: 'Companies and the people who work for them' },
  { name: 'accounts', description: 'Accounts and the money in them' },
  { name: 'cards', description: 'Cards of these accounts' },
  { name: 'limits', description: 'What may be spent, and what has been' },
  { name: 'transactions', description: 'What was paid' },
  { name: 'operators', description: 'For the people who run the program' },
  { name: 'operations', description: 'For the machines that run the API' },
] as const;

/** The OpenAPI document of the API, and the page that shows it. */
export async function registerDocumentation(app: FastifyInstance, routes: readonly Route[]): Promise<void> {
  const unknown = routes.find(({ tag }) => !tags.some(({ name }) => name === tag));
  if (unknown !== undefined) throw new Error(`describe the tag ${unknown.tag} in documentation.ts`);
  const document = openApiOf(routes, { title: 'Atlanticfrewaycard account API', version: '1', description, tags });
  await app.register(swagger, { mode: 'static', specification: { document } });
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    // Of its own pages only; without it the page could not run its own scripts.
    staticCSP: true,
    transformStaticCSP: (policy) => policy,
    uiConfig: { docExpansion: 'list', persistAuthorization: false },
  });
  const text = JSON.stringify(document);
  app.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    return reply
      .type('application/json; charset=utf-8')
      .serializer((body: string) => body)
      .send(text);
  });
}
