/**
 * Parts of the OpenAPI 3.1 documents of every port that is not the account API's: problems, probes and the frame of a
 * document.
 */
import { problemCodes } from './problem-codes.js';

export type Json = Readonly<Record<string, unknown>>;

export const text = { type: 'string' };

const problem = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'leads to what the code means' },
    title: { type: 'string', enum: Object.keys(problemCodes), description: 'stable code for programs' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'what is wrong and what to do' },
    field: { type: 'string', description: 'dotted path of the first field at fault' },
    errors: {
      type: 'array',
      description: 'every field at fault',
      items: {
        type: 'object',
        required: ['field', 'pointer', 'detail'],
        properties: { field: text, pointer: text, detail: text },
      },
    },
  },
};

/** One component of `/health`. */
export const component = {
  type: 'object',
  required: ['status', 'detail'],
  properties: { status: { type: 'string', enum: ['healthy', 'unhealthy', 'disabled'] }, detail: text },
};

export const health = {
  type: 'object',
  required: ['status', 'components'],
  properties: {
    status: { type: 'string', enum: ['healthy', 'degraded', 'unhealthy'] },
    components: {
      type: 'object',
      additionalProperties: component,
    },
  },
};

export const ready = {
  type: 'object',
  required: ['status'],
  properties: {
    status: { type: 'string', enum: ['ready', 'not ready'] },
    reasons: { type: 'array', items: text },
  },
};

export const alive = {
  type: 'object',
  required: ['status'],
  properties: { status: { type: 'string', enum: ['alive'] } },
};

export const json = (name: string) => ({ content: { 'application/json': { schema: ref(name) } } });
export const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
export const error = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: ref('Problem') } },
});

interface DocumentParts {
  readonly title: string;
  readonly description: string;
  readonly url: string;
  readonly paths: Json;
  readonly schemas: Json;
  readonly security?: { readonly name: string; readonly scheme: 'basic' | 'bearer'; readonly description: string };
}

export function documentOf({ title, description, url, paths, schemas, security }: DocumentParts): Json {
  return {
    openapi: '3.1.0',
    info: { title, version: '1', description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url, description: 'this port' }],
    security: security === undefined ? [] : [{ [security.name]: [] }],
    paths,
    components: {
      schemas: { Problem: problem, ...schemas },
      ...(security === undefined
        ? {}
        : {
            securitySchemes: {
              [security.name]: { type: 'http', scheme: security.scheme, description: security.description },
            },
          }),
    },
  };
}

export const operation = (operationId: string, summary: string, responses: Json) => ({
  get: { operationId, summary, security: [], responses },
});
export const notFound = error('there is nothing at this path');

export const probes = {
  '/livez': operation('isAlive', 'Whether the process runs', {
    200: { description: 'it runs', ...json('Alive') },
    404: notFound,
  }),
  '/readyz': operation('isReady', 'Whether to send requests here', {
    200: { description: 'ready', ...json('Ready') },
    404: notFound,
    503: { description: 'not ready, with the reasons', ...json('Ready') },
  }),
  '/health': operation('getHealth', 'Each component, with a detail to act on', {
    200: { description: 'healthy or degraded', ...json('Health') },
    404: notFound,
    503: { description: 'unhealthy', ...json('Health') },
  }),
  '/metrics': operation('getMetrics', 'Metrics for Prometheus', {
    200: { description: 'the metrics', content: { 'text/plain': { schema: text } } },
    404: notFound,
  }),
};
