/**
 * The version of the API, a date. Every answer carries it. A request that sends one that this server does not have is
 * refused, so that a client finds out before it relies on something else.
 */
import type { FastifyInstance } from 'fastify';
import { invalid } from './problem.js';

export const apiVersion = '2026-11-28';
/** What a request may ask for, newest first. */
const known: readonly string[] = [apiVersion];

export function registerApiVersion(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('api-version', apiVersion);
    const asked = request.headers['api-version'];
    if (asked === undefined || known.includes(String(asked))) return;
    throw invalid('api-version', `must be one of ${known.join(', ')}, or be left out`);
  });
}
