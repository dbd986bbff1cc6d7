/**
 * The same schema in meaning on every version of PostgreSQL. A landed migration is never edited, so where it says
 * something that an older server does not know, that server is given an equal of it.
 */

interface Equal {
  /** The first version that knows the construct, as in server_version_num. */
  readonly since: number;
  readonly construct: RegExp;
  readonly instead: string;
}

const equals: readonly Equal[] = [
  // Computed when it is written and not when it is read: the same values, for eight bytes a row.
  { since: 180_000, construct: /(GENERATED ALWAYS AS \([^()]*\)) VIRTUAL/g, instead: '$1 STORED' },
];

/** What a server of this version runs for a migration's text. */
export function textFor(version: number, text: string): string {
  return equals
    .filter(({ since }) => version < since)
    .reduce((changed, { construct, instead }) => changed.replaceAll(construct, instead), text);
}
