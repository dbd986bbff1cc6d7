/**
 * Broken invariants. An exception from here is a bug in this program, never an answer to a client: refusals are values
 * (see reasons.ts).
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws when `condition` is false. Use for what must hold whatever a client sends. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Ends a switch that lists every case: a new case fails to compile, a corrupt value fails at run time. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${String(value)}`);
}
