/** The HTTP server: Fastify with our validation, problems, authorization and measurements around declared routes. */
import { type FastifyInstance, fastify, LogController } from 'fastify';
import { answerClientErrors, type ClientAnswer, type ClientProblem } from '../platform/problems/client-errors.js';
import { apiVersion, registerApiVersion } from './http/api-version.js';
import { registerCors } from './http/cors.js';
import { registerCursors } from './http/cursor.js';
import { documentationPaths, registerDocumentation } from './http/documentation.js';
import { httpServer } from './http/http-server.js';
import { registerIdempotency } from './http/idempotency.js';
import { registerEncoding, registerShedding } from './http/limits.js';
import { answerError, bodyOf, Problem, registerProblems } from './http/problem.js';
import { registerRoutes } from './http/register-routes.js';
import { requestIdOf } from './http/request-ids.js';
import { callerName, registerRequestLog } from './http/request-log.js';
import { registerResponseCache } from './http/response-cache.js';
import { type Route, statusesOf } from './http/route.js';
import { Seal } from './http/sealed.js';
import { registerSerializing } from './http/serializing.js';
import { registerTraces } from './http/traces.js';
import { registerValidation } from './http/validation.js';
import { separateConsole } from './pages/console-host.js';
import { documentPaths, registerPages } from './pages/pages.js';
import { allRoutes } from './routes/all.js';
import type { Services } from './services.js';

export async function createServer(services: Services): Promise<FastifyInstance> {
  const { config, log, idempotency, generations, telemetry, gate, actors, rates, tenants, pageSessions } = services;
  const app = fastify({
    loggerInstance: log,
    genReqId: ({ headers }) => requestIdOf(headers),
    // request-log.ts writes one line for each request, not two.
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    // Limits are per address: believing a header that anyone can send would be no limit.
    trustProxy: config.trustedProxies ?? false,
    bodyLimit: config.bodyBytesMax,
    serverFactory: (handler) => httpServer(handler, gate),
    routerOptions: { maxParamLength: 100 },
    // Answers already promised are sent; new requests meet a closed port.
    return503OnClosing: false,
    // A URL that cannot be decoded reaches no route and no hook.
    frameworkErrors: (error, request, reply) => answerError(error, request, reply.header('api-version', apiVersion)),
    clientErrorHandler: answerClientErrors(answerOfClientError),
  }) as unknown as FastifyInstance;
  const { slowResponseMs, requestLog: settings } = config;
  if (services.traces !== null) registerTraces(app, services.traces, slowResponseMs);
  registerRequestLog(app, { log, settings, slowResponseMs });
  registerApiVersion(app);
  const routes = allRoutes(services);
  registerProblems(app, methodsOf(routes));
  registerValidation(app);
  registerSerializing(app);
  measure(app, services);
  if (config.consoleHost !== null) separateConsole(app, config.consoleHost);
  pageSessions.register(app);
  rates.register(app);
  pageSessions.registerGuard(app);
  await registerCors(app, config.corsOrigins);
  registerCursors(app, new Seal('cursor', config.jwtSecrets));
  await registerShedding(app, config.eventLoopDelayMs);
  // These two see answers as they were meant, before compression changes their bytes.
  registerIdempotency(app, idempotency, services.panKeys, log);
  registerResponseCache(app, generations, telemetry.responseCache);
  await registerEncoding(app);
  await registerDocumentation(app, routes);
  await registerPages(app, log, config.assetOrigin);
  registerRoutes(app, routes, actors, services.trail, (request, reply, actor, route) => {
    request.caller = callerName(actor);
    rates.identified(request, reply, actor);
    if (route.stream !== true) tenants.enter(actor, reply, route.report === true);
  });
  // Before the port closes, which waits for answers under way.
  app.addHook('preClose', async () => services.live.endStreams());
  await app.ready();
  return app;
}

/** Which methods a path takes, for answers to the others. */
function methodsOf(routes: readonly Route[]): (path: string) => string[] {
  const declared = routes.map(({ url, method }) => ({
    pattern: new RegExp(`^${url.replaceAll(/:\w+/g, '[^/]+')}$`),
    method,
  }));
  return (path) => {
    if (documentationPaths.test(path) || documentPaths.test(path)) return ['GET', 'HEAD'];
    const methods = declared.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    return methods.includes('GET') ? [...methods, 'HEAD'] : methods;
  };
}

function measure(app: FastifyInstance, { telemetry, config }: Services): void {
  app.addHook('onResponse', async (request, reply) => {
    const tookMs = reply.elapsedTime;
    const path = request.routeOptions.url ?? 'unknown';
    const { route } = request.routeOptions.config;
    if (route !== undefined && !statusesOf(route).has(reply.statusCode)) {
      telemetry.undocumented.add(`${request.method} ${path} ${reply.statusCode}`);
    }
    const isStream = route?.stream === true;
    telemetry.answered(`${request.method} ${path}`, reply.statusCode, isStream ? null : tookMs);
    if (!isStream && tookMs > config.slowResponseMs) telemetry.slowResponses++;
  });
}

function answerOfClientError({ status, code, detail }: ClientProblem): ClientAnswer {
  const requestId = requestIdOf({});
  const headers = { 'request-id': requestId, 'api-version': apiVersion };
  return { body: bodyOf(new Problem(status, code, detail), requestId), headers };
}
