/** OpenAPI, generated from the schemas that validate and serialize, and a page to read and try it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

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

/** Must be registered before the routes that it describes. */
export async function registerDocumentation(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Atlanticfrewaycard account API', version: '1', description },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
      security: [{ bearer: [] }],
    },
  });
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    // Of its own pages only; without it the page could not run its own scripts.
    staticCSP: true,
    transformStaticCSP: (policy) => policy,
    uiConfig: { docExpansion: 'list', persistAuthorization: false },
  });
  app.get('/api/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    reply.type('application/json; charset=utf-8');
    return app.swagger();
  });
}
