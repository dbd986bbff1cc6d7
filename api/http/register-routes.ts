/**
 * Puts declared routes on the server: first who asks and whether they may (before the body is read), then validation,
 * then the handler, whose answer is written by its schema.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type Actor, type Caller, callersOf, isCustomer } from './principal.js';
import { forbidden } from './problem.js';
import type { Route } from './route.js';
import { closed, ProblemBody } from './schemas.js';

export interface Authenticator {
  /** The caller by the Authorization header, as known a moment ago. Throws a 401. */
  authenticate(authorization: string | undefined): Actor | Promise<Actor>;
  /** The same caller as the database has them now. Throws a 401. */
  confirm(actor: Actor, authorization: string | undefined): Promise<Actor>;
}

/** Called once for each request that is not public, when its caller is known. Throws what refuses it. */
export type Admission = (request: FastifyRequest, reply: FastifyReply, actor: Actor, route: Route) => void;

declare module 'fastify' {
  interface FastifyContextConfig {
    route?: Route;
  }
}

export function registerRoutes(
  app: FastifyInstance,
  routes: readonly Route[],
  authenticator: Authenticator,
  admission: Admission = () => undefined,
): void {
  app.decorateRequest('actor', null as unknown as never);
  app.decorateRequest('principal', null as unknown as never);
  for (const route of routes) app.route(optionsOf(route, authenticator, admission));
}

function optionsOf(route: Route, authenticator: Authenticator, admission: Admission): RouteOptions {
  const { params, query, body, responses } = route.schemas;
  const [firstStatus] = Object.keys(responses).map(Number);
  return {
    method: route.method,
    url: route.url,
    config: { route },
    schema: {
      // A part without a schema takes nothing: an unknown query parameter is refused like an unknown field.
      params: params ?? closed({}),
      querystring: query ?? closed({}),
      ...(body === undefined ? {} : { body }),
      response: { ...responses, '4xx': ProblemBody, '5xx': ProblemBody },
    },
    ...(route.access === 'public' ? {} : authorization(route, route.access, authenticator, admission)),
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      reply.code(firstStatus!);
      const answer = await route.handler(request, reply);
      // A 204: the handler has nothing to say, and returning nothing would leave the client waiting.
      return answer === null ? reply.send() : answer;
    },
  };
}

/**
 * Checks the caller before the body is read. A request that writes is checked again when its body is there: a client
 * decides how long that takes, and may have been blocked meanwhile.
 */
function authorization(route: Route, callers: readonly Caller[], authenticator: Authenticator, admission: Admission) {
  const allowed = new Set(callers);
  const admit = (request: FastifyRequest, actor: Actor): void => {
    if (!callersOf(actor).some((caller) => allowed.has(caller))) throw forbidden();
    request.actor = actor;
    if (isCustomer(actor)) request.principal = actor;
  };
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const actor = await authenticator.authenticate(request.headers.authorization);
    admission(request, reply, actor, route);
    admit(request, actor);
  };
  const confirm = async (request: FastifyRequest): Promise<void> => {
    admit(request, await authenticator.confirm(request.actor, request.headers.authorization));
  };
  return route.method === 'GET' ? { onRequest } : { onRequest, preValidation: confirm };
}
