/**
 * The control of the account API: a bare Fastify route that answers every request with the same small JSON object,
 * validated and serialized by schema, and does nothing else. What it takes on a machine, beside the same generator, is
 * what Node.js and the framework cost there.
 *
 * A process of its own, as echo.ts: CONTROL_PORT, prints `listening` once it does.
 */
import { fastify } from 'fastify';

const { CONTROL_PORT } = process.env;
const app = fastify();
const answer = {
  type: 'object',
  properties: { id: { type: 'string' }, name: { type: 'string' } },
  additionalProperties: false,
} as const;

app.get('/bare', { schema: { response: { 200: answer } } }, async () => ({ id: 'usr_1', name: 'Ada Example' }));
await app.listen({ host: '127.0.0.1', port: Number(CONTROL_PORT ?? 0) });
console.log('listening');

// stdin is a pipe that closes with the process that started this one: nothing is left running.
process.stdin.resume().once('end', () => process.exit(0));
process.once('SIGTERM', () => process.exit(0));
