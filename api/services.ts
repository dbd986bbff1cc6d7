/** What routes are given: made once by api.ts, the composition root. */
import type { ConnectionGate } from '../engine/process/connection-gate.js';
import type { PanKeys } from '../engine/wire/hidden-ids.js';
import type { Access } from './auth/access.js';
import type { Actors } from './auth/actors.js';
import type { OperatorSignIn } from './auth/operator-sign-in.js';
import type { Passwords } from './auth/passwords.js';
import type { SignIn } from './auth/sign-in.js';
import type { Tokens } from './auth/tokens.js';
import type { ApiConfig } from './config.js';
import type { DataServices } from './data-services.js';
import type { Health } from './health.js';
import type { Housekeeping } from './housekeeping.js';
import type { RateLimiter } from './http/rate-limits.js';
import type { Telemetry } from './http/telemetry.js';
import type { TenantGate } from './http/tenant-bounds.js';
import type { TenantGenerations } from './http/tenant-generations.js';
import type { Log } from './log.js';
import type { ApiKeyStore } from './stores/api-keys.js';
import type { CompanyStore } from './stores/companies.js';
import type { IdempotencyStore } from './stores/idempotency.js';
import type { OperatorStore } from './stores/operators.js';
import type { Database } from './stores/postgres.js';
import type { Program } from './stores/program.js';
import type { RedisConnection } from './stores/redis.js';
import type { UserStore } from './stores/users.js';

export interface Services extends DataServices {
  readonly config: ApiConfig;
  readonly panKeys: PanKeys;
  readonly log: Log;
  readonly gate: ConnectionGate;
  readonly opsGate: ConnectionGate;
  readonly database: Database;
  /** Null: REDIS_URL is not set. */
  readonly redis: RedisConnection | null;
  readonly users: UserStore;
  readonly companies: CompanyStore;
  readonly idempotency: IdempotencyStore;
  readonly tokens: Tokens;
  readonly access: Access;
  readonly actors: Actors;
  readonly rates: RateLimiter;
  readonly tenants: TenantGate;
  readonly operators: OperatorStore;
  readonly operatorSignIn: OperatorSignIn;
  readonly apiKeys: ApiKeyStore;
  readonly program: Program;
  readonly passwords: Passwords;
  readonly signIn: SignIn;
  readonly housekeeping: Housekeeping;
  readonly generations: TenantGenerations;
  readonly telemetry: Telemetry;
  readonly health: Health;
}
