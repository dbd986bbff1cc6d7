/**
 * Engine and API as processes of their own, configured by the environment alone, with a customer whose card pays. It is
 * for tests with faults of the services below them. Either may be started again on other settings.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import {
  type EnginePlace,
  type EngineProcess,
  enginePlace,
  opsGet,
  startEngineProcess,
  until,
} from '../../engine/testing/engine-process.js';
import { type Reply, request } from './api-inside.js';
import { ApiProcess } from './api-process.js';
import { Customer, pay } from './customer.js';

type Environment = Readonly<Record<string, string>>;

export interface ComponentHealth {
  readonly status: string;
  readonly detail: string;
}

/** A card that is frozen and unfrozen by turns. */
interface OwnCard {
  readonly id: string;
  readonly token: string;
  status: 'active' | 'frozen';
}

const depositMinor = 100_000_000;
/** What is taken away comes back, or is made up for, within this, however busy the machine is. */
const healMs = 60_000;

export class Deployment {
  readonly databaseUrl: string;
  readonly sql: postgres.Sql;
  /** The engine's ports. */
  readonly engine: EnginePlace;
  #engineProcess: EngineProcess | null = null;
  #apiProcess: ApiProcess | null = null;
  #customer: Customer | null = null;
  #card: OwnCard | null = null;

  private constructor(databaseUrl: string, engine: EnginePlace) {
    this.databaseUrl = databaseUrl;
    this.engine = engine;
    this.sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  }

  /** Starts both on the same settings; all of it ends with the test. */
  static async start(t: Test, env: Environment): Promise<Deployment> {
    const database = await createTestDatabase();
    const dataDir = mkdtempSync(join(tmpdir(), 'deployment-'));
    const deployment = new Deployment(database.url, await enginePlace(database.url, dataDir));
    t.teardown(async () => {
      await deployment.#apiProcess?.stop();
      await deployment.#engineProcess?.kill('SIGKILL');
      await deployment.sql.end({ timeout: 1 });
      await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    });
    await deployment.startEngine(env);
    await deployment.startApi(env);
    const customer = await Customer.register(deployment, 'business');
    const account = await customer.accountId();
    await customer.post(`/api/accounts/${account}/deposits`, { amount: depositMinor });
    deployment.#customer = customer;
    deployment.#card = { ...(await customer.card(account)), status: 'active' };
    return deployment;
  }

  get customer(): Customer {
    return this.#customer!;
  }
  get apiUrl(): string {
    return this.#apiProcess!.url;
  }
  /** What both processes have said. */
  get logged(): string {
    return `${this.#engineProcess?.logged}${this.#apiProcess?.logged}`;
  }

  async startEngine(env: Environment): Promise<void> {
    await this.#engineProcess?.kill('SIGTERM');
    // Effects are of interest here, not how fast they come.
    this.#engineProcess = await startEngineProcess(this.engine, { ...env });
  }

  async startApi(env: Environment): Promise<void> {
    await this.#apiProcess?.stop();
    this.#apiProcess = await this.newApi(env);
  }

  /** One more API process, which the caller stops. */
  async newApi(env: Environment): Promise<ApiProcess> {
    const api = new ApiProcess(await findFreePort(), {
      DATABASE_URL: this.databaseUrl,
      API_OPS_PORT: String(await findFreePort()),
      ENGINE_URL: `http://127.0.0.1:${this.engine.opsPort}`,
      ...env,
    });
    await api.ready();
    return api;
  }

  request(method: string, path: string, options?: Parameters<typeof request>[3]): Promise<Reply> {
    return request(this.apiUrl, method, path, options);
  }

  /** A card that the engine has to look for. */
  async payWithNewCard(): Promise<void> {
    const { token } = await this.customer.card(await this.customer.accountId());
    await pay(this, token);
  }

  /** A component of the engine's `/health`, or of the API's. */
  async health(of: 'engine' | 'api', component: string): Promise<ComponentHealth> {
    const { text } =
      of === 'engine'
        ? await opsGet(this.engine, '/health')
        : await request(this.#apiProcess!.opsUrl, 'GET', '/health');
    return JSON.parse(text).components[component];
  }

  /** Waits until a component of either looks as it should. */
  async untilHealth(of: 'engine' | 'api', component: string, status: string, detail: RegExp): Promise<void> {
    let last: ComponentHealth | null = null;
    const looks = async () => {
      last = await this.health(of, component);
      return last.status === status && detail.test(last.detail);
    };
    await until(`${component} of the ${of} is ${status}, ${detail}`, looks, healMs).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
    });
  }

  /**
   * Freezes the card, or unfreezes it, and asks the engine for a payment once the API has said that this is in force.
   * @returns the reason of the decision, which no approval of a frozen card may be
   */
  async change(): Promise<{ readonly status: string; readonly reason: string }> {
    const card = this.#card!;
    card.status = card.status === 'active' ? 'frozen' : 'active';
    const path = `/api/cards/${card.id}`;
    let reply = await this.customer.change('PATCH', path, { status: card.status });
    // 202: not known to be in force yet; the answer says where to ask.
    await until(
      `${card.status} is in force`,
      async () => {
        if (reply.json?.effective === true) return true;
        reply = await this.customer.get(`${path}/effective`);
        return false;
      },
      healMs,
    );
    const { reason } = await pay(this, card.token);
    return { status: card.status, reason };
  }
}
