/** What this database is for. */
import { DatabaseUnavailable } from './database-errors.js';
import type { Database } from './postgres.js';

export class Program {
  readonly #database: Database;
  readonly #selfFunding: boolean;
  #isDemo: boolean | null = null;

  /** @param selfFunding whether the environment lets customers fund their own accounts */
  constructor(database: Database, selfFunding: boolean) {
    this.#database = database;
    this.#selfFunding = selfFunding;
  }

  /** Whether customers may fund their own accounts: money from nowhere is for demo data. Throws DatabaseUnavailable. */
  async allowsSelfFunding(): Promise<boolean> {
    return this.#selfFunding && (await this.#isDemoDatabase());
  }

  /** Throws when the environment asks for what this database is not for. A database that is away is asked later. */
  async check(): Promise<void> {
    try {
      if (!this.#selfFunding || (await this.#isDemoDatabase())) return;
    } catch (error) {
      if (error instanceof DatabaseUnavailable) return;
      throw error;
    }
    throw new Error('SELF_FUNDING=true is for a database with demo data: unset it, and fund accounts with an API key');
  }

  async #isDemoDatabase(): Promise<boolean> {
    if (this.#isDemo === null) {
      const [row] = await this.#database.run(
        'program.demo',
        (sql) => sql<{ demo: boolean }[]>`select demo from program`,
      );
      this.#isDemo = row?.demo ?? false;
    }
    return this.#isDemo;
  }
}
