/**
 * OpenAPI 3.1 documents of the authorization port and of the engine's ops port. The message of the native form and the
 * table of reasons come from the code that reads them.
 */
import {
  alive,
  component,
  documentOf,
  error,
  health,
  type Json,
  json,
  probes,
  ready,
  ref,
  text,
} from '../../../platform/problems/openapi-parts.js';
import { reasonTable } from '../../core/reasons.js';
import { nativeDescriptions, nativeSchema } from '../../protocols/native/fields.js';
import { purchase } from '../../protocols/samples.js';

const minorUnits = { type: 'integer', description: 'minor units of the currency' };

/** The fields of the native form, each with the words of its error. */
function described(properties: Json, prefix = ''): Json {
  return Object.fromEntries(
    Object.entries(properties).map(([name, of]) => {
      const path = prefix + name;
      const schema = of as Json;
      const description = (nativeDescriptions as Readonly<Record<string, string>>)[path];
      const inner = schema['properties'] as Json | undefined;
      return [
        name,
        {
          ...schema,
          ...('enum' in schema ? { type: 'string' } : {}),
          ...(inner === undefined ? {} : { properties: described(inner, `${path}.`) }),
          ...(description === undefined ? {} : { description }),
        },
      ];
    }),
  );
}

const decision = {
  type: 'object',
  required: ['id', 'approved', 'reason', 'responseCode', 'responseTimeMs'],
  properties: {
    id: text,
    approved: { type: 'boolean' },
    reason: { type: 'string', enum: reasonTable.map(({ name }) => name) },
    detail: { type: 'string', description: 'which limit, where reason is limit_exceeded' },
    responseCode: { type: 'string', pattern: '^[0-9A-Z]{2}$', description: 'DE39 of ISO 8583' },
    authorizationId: text,
    amount: minorUnits,
    approvedAmount: minorUnits,
    available: { ...minorUnits, description: 'what the account has after this message' },
    currency: text,
    responseTimeMs: { type: 'number', description: 'the one field in which repeats of an id differ' },
  },
};

const books = {
  type: 'object',
  required: ['id', 'currency', 'funds', 'available', 'held', 'posted'],
  properties: {
    id: text,
    currency: text,
    funds: minorUnits,
    available: minorUnits,
    held: minorUnits,
    posted: minorUnits,
  },
};

const command = {
  type: 'object',
  required: ['id', 'amount'],
  properties: { id: { type: 'string', minLength: 1, maxLength: 64 }, amount: { type: 'integer', minimum: 1 } },
};

const portErrors = {
  400: error('the message is malformed; `errors` names every field at fault'),
  401: error('no credentials, or wrong ones'),
  413: error('the body is longer than 64 KiB'),
  415: error('the body is not JSON in UTF-8'),
  503: error('no decision was made and none is remembered: ask again with the same id'),
};

/** A path whose requests are signed, where the engine has a secret of its processor. */
function signedPath(operationId: string, summary: string, message: string, answer: string) {
  return {
    post: {
      operationId,
      summary,
      security: [],
      requestBody: { required: true, ...json(message) },
      responses: {
        200: { description: 'approved, declined or booked', ...json(answer) },
        404: error('the engine has no secret of this processor'),
        ...portErrors,
        401: error('no signature, or a wrong or old one'),
      },
    },
  };
}

/** The authorization port: what a card processor calls. */
export const authorizationDocument = documentOf({
  title: 'Atlanticfrewaycard authorization port',
  description:
    'One question, one answer: the same id with the same content gets the first answer again. Approvals and declines ' +
    'are both answered 200.',
  url: '/',
  security: { name: 'processor', scheme: 'basic', description: 'PROCESSOR_USER and one of PROCESSOR_PASSWORD' },
  schemas: {
    Message: { ...nativeSchema, properties: described(nativeSchema.properties) },
    Decision: decision,
    MarqetaMessage: { type: 'object', description: 'a Gateway JIT Funding request, as Marqeta documents it' },
    MarqetaAnswer: { type: 'object', description: 'with `jit_funding`, as Marqeta documents it' },
    MarqetaNotification: { type: 'object', description: 'with `transactions` or `pings`, as Marqeta documents it' },
    LithicMessage: { type: 'object', description: 'an authorization of Auth Stream Access, as Lithic documents it' },
    LithicAnswer: { type: 'object', description: 'with `token` and `result`, as Lithic documents it' },
    LithicEvent: { type: 'object', description: 'an event with its `event_type`, as Lithic documents it' },
    StripeEvent: { type: 'object', description: 'an event of issuing, as Stripe documents it' },
    StripeAnswer: { type: 'object', description: 'with `approved` for a question, with `received` for other events' },
    Received: { type: 'object', required: ['received'], properties: { received: { type: 'boolean' } } },
  },
  paths: {
    '/v1/authorizations': {
      post: {
        operationId: 'decide',
        summary: 'Decide one message of the native form',
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: ref('Message'),
              examples: {
                purchase: { value: purchase.message },
              },
            },
          },
        },
        responses: {
          200: { description: 'approved or declined', ...json('Decision') },
          409: error('this id was asked with other content'),
          ...portErrors,
        },
      },
    },
    '/marqeta/jit': {
      post: {
        operationId: 'decideMarqeta',
        summary: 'Decide one Gateway JIT Funding request of Marqeta',
        requestBody: { required: true, ...json('MarqetaMessage') },
        responses: {
          200: { description: 'approved', ...json('MarqetaAnswer') },
          402: { description: 'declined', ...json('MarqetaAnswer') },
          ...portErrors,
        },
      },
    },
    '/marqeta/webhook': {
      post: {
        operationId: 'bookMarqetaNotification',
        summary: 'Book what a notification of Marqeta reports',
        requestBody: { required: true, ...json('MarqetaNotification') },
        responses: {
          200: { description: 'booked, or nothing to book', ...json('Received') },
          ...portErrors,
          401: error('no credentials or wrong ones, or not the signature that MARQETA_WEBHOOK_SECRET wants'),
        },
      },
    },
    '/lithic/asa': signedPath('decideLithic', 'Decide one request of Lithic', 'LithicMessage', 'LithicAnswer'),
    '/lithic/events': signedPath('bookLithicEvent', 'Book what an event of Lithic reports', 'LithicEvent', 'Received'),
    '/stripe/issuing': signedPath(
      'takeStripeEvent',
      'Decide or book one event of Stripe',
      'StripeEvent',
      'StripeAnswer',
    ),
  },
});

const nullable = (type: string) => ({ type: [type, 'null'] });
const checkView = {
  type: 'object',
  required: ['reason', 'detail', 'passed', 'numbers'],
  properties: {
    reason: text,
    detail: { type: 'string', description: 'which limit; empty for other checks' },
    passed: { ...nullable('boolean'), description: 'null: an earlier check has declined' },
    numbers: { type: 'object', description: 'as the decision saw them; amounts in minor units' },
  },
};
const decisionView = {
  type: 'object',
  required: ['id', 'authorizationId', 'approved', 'reason', 'partition', 'sequence', 'atMs', 'hopsMs', 'checks'],
  description: 'the decision, and each of its checks in order with the numbers that it had',
  properties: {
    id: text,
    authorizationId: text,
    approved: { type: 'boolean' },
    reason: text,
    partition: { type: 'integer' },
    sequence: { type: 'integer' },
    atMs: { type: 'number' },
    numbersKept: { type: 'boolean', description: 'false of what a release without traces decided' },
    hopsMs: { ...nullable('object'), description: 'null where the engine does not know it any more' },
    checks: { type: 'array', items: checkView },
  },
};
const accountId = { name: 'id', in: 'path', required: true, schema: text };
const unauthorized = error('no engine token, or a wrong one');
const unavailable = error('the engine or its database is not there at the moment: ask again');

function movement(operationId: string, summary: string) {
  return {
    post: {
      operationId,
      summary,
      parameters: [accountId],
      requestBody: { required: true, ...json('Command') },
      responses: {
        200: { description: 'moved, with the books after it', ...json('Moved') },
        400: error('the body is malformed'),
        401: unauthorized,
        404: error('there is no such account'),
        409: error('not enough money, a closed account, or the id was used with another amount'),
        413: error('the body is longer than 4096 bytes'),
        415: error('the body is not JSON in UTF-8'),
        503: unavailable,
      },
    },
  };
}

const engines = {
  type: 'object',
  required: ['data'],
  properties: {
    data: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'authUrl', 'opsUrl', 'epoch', 'partitions', 'leaseMsLeft'],
        properties: {
          id: text,
          authUrl: text,
          opsUrl: text,
          epoch: { type: 'integer', description: "the highest of its partitions' epochs; 0 while it owns none" },
          partitions: { type: 'array', items: { type: 'integer' } },
          leaseMsLeft: { type: 'number' },
        },
      },
    },
  },
};

/** The engine's ops port. */
export const engineOpsDocument = documentOf({
  title: 'Atlanticfrewaycard engine ops port',
  description: 'Health, metrics and administration of one engine, loopback by default.',
  url: '/',
  security: { name: 'engine', scheme: 'bearer', description: 'one of ENGINE_TOKEN' },
  schemas: {
    Alive: alive,
    Ready: ready,
    Health: health,
    Books: books,
    BooksList: { type: 'object', required: ['accounts'], properties: { accounts: { type: 'array', items: books } } },
    Engines: engines,
    Component: component,
    Command: command,
    Moved: { type: 'object', description: 'the answer of the ledger command' },
    LiveLine: {
      type: 'object',
      description: 'counts since the start, and the last decisions: see docs/account-api.md',
    },
    Decision: decisionView,
    Windows: { type: 'object', description: 'spend windows by level; null where none was asked for' },
  },
  paths: {
    ...probes,
    '/admin/accounts': {
      get: {
        operationId: 'listBooks',
        summary: 'Books of accounts as the engine has them now',
        parameters: [
          { name: 'ids', in: 'query', required: true, description: '1 to 200 ids, separated by commas', schema: text },
        ],
        responses: {
          200: { description: 'the known ones', ...json('BooksList') },
          400: error('no ids, or too many'),
          401: unauthorized,
          503: unavailable,
        },
      },
    },
    '/admin/accounts/{id}': {
      get: {
        operationId: 'getBooks',
        summary: 'Books of one account',
        parameters: [accountId],
        responses: {
          200: { description: 'the books', ...json('Books') },
          401: unauthorized,
          404: error('there is no such account'),
          503: unavailable,
        },
      },
    },
    '/admin/accounts/{id}/deposits': movement('deposit', 'Put money into an account'),
    '/admin/accounts/{id}/withdrawals': movement('withdraw', 'Take money out of an account'),
    '/admin/engines': {
      get: {
        operationId: 'listEngines',
        summary: 'Engines that run on the database, and the partitions that each owns',
        responses: { 200: { description: 'the engines', ...json('Engines') }, 401: unauthorized },
      },
    },
    '/admin/marqeta': {
      get: {
        operationId: 'getMarqetaCalls',
        summary: "Age, rate and answers of Marqeta's calls, of all engines together",
        responses: { 200: { description: 'as a component of /health', ...json('Component') }, 401: unauthorized },
      },
    },
    '/admin/live': {
      get: {
        operationId: 'followLive',
        summary: 'What the engine decides: a line of JSON four times a second, until the client leaves',
        responses: {
          200: { description: 'lines', content: { 'application/x-ndjson': { schema: ref('LiveLine') } } },
          401: unauthorized,
          503: error('too many readers'),
        },
      },
    },
    '/admin/decisions/{id}': {
      get: {
        operationId: 'getDecision',
        summary: 'Why a decision was made, by the id of its message or of its authorization',
        parameters: [{ name: 'id', in: 'path', required: true, schema: text }],
        responses: {
          200: { description: 'the newest decision about that id', ...json('Decision') },
          401: unauthorized,
          404: error('no message of that id was decided'),
          503: unavailable,
        },
      },
    },
    '/admin/windows': {
      get: {
        operationId: 'getWindows',
        summary: 'Spend windows of a card, a user and an account, by their internal numbers',
        parameters: ['card', 'user', 'account'].map((name) => ({
          name,
          in: 'query',
          schema: { type: 'integer', minimum: 1 },
        })),
        responses: {
          200: { description: 'the windows', ...json('Windows') },
          400: error('no number, or a malformed one'),
          401: unauthorized,
          503: unavailable,
        },
      },
    },
  },
});
