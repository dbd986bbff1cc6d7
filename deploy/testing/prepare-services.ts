/** Makes what the tests' services need once, and says what takes long: before the tests, whose time is bounded. */
import { findDebianPostgres } from './debian-postgres.js';
import { prepareKubernetesTools } from './kubernetes-tools.js';
import { findMongoProgram } from './mongo-program.js';
import { findPgBouncer } from './pgbouncer.js';
import { findNginx } from './test-nginx.js';
import { findAmtool, findPromtool } from './test-prometheus.js';
import { findRedisProgram } from './test-redis.js';

const { MONGODB_URI, REDIS_URL } = process.env;
if (MONGODB_URI === undefined || MONGODB_URI === '') await findMongoProgram(console.log);
if (REDIS_URL === undefined || REDIS_URL === '') await findRedisProgram();
await findNginx();
await findDebianPostgres();
await findPgBouncer();
await findPromtool();
await findAmtool();
await prepareKubernetesTools();
