/** The live stream: what all engines decide, for operators. */
import type { Acting, Operator } from '../auth/principal.js';
import { route } from '../http/route.js';
import { Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { anyOperator } from './operators.js';

export function liveRoutes({ live }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/live',
      access: anyOperator,
      tag: 'operators',
      operationId: 'followLive',
      summary: 'What all engines decide, as server-sent events',
      description:
        'An event `history` with the last 15 minutes, then an event `tick` four times a second. ' +
        'A client that comes back with `Last-Event-ID` within a minute gets the ticks that it has missed, ' +
        'and no `history`.',
      cached: false,
      stream: true,
      produces: 'text/event-stream',
      schemas: { responses: { 200: Type.String() } },
      handler: async (request, reply) => {
        const { sessionId } = request.actor as Acting<Operator>;
        const { 'last-event-id': lastEventId = '' } = request.headers;
        reply.type('text/event-stream').headers({
          'cache-control': 'no-store',
          // nginx sends each event on at once.
          'x-accel-buffering': 'no',
          // A connection that has carried a stream for hours is not worth keeping, and a stop need not wait for it.
          connection: 'close',
        });
        if (request.method === 'HEAD') return '';
        const owner = { name: String(sessionId), confirm: request.confirmCaller };
        reply.send(live.open(owner, String(lastEventId)));
        return reply as never;
      },
    }),
  ];
}
