/** What postgres.js says and throws when Postgres, or the way to it, goes. */

/**
 * An error that says that Postgres, or the way to it, has gone. These are postgres.js' own codes, a deadline of ours,
 * and Node's codes, with EMFILE and ENFILE for a missing file descriptor. Of SQLSTATE they are classes 57 (shutting
 * down, cancelled by the statement limit), 53 (out of connections or memory) and 08, and 25006 (the server has become
 * read-only).
 */
export function isConnectionError(reason: unknown): boolean {
  const code = (reason as { code?: unknown } | null)?.code;
  return (
    typeof code === 'string' &&
    /^(CONNECT|NO_ANSWER|ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|EMFILE|ENFILE|ETIMEDOUT|57|53|08|25006)/.test(code)
  );
}

/**
 * postgres.js 3.4.9 throws from a timer when a connection closes under a write that was put off (its issues 1066, 1154,
 * 1208). The query itself is rejected or runs into its deadline, so the process may go on.
 */
export function isDriverWriteAfterClose(error: Error): boolean {
  return error instanceof TypeError && /reading 'write'/.test(error.message) && /nextWrite/.test(error.stack ?? '');
}
