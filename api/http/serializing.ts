/**
 * Answers are written by their schemas, by functions that fast-json-stringify makes. Fastify has one made for each
 * status of each route, and hundreds of these schemas are equal: that took half of the CPU of a start.
 */
import fastJsonStringify from 'fast-json-stringify';
import type { FastifyInstance } from 'fastify';

type Serialize = (answer: unknown) => string;

/** By the schema's text: as many as there are different answers. */
const serializers = new Map<string, Serialize>();

function serializerOf(schema: object): Serialize {
  const key = JSON.stringify(schema);
  let serialize = serializers.get(key);
  if (serialize === undefined) {
    serialize = fastJsonStringify(schema) as Serialize;
    serializers.set(key, serialize);
  }
  return serialize;
}

export function registerSerializing(app: FastifyInstance): void {
  app.setSerializerCompiler(({ schema }) => serializerOf(schema as object));
}
