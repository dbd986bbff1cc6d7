/**
 * Types of parameters that postgres.js need not ask for. By itself it reads the types of all arrays on every new
 * connection, before any query of ours, in a promise that no code awaits. A connection that ends in this moment (a
 * deadline of ours, a server that stops) leaves an unhandled rejection, which ends a process.
 */

/** Options of a connection: arrays of texts and of whole numbers may be parameters. */
export const knownTypes = {
  fetch_types: false,
  types: { texts: arrayType(1009), numbers: arrayType(1016) },
};

/** @param oid of the array's type: text[] or bigint[] */
function arrayType(oid: number) {
  // None comes back: what is read is JSON.
  return { to: oid, from: [], serialize: arrayLiteral, parse: (text: string) => text };
}

function arrayLiteral(values: readonly (string | number)[]): string {
  return `{${values.map((value) => (typeof value === 'string' ? quoted(value) : value)).join(',')}}`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
