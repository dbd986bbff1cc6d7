/**
 * For load balancers: alive and ready. Plain paths, no token; health and metrics are on the ops port (api/ops/ops.ts).
 */
import { route } from '../http/route.js';
import { closed, Type } from '../http/schemas.js';
import type { Services } from '../services.js';

const Answer = closed({ status: Type.String() }, { title: 'Ready' });
const NotReady = closed({ status: Type.String(), reasons: Type.Array(Type.String()) }, { title: 'NotReady' });

const common = { method: 'GET', access: 'public', tag: 'operations' } as const;

export function operationsRoutes({ health }: Services) {
  return [
    route({
      ...common,
      url: '/livez',
      operationId: 'livez',
      summary: 'Whether the process runs',
      schemas: { responses: { 200: Answer } },
      handler: async () => ({ status: 'alive' }),
    }),
    route({
      ...common,
      url: '/readyz',
      operationId: 'readyz',
      summary: 'Whether requests are served',
      schemas: { responses: { 200: Answer, 503: NotReady } },
      handler: async (_request, reply) => {
        const reasons = health.notReady();
        if (reasons.length === 0) return { status: 'ready' };
        reply.code(503);
        return { status: 'not ready', reasons };
      },
    }),
  ];
}
