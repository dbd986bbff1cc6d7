/**
 * Mails of a demo: written to the log, where a person who tries the product finds the links. Any other database
 * refuses, because a link in a log is a password in a log.
 */

import type { Log } from '../../platform/log.js';
import { Problem } from '../http/problem.js';
import type { Mail, MailCounts, Mailer } from './mailer.js';

export class LogMailer implements Mailer {
  readonly #log: Log;
  readonly #isDemo: () => Promise<boolean>;
  readonly counts = { sent: 0, failed: 0, waiting: 0 } satisfies MailCounts;

  /** @param isDemo whether the database has demo data. May throw DatabaseUnavailable */
  constructor(log: Log, isDemo: () => Promise<boolean>) {
    this.#log = log;
    this.#isDemo = isDemo;
  }

  async check(): Promise<void> {
    if (await this.#isDemo()) return;
    throw new Problem(503, 'mail_unavailable', 'this server sends no mail: its operator must set SMTP_URL');
  }

  send(mail: Mail): void {
    void this.#write(mail);
  }

  async stop(): Promise<void> {}

  async #write({ to, subject, text }: Mail): Promise<void> {
    try {
      await this.check();
      this.counts.sent++;
      this.#log.info({ mail: { to, subject, text } }, 'mail of the demo');
    } catch (error) {
      this.counts.failed++;
      this.#log.warn({ error: (error as Error).message }, 'a mail was not sent');
    }
  }
}
