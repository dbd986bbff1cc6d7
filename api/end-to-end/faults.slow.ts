/**
 * Faults around a running API: Postgres, MongoDB, Redis and the engine are absent at the start or vanish later. Real
 * servers are stopped, killed and suspended. A request that needs what is gone gets a 503 in good time, every other is
 * served, and no process has to be restarted afterwards.
 */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { embeddedRoles, type RoleUrls } from '../../deploy/database-roles.js';
import { startEmbeddedPostgres } from '../../deploy/embedded-postgres.js';
import { findFreePort } from '../../deploy/free-port.js';
import { folderFor, redisFor } from '../../deploy/testing/for-test.js';
import { MongoServer } from '../../deploy/testing/mongo-server.js';
import { markAsDemo } from '../../deploy/testing/test-database.js';
import type { OwnRedis } from '../../deploy/testing/test-redis.js';
import { type EnginePlace, EngineProcess, enginePlace, until } from '../../engine/testing/engine-process.js';
import { migrate } from '../../sql/migrate.js';
import { type Reply, request } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { type ApiUnderTest, Customer, fresh, pay } from '../testing/customer.js';

// The runner has a limit of its own.
t.setTimeout(0);

/** Longest that a request may take while something is gone: below what a person or a proxy waits. */
const answerMsMax = 8_000;
const recoveryMs = 60_000;
/** A key whose execution was lost is free again after a minute. */
const claimMsMax = 90_000;

interface FaultApi extends ApiUnderTest {
  readonly process: ApiProcess;
}

/** All that an API stands on, each a server of its own that can be stopped and started again in the same place. */
class Surroundings {
  readonly #folder: string;
  readonly #urls: RoleUrls;
  readonly mongo: MongoServer;
  readonly redis: OwnRedis;
  readonly place: EnginePlace;
  engine: EngineProcess | null = null;
  #postgres: Awaited<ReturnType<typeof startEmbeddedPostgres>> | null = null;

  private constructor(folder: string, urls: RoleUrls, mongo: MongoServer, redis: OwnRedis, place: EnginePlace) {
    this.#folder = folder;
    this.#urls = urls;
    this.mongo = mongo;
    this.redis = redis;
    this.place = place;
  }

  /** Everything runs but the engine. */
  static async start(t: Test): Promise<Surroundings> {
    const folder = folderFor(t);
    // The user postgres must be able to pass, else its cluster would be kept elsewhere and stay there.
    await chmod(folder, 0o711);
    const server = await startEmbeddedPostgres({
      dataDir: join(folder, 'postgres'),
      log: () => undefined,
      settings: { fsync: 'off' },
    });
    const { urls } = await embeddedRoles(join(folder, 'postgres'), server.url);
    await migrate({ databaseUrl: urls.owner });
    await markAsDemo(server.url);
    const mongo = new MongoServer(await findFreePort(), join(folder, 'mongo'));
    await mongo.start();
    const redis = await redisFor(t);
    const place = await enginePlace(urls.engine, join(folder, 'engine'));
    const surroundings = new Surroundings(folder, urls, mongo, redis, place);
    surroundings.#postgres = server;
    t.teardown(() => surroundings.stop());
    return surroundings;
  }

  get ownerUrl(): string {
    return this.#urls.owner;
  }

  async startPostgres(): Promise<void> {
    const dataDir = join(this.#folder, 'postgres');
    this.#postgres = await startEmbeddedPostgres({ dataDir, log: () => undefined, settings: { fsync: 'off' } });
  }

  async stopPostgres(): Promise<void> {
    await this.#postgres?.stop();
    this.#postgres = null;
  }

  async startEngine(): Promise<void> {
    this.engine = new EngineProcess(this.place, { REDIS_URL: this.redis.url });
    if (!(await this.engine.ready())) throw new Error(`the engine ended while starting: ${this.engine.logged}`);
  }

  async stopEngine(): Promise<void> {
    await this.engine?.kill('SIGKILL');
    this.engine = null;
  }

  /** @param path see ApiProcess.ready */
  async startApi(t: Test, path: '/readyz' | '/livez' = '/readyz'): Promise<FaultApi> {
    const process = new ApiProcess(await findFreePort(), {
      DATABASE_URL: this.#urls.api,
      API_OPS_PORT: String(await findFreePort()),
      MONGODB_URI: `${this.mongo.uri}faults`,
      REDIS_URL: this.redis.url,
      ENGINE_URL: `http://127.0.0.1:${this.place.opsPort}`,
      LOG_LEVEL: 'debug',
    });
    t.teardown(() => process.stop());
    await process.ready(path);
    return {
      process,
      engine: this.place,
      request: (method, path, options) => request(process.url, method, path, options),
    };
  }

  async stop(): Promise<void> {
    await this.stopEngine();
    await this.mongo.signal('SIGKILL');
    await this.redis.stop();
    await this.stopPostgres();
  }
}

/** A request whose answer must come in time, whatever it says. */
async function ask(api: FaultApi, who: Customer, path: string): Promise<Reply> {
  const startedMs = performance.now();
  const reply = await api.request('GET', path, { token: who.token });
  const tookMs = performance.now() - startedMs;
  if (tookMs > answerMsMax) throw new Error(`${path} took ${Math.round(tookMs)} ms`);
  return reply;
}

/** Waits until the path is served again. */
function served(api: FaultApi, who: Customer, path: string): Promise<void> {
  return until(`${path} is served`, async () => (await ask(api, who, path)).status === 200, recoveryMs);
}

/** A 503 as clients can use one. */
function refusedClearly(t: Test, reply: Reply, what: string): void {
  t.equal(reply.status, 503, what);
  t.match(reply.headers.get('content-type'), /problem\+json/, what);
  t.ok(Number(reply.headers.get('retry-after')) >= 1, `${what} says when to try again`);
  t.match(reply.json, { status: 503, detail: /\w/ }, what);
}

async function health(api: FaultApi, component: string): Promise<string> {
  return (await request(api.process.opsUrl, 'GET', '/health')).json.components[component].status;
}

t.test('the API starts while every other service is away', async (t) => {
  const around = await Surroundings.start(t);
  await around.stopPostgres();
  await around.mongo.signal('SIGKILL');
  await around.redis.stop();
  const api = await around.startApi(t, '/livez');
  t.same((await api.request('GET', '/readyz')).json, { status: 'not ready', reasons: ['Postgres does not answer'] });
  for (const component of ['database', 'mongodb', 'redis', 'engine']) {
    t.equal(await health(api, component), 'unhealthy', component);
  }
  const body = { email: 'one@example.com', password: 'a-password-of-tests' };
  refusedClearly(t, await api.request('POST', '/api/auth/login', { body }), 'signing in');

  await around.startPostgres();
  await until('Postgres is found', async () => (await health(api, 'database')) === 'healthy', recoveryMs);
  t.equal((await api.request('GET', '/readyz')).status, 200, 'the API is ready without MongoDB, Redis and the engine');
  const company = await Customer.register(api, 'business');
  const person = await Customer.register(api, 'personal');
  t.equal((await ask(api, company, '/api/cards')).status, 200, 'companies need no MongoDB');
  t.equal((await ask(api, person, '/api/cards')).status, 200, 'cards of a person need no MongoDB');
  refusedClearly(t, await ask(api, person, '/api/transactions'), 'history of a person');
  refusedClearly(t, await ask(api, company, '/api/accounts'), 'balances without an engine');

  await around.mongo.start();
  await served(api, person, '/api/transactions');
  await around.startEngine();
  await served(api, person, '/api/accounts');
  await around.redis.restart();
  await until('Redis is found', async () => (await health(api, 'redis')) === 'healthy', recoveryMs);
  const accountId = await person.accountId();
  await person.post(`/api/accounts/${accountId}/deposits`, { amount: 10_000 });
  const card = await person.card(accountId);
  t.match(await pay(api, card.token), { approved: true });
});

t.test('the API continues when each service goes away in turn', async (t) => {
  const around = await Surroundings.start(t);
  await around.startEngine();
  const api = await around.startApi(t);
  const company = await Customer.register(api, 'business');
  const person = await Customer.register(api, 'personal');
  const accounts = { company: await company.accountId(), person: await person.accountId() };
  await company.post(`/api/accounts/${accounts.company}/deposits`, { amount: 1_000_000 });
  await person.post(`/api/accounts/${accounts.person}/deposits`, { amount: 1_000_000 });
  const companyCard = await company.card(accounts.company);
  const personCard = await person.card(accounts.person);
  t.match(await pay(api, companyCard.token), { approved: true });
  t.match(await pay(api, personCard.token), { approved: true });
  await until('the history is copied', async () => (await person.get('/api/transactions')).json.data.length === 1);

  for (const how of ['SIGKILL', 'SIGSTOP'] as const) {
    t.test(`the API continues when MongoDB gets ${how}`, async (t) => {
      await around.mongo.signal(how);
      const path = `/api/transactions?limit=${how === 'SIGKILL' ? 10 : 11}`;
      refusedClearly(t, await ask(api, person, path), 'history of a person');
      t.equal((await ask(api, company, '/api/transactions')).status, 200, 'companies are served');
      t.equal((await ask(api, person, '/api/accounts')).status, 200, 'money is served');
      t.match(await pay(api, personCard.token), { approved: true }, 'cards are served');
      await until('it is noticed', async () => (await health(api, 'mongodb')) === 'unhealthy', recoveryMs);
      const startedMs = performance.now();
      const patch = await api.request('PATCH', `/api/cards/${personCard.id}`, {
        token: person.token,
        body: { status: 'frozen' },
      });
      t.match(patch, { status: 200, json: { status: 'frozen', effective: true } }, 'a freeze needs no MongoDB');
      t.ok(performance.now() - startedMs < answerMsMax);
      t.match(await pay(api, personCard.token), { approved: false, reason: 'card_inactive' });
      t.equal((await ask(api, person, '/api/cards')).status, 200, 'a list of cards needs no MongoDB');
      if (how === 'SIGKILL') await around.mongo.start();
      else await around.mongo.signal('SIGCONT');
      await served(api, person, path);
      await person.change('PATCH', `/api/cards/${personCard.id}`, { status: 'active' });
      t.match(await pay(api, personCard.token), { approved: true });
    });
  }

  t.test('the API continues when Redis hangs, is killed and returns', async (t) => {
    around.redis.pause();
    const freeze = (status: string) => company.change('PATCH', `/api/cards/${companyCard.id}`, { status });
    t.match((await freeze('frozen')).json, { status: 'frozen' });
    t.match((await ask(api, company, `/api/cards/${companyCard.id}`)).json, { status: 'frozen' });
    around.redis.resume();
    await around.redis.stop();
    t.match((await freeze('active')).json, { status: 'active' });
    t.match((await ask(api, company, '/api/cards')).json.data, [{ status: 'active' }]);
    t.equal((await ask(api, person, '/api/accounts')).status, 200);
    await around.redis.restart();
    await until('Redis is found', async () => (await health(api, 'redis')) === 'healthy', recoveryMs);
    const body = (await freeze('frozen')).json;
    t.match(body, { status: 'frozen' });
    t.match((await ask(api, company, '/api/cards')).json.data, [{ status: 'frozen' }]);
    await until('a change is in force again', async () => (await freeze('active')).json.effective === true, recoveryMs);
    t.match(await pay(api, companyCard.token), { approved: true });
  });

  t.test('the API continues when the engine is killed and returns', async (t) => {
    await around.stopEngine();
    refusedClearly(t, await ask(api, company, '/api/accounts'), 'balances');
    const deposit = { token: company.token, body: { amount: 500 }, headers: { 'idempotency-key': fresh('deposit') } };
    const path = `/api/accounts/${accounts.company}/deposits`;
    refusedClearly(t, await api.request('POST', path, deposit), 'a deposit');
    t.equal((await ask(api, company, '/api/cards')).status, 200);
    t.equal((await ask(api, company, '/api/transactions')).status, 200);
    await around.startEngine();
    await served(api, company, '/api/accounts');
    const { funds } = (await company.get(`/api/accounts/${accounts.company}`)).json;
    t.equal(funds, 1_000_000);
    let once = await api.request('POST', path, deposit);
    // On a busy machine the engine may miss its deadline: a 503 is never remembered.
    await until('the same key is carried out', async () => {
      if (once.status === 503) once = await api.request('POST', path, deposit);
      return once.status !== 503;
    });
    t.equal(once.status, 201, 'the same key tries again');
    t.equal(once.json.account.funds, 1_000_500);
  });

  t.test('the API continues when Postgres is stopped and returns', async (t) => {
    t.match(await pay(api, companyCard.token), { approved: true }, 'the restarted engine knows the card');
    await around.stopPostgres();
    await until('it is noticed', async () => (await health(api, 'database')) === 'unhealthy', recoveryMs);
    refusedClearly(t, await ask(api, company, '/api/transactions?limit=7'), 'transactions of a company');
    t.match(await pay(api, companyCard.token), { approved: true }, 'the engine continues');
    await around.startPostgres();
    await served(api, company, '/api/transactions?limit=7');
    await served(api, person, '/api/cards');
    const frozen = await company.change('PATCH', `/api/cards/${companyCard.id}`, { status: 'frozen' });
    t.match(frozen.json, { status: 'frozen' });
  });

  t.test('every key moves money once while backends of Postgres are killed', async (t) => {
    const path = `/api/accounts/${accounts.person}/deposits`;
    const before = (await person.get(`/api/accounts/${accounts.person}`)).json.funds;
    const sql = postgres(around.ownerUrl, { max: 1, onnotice: () => undefined });
    t.teardown(() => sql.end({ timeout: 1 }));
    const killing = (async () => {
      for (let round = 0; round < 25; round++) {
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name in ('api', 'engine lookups') and pid <> pg_backend_pid()`.catch(() => undefined);
        await delay(30);
      }
    })();
    const keys = Array.from({ length: 60 }, () => fresh('killed'));
    const deposit = async (key: string) => {
      let reply = await person.post(path, { amount: 7 }, key);
      // What became of the attempt before is not known yet: it says when to come again.
      const isOpen = () => reply.status === 409 && reply.json.title === 'request_in_progress';
      await until(
        'the key is answered',
        async () => {
          if (isOpen()) reply = await person.post(path, { amount: 7 }, key);
          return !isOpen();
        },
        claimMsMax,
      );
      return reply;
    };
    const replies = await Promise.all(keys.map(deposit));
    await killing;
    t.same([...new Set(replies.map(({ status }) => status))], [201]);
    await served(api, person, '/api/accounts');
    const again = await Promise.all(keys.map((key) => person.post(path, { amount: 7 }, key)));
    for (const [index, { status, json }] of again.entries()) {
      // An answer that could not be kept is not known yet: its key is asked to come again, and moves nothing meanwhile.
      if (status === 409) t.equal(json.title, 'request_in_progress');
      else t.equal(json.id, replies[index]!.json.id);
    }
    t.ok(api.process.isAlive);
    const after = (await person.get(`/api/accounts/${accounts.person}`)).json;
    t.equal(after.funds, before + 60 * 7);
  });
});
