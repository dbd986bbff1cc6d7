/**
 * The OpenAPI documents of the ports beside the account API: the rules that they keep, and answers held against them.
 */

import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { apiOpsDocument } from '../../../api/ops/openapi.js';
import { answerToBytes } from '../../testing/client.js';
import { startTestEngine } from '../../testing/engine-inside.js';
import { opsGet } from '../../testing/engine-process.js';
import { authorizationDocument, engineOpsDocument } from './openapi.js';

// biome-ignore lint/suspicious/noExplicitAny: the documents have the shape of the specification
type Json = any;

t.test("the documents keep Redocly's recommended rules", async (t) => {
  const config = await createConfig({ extends: ['recommended'] });
  for (const document of [authorizationDocument, engineOpsDocument, apiOpsDocument]) {
    const problems = await lintFromString({ source: JSON.stringify(document), config });
    t.same(
      problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer ?? ''}`),
      [],
    );
  }
});

t.test('the ops port serves both documents, and real answers match them', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  t.same(JSON.parse((await opsGet(engine.place, '/openapi.json')).text), engineOpsDocument);
  const served: Json = JSON.parse((await opsGet(engine.place, '/openapi/authorization.json')).text);
  t.same(served, authorizationDocument);
  const ajv = new Ajv2020({ strict: false, validateFormats: false }).addSchema(served, 'document');
  const holds = (name: string, value: unknown) => {
    const validate = ajv.compile({ $ref: `document#/components/schemas/${name}` });
    t.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(value)}`);
  };
  const example =
    served.paths['/v1/authorizations'].post.requestBody.content['application/json'].examples.purchase.value;
  holds('Message', example);
  const message = { ...example, card: 'card_000001_1' };
  for (const [changes, status, name] of [
    [{}, 200, 'Decision'],
    [{ id: 'd', card: 'unknown' }, 200, 'Decision'],
    [{ amount: 1 }, 409, 'Problem'],
    [{ id: 'm', amount: -1, type: 'purchase' }, 400, 'Problem'],
  ] as const) {
    const answer = await engine.client.native({ ...message, ...changes });
    t.equal(answer.status, status);
    t.ok(served.paths['/v1/authorizations'].post.responses[status]);
    holds(name, JSON.parse(answer.body.toString()));
  }
  // Also what is no HTTP request.
  const odd = await answerToBytes(engine.place.opsPort, 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n');
  t.match(odd, /^HTTP\/1\.1 400 /);
  holds('Problem', JSON.parse(odd.slice(odd.indexOf('\r\n\r\n'))));
});
