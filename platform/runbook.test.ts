/** What errors point to is there. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { repositoryRoot } from '../sql/repository-root.js';
import { runbookSections } from './runbook.js';

t.test('every section that an error names is in the runbook, and so is every link inside it', async (t) => {
  const text = readFileSync(`${repositoryRoot()}/docs/runbook.md`, 'utf8');
  const anchors = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(' ', '-'));
  for (const section of runbookSections) t.ok(anchors.includes(section), `section ${section}`);
  for (const [, anchor] of text.matchAll(/\]\(#([^)]*)\)/g)) t.ok(anchors.includes(anchor!), `link to ${anchor}`);
});
