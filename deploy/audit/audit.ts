/**
 * `make audit`: exit code 0 and lines of totals when the books balance, agree with the journal (under DATA_DIR or in
 * Postgres), and the audit trail is whole. Otherwise exit code 1 and the findings. Where there are no books it refuses:
 * an empty database balances, and proves nothing.
 */
import { join } from 'node:path';
import { withDatabase } from '../database.js';
import { readSettings, SettingError } from '../settings.js';
import { auditBooks } from './audit-books.js';
import { auditFrames } from './audit-frames.js';
import { auditJournals } from './audit-journals.js';
import { auditTrail } from './audit-trail.js';

try {
  const settings = readSettings();
  const [report, journals, frames, trail] = await withDatabase(
    settings,
    console.log,
    async (sql) =>
      [
        await auditBooks(sql),
        await auditJournals(sql, join(settings.dataDir, 'journal')),
        await auditFrames(sql),
        await auditTrail(sql),
      ] as const,
    { mustExist: true },
  );
  for (const { notes, findings } of [journals, frames]) for (const line of [...notes, ...findings]) console.error(line);
  for (const line of trail.findings) console.error(line);
  if (journals.findings.length + frames.findings.length + trail.findings.length > 0) process.exitCode = 1;
  if (trail.findings.length === 0) {
    const { sealed, fresh, head } = trail;
    console.log(
      `the audit trail is whole: ${sealed} entries, ${fresh} more not sealed yet; keep its head elsewhere: place ` +
        `${head.place}, hash ${head.hash}`,
    );
  }
  if (report.findingCount === 0) {
    console.log(
      `the books balance: ${report.accounts} accounts, ${report.postings} postings, funds ${report.funds} = ` +
        `available ${report.funds - report.held - report.posted} + held ${report.held} + posted ${report.posted} ` +
        '(minor units)',
    );
  } else {
    for (const finding of report.findings) console.error(finding);
    const more = report.findingCount - report.findings.length;
    console.error(`the books do not balance: ${report.findingCount} findings${more > 0 ? `, ${more} not listed` : ''}`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof SettingError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
