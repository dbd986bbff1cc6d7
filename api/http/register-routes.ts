/**
 * Puts declared routes on the server. Caller and rights are checked first, before the body is read. Then come
 * validation and the handler, whose answer is written by its schema.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type Acting, type Actor, type Caller, callersOf, isCustomer } from '../auth/principal.js';
import type { AuditEvent } from '../stores/audit.js';
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
  interface FastifyRequest {
    /** Of a stream: rejects when the caller, as the database has them now, may not call the route any more. */
    confirmCaller: () => Promise<void>;
  }
}

/** Where an operator's look at something is recorded. */
export interface LookRecorder {
  record(by: Acting, event: AuditEvent): Promise<void>;
}

export function registerRoutes(
  app: FastifyInstance,
  routes: readonly Route[],
  authenticator: Authenticator,
  looks: LookRecorder,
  admission: Admission = () => undefined,
): void {
  app.decorateRequest('actor', null as never);
  app.decorateRequest('principal', null as never);
  app.decorateRequest('confirmCaller', null as never);
  for (const route of routes) app.route(optionsOf(route, authenticator, looks, admission));
}

function optionsOf(
  route: Route,
  authenticator: Authenticator,
  looks: LookRecorder,
  admission: Admission,
): RouteOptions {
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
    ...uploading(route),
    ...(route.access === 'public' ? {} : authorization(route, route.access, authenticator, looks, admission)),
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      reply.code(firstStatus!);
      const answer = await route.handler(request, reply);
      // A 204: the handler has nothing to say, and returning nothing would leave the client waiting.
      return answer === null ? reply.send() : answer;
    },
  };
}

/** A longer body than others have, once there is room for it. */
function uploading({ upload }: Route): Partial<RouteOptions> {
  if (upload === undefined) return {};
  const preParsing = async (_request: FastifyRequest, reply: FastifyReply): Promise<undefined> => {
    upload.admit(reply);
    return undefined;
  };
  return { bodyLimit: upload.bytesMax, preParsing };
}

/**
 * Checks the caller before the body is read. A request that writes is checked again when its body is there: a client
 * decides how long that takes, and may have been blocked meanwhile.
 */
function authorization(
  route: Route,
  callers: readonly Caller[],
  authenticator: Authenticator,
  looks: LookRecorder,
  admission: Admission,
) {
  const allowed = new Set(callers);
  const admit = (request: FastifyRequest, actor: Actor): void => {
    const judgedAs = callersOf(actor).filter((caller) => allowed.has(caller));
    if (judgedAs.length === 0) throw forbidden();
    const acting: Acting = { ...actor, origin: { address: request.ip, requestId: request.id, callers: judgedAs } };
    request.actor = acting;
    if (isCustomer(acting)) request.principal = acting;
  };
  const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const actor = await authenticator.authenticate(request.headers.authorization);
    admission(request, reply, actor, route);
    admit(request, actor);
    if (route.stream === true) request.confirmCaller = () => confirm(request);
  };
  const confirm = async (request: FastifyRequest): Promise<void> => {
    admit(request, await authenticator.confirm(request.actor, request.headers.authorization));
  };
  // Before the answer: no look without its entry.
  const preHandler = async ({ actor, params }: FastifyRequest): Promise<void> => {
    if (actor.kind !== 'operator' || route.unrecorded === true) return;
    const { id = null } = params as { id?: string };
    await looks.record(actor, {
      action: 'operator.looked',
      objectKind: route.target ?? null,
      objectId: id,
      after: { route: route.url },
    });
  };
  return route.method === 'GET' ? { onRequest, preHandler } : { onRequest, preValidation: confirm };
}
