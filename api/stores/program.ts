/** What this database is for. */

import type { Log } from '../../platform/log.js';
import { checkDatabaseRole, type DatabaseRole, databaseRoleQuery } from '../../platform/postgres/database-role.js';
import { firstFailure } from '../../platform/postgres/server-version.js';
import { seeRunbook } from '../../platform/runbook.js';
import { DatabaseUnavailable } from './database-errors.js';
import type { Database } from './postgres.js';

export class Program {
  readonly #database: Database;
  readonly #selfFunding: boolean;
  readonly #log: Log;
  #demo: boolean | null = null;

  /** @param selfFunding whether the environment lets customers fund their own accounts */
  constructor(database: Database, selfFunding: boolean, log: Log) {
    this.#database = database;
    this.#log = log;
    this.#selfFunding = selfFunding;
  }

  /** Whether customers may fund their own accounts: money from nowhere is for demo data. Throws DatabaseUnavailable. */
  async allowsSelfFunding(): Promise<boolean> {
    return this.#selfFunding && (await this.isDemo());
  }

  /** Throws when the environment asks for what this database is not for. A database that is away is asked later. */
  async check(): Promise<void> {
    try {
      await this.#checkRole();
      if (!this.#selfFunding || (await this.isDemo())) return;
    } catch (error) {
      if (error instanceof DatabaseUnavailable) return;
      throw await firstFailure(error, (text) => this.#database.run('program.version', (sql) => sql.unsafe(text)));
    }
    throw new Error('SELF_FUNDING=true is for a database with demo data: unset it, and fund accounts with an API key');
  }

  async #checkRole(): Promise<void> {
    const [role] = await this.#database.run('program.role', (sql) => sql.unsafe<DatabaseRole[]>(databaseRoleQuery));
    if (!role!.mayServeApi) {
      throw new Error(
        `the database role ${role!.name} lacks the account API's rights: give DATABASE_URL the role afc_api, or run ` +
          'npm run migrate where the rights are older than this version (docs/security.md#database-roles)',
      );
    }
    // A pooler may drop what a connection asks for at its start, and the gate of every write hangs on it.
    const [session] = await this.#database.run(
      'program.session',
      (sql) => sql<{ isGated: boolean }[]>`
        select current_setting('audit.required', true) is not distinct from 'on' as "isGated"`,
    );
    if (!session!.isGated) {
      throw new Error(
        `the pooler of DATABASE_URL drops the setting audit.required: set it for the role ${role!.name} ` +
          `(${seeRunbook('pooler')})`,
      );
    }
    const warning = checkDatabaseRole(role!);
    if (warning !== '') this.#log.warn(warning);
  }

  /** Whether the database has demo data. Throws DatabaseUnavailable. */
  async isDemo(): Promise<boolean> {
    if (this.#demo === null) {
      const [row] = await this.#database.run(
        'program.demo',
        (sql) => sql<{ demo: boolean }[]>`select demo from program`,
      );
      this.#demo = row?.demo ?? false;
    }
    return this.#demo;
  }
}
