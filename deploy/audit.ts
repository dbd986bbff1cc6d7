/**
 * `make audit`: exit code 0 and one line of totals when the books balance, 1 and what does not balance otherwise. Where
 * there are no books it refuses: an empty database balances, and proves nothing.
 */
import { auditBooks } from './audit-books.js';
import { withDatabase } from './database.js';
import { readSettings, SettingError } from './settings.js';

try {
  const report = await withDatabase(readSettings(), console.log, auditBooks, { mustExist: true });
  if (report.findingCount === 0) {
    console.log(
      `the books balance: ${report.accounts} accounts, ${report.postings} postings, funds ${report.funds} = available ` +
        `${report.funds - report.held - report.posted} + held ${report.held} + posted ${report.posted} (minor units)`,
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
