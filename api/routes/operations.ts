/** For those who run the API: alive, ready, health, metrics. Plain paths, no token. */
import { route } from '../http/route.js';
import { closed, Type } from '../http/schemas.js';
import type { Services } from '../services.js';

const Answer = closed({ status: Type.String() });
const NotReady = closed({ status: Type.String(), reasons: Type.Array(Type.String()) });
const Component = closed({ status: Type.Enum(['healthy', 'unhealthy', 'disabled']), detail: Type.String() });
const Report = closed({
  status: Type.Enum(['healthy', 'degraded', 'unhealthy']),
  components: Type.Record(Type.String(), Component),
});

const common = { method: 'GET', access: 'public', tag: 'operations' } as const;

export function operationsRoutes({ health, telemetry }: Services) {
  return [
    route({
      ...common,
      url: '/livez',
      summary: 'Whether the process runs',
      schemas: { responses: { 200: Answer } },
      handler: async () => ({ status: 'alive' }),
    }),
    route({
      ...common,
      url: '/readyz',
      summary: 'Whether requests are served',
      schemas: { responses: { 200: Answer, 503: NotReady } },
      handler: async (_request, reply) => {
        const reasons = health.notReady();
        if (reasons.length === 0) return { status: 'ready' };
        reply.code(503);
        return { status: 'not ready', reasons };
      },
    }),
    route({
      ...common,
      url: '/health',
      summary: 'Every component, with a detail',
      schemas: { responses: { 200: Report, 503: Report } },
      handler: async (_request, reply) => {
        const report = await health.report();
        if (report.status === 'unhealthy') reply.code(503);
        return report;
      },
    }),
    route({
      ...common,
      url: '/metrics',
      summary: 'Metrics for Prometheus',
      schemas: { responses: { 200: Type.String() } },
      handler: async (_request, reply) => {
        const { contentType, text } = await telemetry.scrape();
        reply.header('content-type', contentType).serializer((body: string) => body);
        return text;
      },
    }),
  ];
}
