/**
 * What the engine and the account API may do with each table and view: the only place that says it. Every run of
 * `migrate` grants exactly this (grant-rights.ts). A new table or view needs an entry; `none` where a process has no
 * business there.
 *
 * A right is `select`, `insert`, `update` or `delete`, of the whole table or of some columns: `update(status, name)`.
 * Triggers and functions run with the rights of the process that caused them. Foreign keys need no right.
 */
export type ProcessName = 'engine' | 'api';

export interface ProcessRights {
  readonly engine: readonly string[];
  readonly api: readonly string[];
}

const none: readonly string[] = [];
const read = ['select'];
const write = ['select', 'insert', 'update'];
const writeAndDelete = [...write, 'delete'];

/** The API opens accounts that are empty: only the engine moves money. */
const openedAccount =
  'insert(public_id, kind, company_id, user_id, owner_key, currency, time_zone, status, partial_approval)';

export const tableRights: Readonly<Record<string, ProcessRights>> = {
  // Reference data: the API writes it, the engine reads it.
  companies: { engine: none, api: write },
  // The engine reads no address, no name and no password's hash.
  users: { engine: ['select(id, company_id, version, status)'], api: write },
  accounts: {
    engine: ['select', 'update(funds, available, held, posted)'],
    api: ['select', openedAccount, 'update(status, time_zone, partial_approval, version)'],
  },
  cards: { engine: read, api: write },
  limits: { engine: read, api: writeAndDelete },
  engine_accounts: { engine: read, api: none },
  engine_users: { engine: read, api: none },
  program: { engine: read, api: read },
  ledger_identity: { engine: read, api: read },
  images: { engine: none, api: ['select', 'insert', 'update(unused_since)', 'delete'] },
  image_files: { engine: none, api: ['select', 'insert'] },
  books_state: { engine: none, api: ['select', 'update(checked_at, accounts, unchecked, unbalanced, first_account)'] },
  api_leases: { engine: none, api: writeAndDelete },

  // The ledger: the engine's shipper settles into it, the API reads it.
  transactions: { engine: write, api: read },
  transaction_events: { engine: ['select', 'insert', 'update(transaction_id)'], api: read },
  ledger_adjustments: { engine: read, api: read },
  spend_windows: { engine: writeAndDelete, api: read },
  card_uses: { engine: writeAndDelete, api: read },
  rolling_spend: { engine: writeAndDelete, api: read },
  journal_positions: { engine: write, api: read },
  journal_frames: { engine: ['select', 'insert'], api: none },
  journal_owners: { engine: ['select', 'update(barriers)'], api: none },
  quarantined_records: { engine: ['select', 'insert', 'delete'], api: read },
  holds: { engine: read, api: read },
  postings: { engine: read, api: read },
  writer_leases: { engine: write, api: read },
  writer_epochs: { engine: write, api: none },
  engines: { engine: writeAndDelete, api: none },
  engines_alive: { engine: read, api: none },
  partition_leases: { engine: write, api: none },
  stand_in_approvals: { engine: ['select', 'insert', 'delete'], api: none },

  // The feed: the API's triggers fill the outbox, both number it, the relay of the API prunes it.
  outbox: { engine: ['select', 'update(sequence)'], api: ['select', 'insert', 'update(sequence)', 'delete'] },
  feed_position: { engine: ['select', 'update'], api: ['select', 'update'] },
  feed_run: { engine: ['select', 'insert'], api: ['select', 'insert'] },
  feed_engines: { engine: writeAndDelete, api: read },
  feed_engines_live: { engine: read, api: read },
  feed_set_apart: { engine: writeAndDelete, api: read },

  // Signing in. Operators are added by the owner of the database: npm run operator.
  sessions: { engine: none, api: writeAndDelete },
  idempotency_keys: { engine: none, api: writeAndDelete },
  operators: { engine: none, api: ['select', 'update(totp_step)'] },
  operator_sessions: { engine: none, api: writeAndDelete },
  api_keys: { engine: none, api: write },
  invitations: { engine: none, api: writeAndDelete },
  password_resets: { engine: none, api: writeAndDelete },

  // Decided once: only the outcome of a funding changes.
  fundings: { engine: none, api: ['select', 'insert', 'update(status, decided_by, decided_at, reason)'] },

  // The audit trail: triggers and functions of the owner write it, operators read it by the API.
  audit_fresh: { engine: none, api: read },
  audit_trail: { engine: none, api: read },
  audit_head: { engine: none, api: read },
  audit_anchors: { engine: none, api: none },
  audit_open: { engine: none, api: read },

  // Of postgrator.
  schema_version: { engine: read, api: read },
};

/**
 * Functions that run with the rights of the database's owner (SECURITY DEFINER), and the processes that may call them.
 * Each fixes its search_path. Others run with the caller's rights and need no entry.
 */
export const functionRights: Readonly<Record<string, readonly ProcessName[]>> = {
  actor_check: ['api'],
  audit_append: ['api'],
  audit_complete: ['api'],
  audit_failing: ['api'],
  audit_seal: ['api'],
  audit_upkeep: ['api'],
  journal_take_over: ['engine'],
  journal_upkeep: ['engine'],
  // Called by triggers, and by functions of the owner.
  audit_context: [],
  audit_changed: [],
  audit_came_or_went: [],
  audit_limits: [],
  audit_session: [],
  audit_operator_session: [],
  audit_funding: [],
};
