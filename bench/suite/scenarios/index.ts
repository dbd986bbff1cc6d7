/** All scenarios, in the order in which they run: those that fill the database come late. */
import type { Scenario } from '../bench.js';
import { afterBurst } from './after-burst.js';
import { api } from './api.js';
import { bloat } from './bloat.js';
import { ceiling } from './ceiling.js';
import { cluster } from './cluster.js';
import { coldCache } from './cold-cache.js';
import { connections } from './connections.js';
import { disk, pureCore } from './core.js';
import { evictedCards } from './evicted-cards.js';
import { feed } from './feed.js';
import { flood } from './flood.js';
import { hotAccount } from './hot-account.js';
import { iso8583 } from './iso8583.js';
import { lifeCycle } from './life-cycle.js';
import { memory } from './memory.js';
import { overload } from './overload.js';
import { peers } from './peers.js';
import { postgresSlow } from './postgres-slow.js';
import { rates } from './rates.js';
import { restart } from './restart.js';
import { settleRate } from './settle-rate.js';
import { sql } from './sql.js';
import { takeover } from './takeover.js';
import { traces } from './traces.js';

export const scenarios: readonly Scenario[] = [
  ceiling,
  peers,
  ...rates,
  afterBurst,
  traces,
  connections,
  hotAccount,
  lifeCycle,
  iso8583,
  coldCache,
  evictedCards,
  overload,
  flood,
  feed,
  settleRate,
  postgresSlow,
  pureCore,
  disk,
  api,
  sql,
  cluster,
  takeover,
  bloat,
  restart,
  memory,
];

/** Of `make bench-quick`. Memory first: a restart after the other would wait until all of that load is settled. */
export const quickScenarios: readonly Scenario[] = [memory, ceiling];
