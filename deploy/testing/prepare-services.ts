/** Makes what the tests' services need once, and says what takes long: before the tests, whose time is bounded. */
import { findMoovPeer } from '../../engine/protocols/iso8583/testing/moov-peer.js';
import { prepareKubernetesTools } from './kubernetes-tools.js';
import { findMongoProgram } from './mongo-program.js';
import { findChromium } from './test-chromium.js';
import { findNginx } from './test-nginx.js';
import { findAlertmanager, findAmtool, findPrometheus, findPromtool } from './test-prometheus.js';
import { findRedisProgram } from './test-redis.js';

const { MONGODB_URI, REDIS_URL } = process.env;
if (MONGODB_URI === undefined || MONGODB_URI === '') await findMongoProgram(console.log);
if (REDIS_URL === undefined || REDIS_URL === '') await findRedisProgram();
// A few files each need one of these. Where it is missing they fail and say so; all other tests run.
const tools = [findNginx, findPromtool, findAmtool, findPrometheus, findAlertmanager, findChromium];
for (const find of [...tools, prepareKubernetesTools, () => findMoovPeer(console.log)]) {
  await find().catch((error: Error) => console.error(error.message));
}
