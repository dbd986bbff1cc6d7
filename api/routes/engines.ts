/** Which engines there are, and which partitions each of them owns. */
import { route } from '../http/route.js';
import { Count, closed, page, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { anyOperator } from './operators.js';

/** The program shows no more engines, and a ledger has no more partitions. */
const enginesMax = 64;

const Engine = closed(
  {
    id: Type.String(),
    authUrl: Type.String({ description: 'its authorization port, as other processes reach it' }),
    opsUrl: Type.String({ description: 'its ops port' }),
    epoch: Type.Integer({ ...Count, description: 'the highest of its partitions; 0 while it owns none' }),
    partitions: Type.Array(Count, { description: 'that it owns now' }),
    leaseMsLeft: Type.Number({ description: 'when others may take its partitions, unless it renews its lease, in ms' }),
  },
  { title: 'Engine' },
);

export function engineRoutes({ engine }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/engines',
      access: anyOperator,
      tag: 'operators',
      operationId: 'listEngines',
      summary: 'The engines that run on the database, with their partitions and epochs',
      description: 'As the engine sees it that answers; 503 while none does. `next` is always null.',
      cached: false,
      schemas: { responses: { 200: page(Engine) } },
      handler: async () => {
        const engines = await engine.engines();
        const data = engines.slice(0, enginesMax).map(({ id, authUrl, opsUrl, epoch, partitions, leaseMsLeft }) => ({
          id,
          authUrl,
          opsUrl,
          epoch,
          partitions: [...partitions],
          leaseMsLeft,
        }));
        return { data, next: null };
      },
    }),
  ];
}
