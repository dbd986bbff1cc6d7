import t from 'tap';
import { badRequestBody, notFoundBody } from '../../../platform/problems/problem-body.js';
import { answerBytesMax } from '../../core/limits.js';
import * as problem from './problem.js';

const parse = (body: Uint8Array): Record<string, unknown> => JSON.parse(Buffer.from(body).toString());

t.test('every prebuilt body is a problem with its status', async (t) => {
  const table = [
    [problem.unauthorizedBody, 401],
    [notFoundBody, 404],
    [problem.methodNotAllowedBody, 405],
    [problem.tooLargeBody, 413],
    [problem.unsupportedMediaTypeBody, 415],
    [problem.overloadedBody, 503],
    [problem.shuttingDownBody, 503],
    [problem.systemErrorBody, 503],
  ] as const;
  for (const [body, status] of table) {
    const parsed = parse(body);
    t.match(parsed, { type: /^\/api\/docs\/problems\/\w+$/, title: String, status, detail: String });
    if (status === 503) t.match(parsed, { approved: false, reason: String, responseCode: /^\d\d$/ });
  }
});

t.test('the problem for a malformed request has a dotted path and a JSON pointer', async (t) => {
  t.same(parse(badRequestBody({ field: 'merchant.mcc', message: 'is wrong' })), {
    type: '/api/docs/problems/invalid_request',
    title: 'invalid_request',
    status: 400,
    detail: 'merchant.mcc is wrong',
    field: 'merchant.mcc',
    errors: [{ field: 'merchant.mcc', pointer: '/merchant/mcc', detail: 'merchant.mcc is wrong' }],
  });
  t.match(parse(badRequestBody({ field: '', message: 'is wrong' })), {
    detail: 'the body is wrong',
    field: '',
    errors: [{ pointer: '' }],
  });
});

t.test('every faulty field is named, as many as fit the answer', async (t) => {
  const others = [
    { field: 'amount', message: 'is missing' },
    { field: 'currency', message: 'is missing' },
  ];
  t.same((parse(badRequestBody({ field: 'id', message: 'is missing', others }))['errors'] as object[]).length, 3);
  const many = Array.from({ length: 19 }, (_, index) => ({
    field: `field${index}`,
    message: `must be ${'x'.repeat(150)}`,
  }));
  const body = badRequestBody({ field: 'id', message: 'is missing', others: many });
  t.ok(body.length < answerBytesMax, `${body.length} bytes`);
  t.ok((parse(body)['errors'] as object[]).length > 1);
});
