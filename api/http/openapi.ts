/**
 * The OpenAPI 3.1 document, made of the declared routes. It has their schemas by name, every status that each may
 * answer with, and their headers.
 */
import { apiVersion } from './api-version.js';
import { type Route, statusesOf, takesIdempotencyKey } from './route.js';
import { ProblemBody } from './schemas.js';

/** A JSON value of the document. */
// biome-ignore lint/suspicious/noExplicitAny: the document has the shape of the specification
type Json = any;

export interface DocumentOptions {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  readonly tags: readonly { readonly name: string; readonly description: string }[];
}

/** Throws when two schemas have one name, or two routes one operationId: a bug, found at start. */
export function openApiOf(routes: readonly Route[], { title, version, description, tags }: DocumentOptions): Json {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  const operationIds = new Set<string>();
  for (const route of routes) {
    if (operationIds.has(route.operationId)) throw new Error(`two routes have the operationId ${route.operationId}`);
    operationIds.add(route.operationId);
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(route, components);
  }
  components.schemaOf(ProblemBody);
  return {
    openapi: '3.1.0',
    info: {
      title,
      version,
      description,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'the server that answers with this document' }],
    security: [{ bearer: [] }],
    tags: tags.filter(({ name }) => routes.some(({ tag }) => tag === name)),
    paths,
    components: {
      schemas: components.schemas,
      headers,
      parameters: usedOf('parameters', parameters, paths),
      responses: usedOf('responses', errorResponses(), paths),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'an access token of a sign-in, a session of an operator, or an API key',
        },
      },
    },
  };
}

/** The components of a kind that the paths refer to. */
function usedOf(kind: string, all: Readonly<Record<string, Json>>, paths: Json): Json {
  const text = JSON.stringify(paths);
  return Object.fromEntries(Object.entries(all).filter(([name]) => text.includes(`"#/components/${kind}/${name}"`)));
}

/** Collects schemas that have a name, and puts references in their places. */
class Components {
  readonly schemas: Record<string, Json> = {};

  /** The schema as the document shows it. */
  schemaOf(schema: object): Json {
    const shown = this.#inside(schema as Json);
    const name: string | undefined = (schema as { title?: string }).title;
    if (name === undefined) return shown;
    const known = this.schemas[name];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(shown)) {
      throw new Error(`two different schemas have the title ${name}`);
    }
    this.schemas[name] = shown;
    return { $ref: `#/components/schemas/${name}` };
  }

  #inside(schema: Json): Json {
    const shown: Record<string, Json> = {};
    for (const [key, value] of Object.entries<Json>(schema)) {
      if (key === 'title') continue;
      if (key === 'properties' || key === 'patternProperties') {
        shown[key] = Object.fromEntries(Object.entries<Json>(value).map(([name, of]) => [name, this.schemaOf(of)]));
      } else if (key === 'items' || (key === 'additionalProperties' && typeof value === 'object')) {
        shown[key] = this.schemaOf(value);
      } else if (key === 'anyOf' || key === 'allOf' || key === 'oneOf') {
        shown[key] = value.map((of: Json) => this.schemaOf(of));
      } else {
        shown[key] = value;
      }
    }
    return shown;
  }
}

function operationOf(route: Route, components: Components): Json {
  const { body } = route.schemas;
  const content =
    body !== undefined
      ? { 'application/json': { schema: components.schemaOf(body) } }
      : route.upload !== undefined
        ? { [route.upload.mediaRange]: { schema: { type: 'string', format: 'binary' } } }
        : null;
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    tags: [route.tag],
    ...(route.access === 'public' ? { security: [] } : {}),
    parameters: parametersOf(route, components),
    ...(content === null ? {} : { requestBody: { required: true, content } }),
    responses: responsesOf(route, components),
  };
}

function parametersOf(route: Route, components: Components): Json[] {
  const { params, query } = route.schemas;
  const list: Json[] = [];
  for (const [where, schema] of [
    ['path', params],
    ['query', query],
  ] as const) {
    const { properties = {}, required = [] } = (schema ?? {}) as Json;
    for (const [name, of] of Object.entries<Json>(properties)) {
      const { description, ...rest } = of;
      list.push({
        name,
        in: where,
        // What has a default may be left out.
        required: where === 'path' || (required.includes(name) && !('default' in of)),
        ...(description === undefined ? {} : { description }),
        ...(where === 'path' && route.target !== undefined && demoIds[route.target] !== undefined
          ? { example: demoIds[route.target] }
          : {}),
        schema: components.schemaOf(rest),
      });
    }
  }
  const headersTaken: (keyof typeof parameters)[] = ['ApiVersion'];
  if (takesIdempotencyKey(route)) headersTaken.push('IdempotencyKey');
  if (route.versioned === true) headersTaken.push('IfMatch');
  if (statusesOf(route).has(304)) headersTaken.push('IfNoneMatch');
  return [...list, ...headersTaken.map((name) => ({ $ref: `#/components/parameters/${name}` }))];
}

/** Objects of the demo data, by what the path names. */
const demoIds: Readonly<Record<string, string>> = { account: 'acct_demo', card: 'card_demo', user: 'usr_demo' };

function responsesOf(route: Route, components: Components): Json {
  const responses: Record<string, Json> = {};
  for (const status of [...statusesOf(route)].sort((one, other) => one - other)) {
    const schema = route.schemas.responses[status];
    responses[status] =
      schema === undefined
        ? { $ref: `#/components/responses/${errorNames[status] ?? unnamed(status)}` }
        : answerOf(route, status, schema, components);
  }
  return responses;
}

function unnamed(status: number): never {
  throw new Error(`give status ${status} a name in openapi.ts`);
}

function answerOf(route: Route, status: number, schema: object, components: Components): Json {
  const isEmpty = (schema as { type?: string }).type === 'null';
  const isTagged = !isEmpty && (route.versioned === true || statusesOf(route).has(304));
  return {
    description: answerDescriptions[status] ?? 'done',
    headers: headersOf(
      ...(isTagged ? (['ETag'] as const) : []),
      ...(route.access === 'public' ? [] : rateHeaders),
      ...(status === 202 ? (['Location'] as const) : []),
      ...(takesIdempotencyKey(route) ? (['Idempotency-Replayed'] as const) : []),
    ),
    ...(isEmpty
      ? {}
      : { content: { [route.produces ?? 'application/json']: { schema: components.schemaOf(schema) } } }),
  };
}

const answerDescriptions: Readonly<Record<number, string>> = {
  200: 'done',
  201: 'made',
  202: 'accepted, and not known to be in force yet: look at Location',
  204: 'done; there is no body',
  503: 'not now',
};

/** Component responses of the errors, by status. */
const errorNames: Readonly<Record<number, string>> = {
  304: 'NotModified',
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  412: 'PreconditionFailed',
  413: 'ContentTooLarge',
  414: 'UriTooLong',
  415: 'UnsupportedMediaType',
  422: 'UnprocessableContent',
  429: 'TooManyRequests',
  500: 'InternalError',
  502: 'BadGateway',
  503: 'Unavailable',
};

const errorDescriptions: Readonly<Record<number, string>> = {
  304: 'what you have is the newest; there is no body',
  400: 'an input is wrong; `field` and `errors` name it',
  401: 'no valid credentials',
  403: 'your role does not allow this',
  404: 'there is no such object of yours',
  409: 'the state of an object does not allow this, or the Idempotency-Key was used with another request',
  410: 'this was there once, and is not any more',
  412: 'the object is another version by now',
  413: 'the body is too long',
  414: 'the URL is longer than 8 KiB',
  415: 'the body is not of a type that this path takes',
  422: 'the request is understood and cannot be done',
  429: 'too many requests; `Retry-After` says when to come back',
  500: 'a fault of ours; quote the request id to support',
  502: 'a service behind this one does not answer',
  503: 'not now; `Retry-After` says when to come back',
};

function errorResponses(): Record<string, Json> {
  const responses: Record<string, Json> = {};
  for (const [status, name] of Object.entries(errorNames)) {
    const isEmpty = status === '304';
    responses[name] = {
      description: errorDescriptions[Number(status)],
      headers: headersOf(
        ...(isEmpty || status === '412' ? (['ETag'] as const) : []),
        ...(status === '401' ? (['WWW-Authenticate'] as const) : []),
        ...(status === '429' ? rateHeaders : []),
        ...(status === '409' || status === '429' || status === '503' ? (['Retry-After'] as const) : []),
      ),
      ...(isEmpty
        ? {}
        : { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } }),
    };
  }
  return responses;
}

/** Headers of answers. */
const headers = {
  'Request-Id': { description: 'names the request, for support and in the logs', schema: { type: 'string' } },
  'Api-Version': { description: 'the version of the API', schema: { type: 'string', examples: [apiVersion] } },
  ETag: {
    description: 'names this state of the answer; it starts with the version of an object that has one',
    schema: { type: 'string', examples: ['"3-2jmj7l5rSw0yVb_vlWAYkK"'] },
  },
  Location: { description: 'where to look', schema: { type: 'string', format: 'uri-reference' } },
  'Retry-After': { description: 'seconds to wait', schema: { type: 'integer', minimum: 0 } },
  'RateLimit-Limit': { description: 'requests of this caller a minute', schema: { type: 'integer', minimum: 1 } },
  'RateLimit-Remaining': { description: 'how many are left', schema: { type: 'integer', minimum: 0 } },
  'RateLimit-Reset': { description: 'seconds until the minute ends', schema: { type: 'integer', minimum: 0 } },
  'WWW-Authenticate': { description: 'the scheme, and what is wrong with the token', schema: { type: 'string' } },
  'Idempotency-Replayed': {
    description: '`true`: the answer of the first request with this key',
    schema: { type: 'string', enum: ['true'] },
  },
} as const;

const rateHeaders = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'] as const;

function headersOf(...names: (keyof typeof headers)[]): Json {
  return Object.fromEntries(
    (['Request-Id', 'Api-Version', ...names] as const).map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** Headers of requests. */
const parameters = {
  ApiVersion: {
    name: 'Api-Version',
    in: 'header',
    required: false,
    description: 'the version that you were built for: one that this server does not have is refused with 400',
    schema: { type: 'string', enum: [apiVersion] },
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description: 'repeats with the same key get the same answer, for a day',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x21-\\x7e]+$' },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'the ETag of the version that you read: another one by now is refused with 412',
    schema: { type: 'string', examples: ['"3"'] },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'the ETag of what you have: when nothing changed the answer is 304',
    schema: { type: 'string' },
  },
} as const;
