/** Which versions of PostgreSQL this program works with: 15 and newer. */

/** As in server_version_num. */
const oldest = 150_000;

/** Text of the query that answers with one row `{ version }`. */
export const serverVersionQuery = `select current_setting('server_version_num')::integer as version`;

/** @returns why a server of this version cannot be used, in one line; '' when it can */
export function versionProblem(version: number): string {
  if (version >= oldest) return '';
  return `the server is PostgreSQL ${nameOf(version)}, and ${nameOf(oldest)} is the oldest that works: upgrade it`;
}

/**
 * What a process says when its first statement fails. No schema of ours can be on a server that is too old, so there it
 * always fails, and for a reason that the statement's own error does not name.
 */
export async function firstFailure(
  error: unknown,
  run: (text: string) => PromiseLike<readonly { readonly version?: number }[]>,
): Promise<unknown> {
  try {
    const [row] = await run(serverVersionQuery);
    const problem = versionProblem(row!.version!);
    return problem === '' ? error : new Error(problem);
  } catch {
    return error;
  }
}

/** 140012 → 14, 90624 → 9.6: the digits behind are those of the minor release. */
function nameOf(version: number): string {
  const major = Math.floor(version / 10_000);
  return major >= 10 ? String(major) : `${major}.${Math.floor(version / 100) % 100}`;
}
