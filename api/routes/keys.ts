/** API keys: how programs of the program's own call this API. */

import { keyScopes, type Operator } from '../auth/principal.js';
import { Cursor } from '../http/cursor.js';
import { checkName } from '../http/fields.js';
import { conflict, invalid, notFound } from '../http/problem.js';
import { route } from '../http/route.js';
import {
  closed,
  Id,
  IdParams,
  Name,
  NoContent,
  nullable,
  oneOf,
  page,
  pageQuery,
  type Static,
  Timestamp,
  Type,
} from '../http/schemas.js';
import { newId } from '../ids.js';
import type { Services } from '../services.js';
import { type KeyRow, keysMax } from '../stores/api-keys.js';

const Scopes = Type.Array(oneOf(keyScopes, { title: 'KeyScope' }), {
  minItems: 1,
  maxItems: keyScopes.length,
  uniqueItems: true,
});
const MaybeTimestamp = nullable(Timestamp);
const keyFields = {
  id: Id,
  name: Type.String(),
  hint: Type.String({ description: 'its first characters' }),
  scopes: Scopes,
  createdAt: Timestamp,
  lastUsedAt: MaybeTimestamp,
  expiresAt: MaybeTimestamp,
};
const Key = closed(keyFields, { title: 'Key' });
const NewKey = closed({ ...keyFields, key: Type.String({ description: 'shown this once' }) }, { title: 'NewKey' });
const KeyOrder = closed(
  { name: Name, scopes: Scopes, expiresAt: Type.Optional(Timestamp) },
  {
    title: 'KeyOrder',
    examples: [{ name: 'Payroll', scopes: ['funding:write'] }],
  },
);
const order = new Cursor('keys', 'integer');
const common = { access: ['operator:admin'], tag: 'operators' } as const;

export function keyRoutes({ apiKeys }: Services) {
  return [
    route({
      ...common,
      method: 'POST',
      url: '/api/keys',
      operationId: 'createKey',
      errors: [409],
      summary: 'Make an API key; it is shown once',
      schemas: {
        body: KeyOrder,
        responses: { 201: NewKey },
      },
      // A key that was made and not received is revoked and made again: its answer is kept nowhere.
      secret: true,
      handler: async ({ actor, body }) => {
        const { name, scopes, expiresAt = null } = body;
        checkName('name', name);
        if (expiresAt !== null && Date.parse(expiresAt) <= Date.now()) throw invalid('expiresAt', 'must lie ahead');
        const createdBy = (actor as Operator).operatorId;
        const added = await apiKeys.add(actor, { publicId: newId('key'), name, scopes, expiresAt, createdBy });
        if (added === null) throw conflict('too_many_keys', `there are ${keysMax} keys: revoke one first`);
        return { ...showKey(added.row), key: added.key };
      },
    }),
    route({
      ...common,
      method: 'GET',
      url: '/api/keys',
      operationId: 'listKeys',
      summary: 'Living API keys, newest first',
      schemas: { query: pageQuery({}), responses: { 200: page(Key) } },
      handler: async ({ query }) => {
        const [beforeId] = order.decode(query.cursor) ?? [Number.MAX_SAFE_INTEGER];
        return order.page(await apiKeys.list(beforeId, query.limit), query.limit, ({ id }) => [id] as const, showKey);
      },
    }),
    route({
      ...common,
      method: 'DELETE',
      url: '/api/keys/:id',
      target: 'key',
      operationId: 'revokeKey',
      summary: 'Revoke an API key: it is refused at once',
      schemas: { params: IdParams, responses: { 204: NoContent } },
      handler: async ({ actor, params }) => {
        if ((await apiKeys.revoke(actor, params.id)) === null) throw notFound('key');
        return null;
      },
    }),
  ];
}

function showKey({ publicId, name, hint, scopes, createdAt, lastUsedAt, expiresAt }: KeyRow): Static<typeof Key> {
  return { id: publicId, name, hint, scopes: [...scopes], createdAt, lastUsedAt, expiresAt };
}
