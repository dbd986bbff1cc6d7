/** Where docs/runbook.md says what a person can do: errors and health details end with one of these. */
export const runbookSections = [
  'begin-anew',
  'deleted-journal',
  'damaged-journal',
  'foreign-journal',
  'failed-journal',
  'another-journal',
  'full-journal',
  'stale-feed',
  'lagging-books',
  'quarantined-records',
  'lapsed-lease',
  'backup-and-restore',
  'late-copies',
  'pooler',
  'audit',
] as const;

export type RunbookSection = (typeof runbookSections)[number];

export function seeRunbook(section: RunbookSection): string {
  return `see docs/runbook.md#${section}`;
}
