/** A user's sign-ins: where each comes from, and ending one that is not theirs any more. */

import { type Acting, anyCaller, freezers, type Operator, type Principal } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  Id,
  IdParams,
  NoContent,
  nullable,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import type { Services } from '../services.js';
import type { SessionRow } from '../stores/sessions.js';

const Nullable = nullable(Type.String());
const Session = closed(
  {
    id: Id,
    current: Type.Boolean({ description: 'the session of this request' }),
    device: Nullable,
    address: Nullable,
    createdAt: Timestamp,
    lastSeenAt: Timestamp,
    expiresAt: Timestamp,
  },
  { title: 'Session' },
);
const order = new Cursor('sessions', 'integer');

export function sessionRoutes({ signIn }: Services) {
  return [
    route({
      method: 'GET',
      url: '/api/sessions',
      access: anyCaller,
      tag: 'sign-in',
      operationId: 'listSessions',
      summary: 'The sessions of the user who asks, newest first',
      schemas: { query: pageQuery({}), responses: { 200: page(Session) } },
      cached: false,
      handler: async ({ principal, query }) => {
        const [beforeId] = order.decode(query.cursor) ?? [Number.MAX_SAFE_INTEGER];
        const rows = await signIn.sessions(principal.userId, beforeId, query.limit);
        return order.page(
          rows,
          query.limit,
          ({ id }) => [id] as const,
          (row) => showSession(row, principal.sessionId),
        );
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/sessions/:id',
      access: [...anyCaller, ...freezers],
      target: 'session',
      tag: 'sign-in',
      operationId: 'endSession',
      summary: 'End a session of the user who asks, or of any user for an operator: its tokens are good no more',
      schemas: { params: IdParams, responses: { 204: NoContent } },
      handler: async ({ actor, params }) => {
        if (!(await signIn.endSession(actor as Acting<Principal> | Acting<Operator>, params.id)))
          throw notFound('session');
        return null;
      },
    }),
  ];
}

function showSession(row: SessionRow, currentId: number): Static<typeof Session> {
  const { id, publicId, address, userAgent, createdAt, lastSeenAt, expiresAt } = row;
  return { id: publicId, current: id === currentId, device: userAgent, address, createdAt, lastSeenAt, expiresAt };
}
