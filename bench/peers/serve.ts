/**
 * One peer as a process of its own: `node dist/bench/peers/serve.js <name>`, settings in the environment. Prints
 * `listening`. peers.ts makes the tables and starts it.
 */
import { RowLockPeer, serveFastify } from './fastify-postgres.js';
import { type FrontOptions, serveFront } from './front.js';
import { FunctionPeer } from './postgres-function.js';
import { RedisPeer } from './redis-lua.js';

const { PEER_PORT, PEER_USER = '', PEER_PASSWORD = '', PEER_STORE_URL = '', PEER_SCHEMA = '' } = process.env;
const options: FrontOptions = { host: '127.0.0.1', port: Number(PEER_PORT), user: PEER_USER, password: PEER_PASSWORD };

switch (process.argv[2]) {
  case 'fastify':
    await serveFastify(new RowLockPeer(PEER_STORE_URL, PEER_SCHEMA), options);
    break;
  case 'function':
    await serveFront(new FunctionPeer(PEER_STORE_URL, PEER_SCHEMA), options);
    break;
  case 'redis':
    await serveFront(new RedisPeer(PEER_STORE_URL), options);
    break;
  default:
    throw new Error(`no peer is named ${process.argv[2]}`);
}
process.stdout.write('listening\n');
// Started by a benchmark that may be killed: when the pipe from its parent closes, the peer has no purpose left.
process.stdin.on('end', () => process.exit(0)).resume();
