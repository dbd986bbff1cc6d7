/** Texts as they are compared where case does not count. */
import type { Sql } from './sql.js';

/** In lower case by Unicode's rules, whatever the database's locale (sql/migrations/280). */
export function folded(sql: Sql, text: ReturnType<Sql>) {
  return sql`lower(${text} collate folding)`;
}
