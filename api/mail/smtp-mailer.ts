/**
 * Mails by SMTP, and the only importer of nodemailer. A few mails are under way at once, and the others wait in a
 * bounded queue. A delivery has a deadline, and is tried again a few times unless the server refused the mail for good.
 * The queue is memory: after a crash people ask for their link once more. Logs name neither addresses nor texts.
 */
import { createTransport } from 'nodemailer';
import type { Log } from '../../platform/log.js';
import { unavailable } from '../http/problem.js';
import type { Mail, MailCounts, Mailer } from './mailer.js';

export interface SmtpConfig {
  /** `smtp://` or `smtps://`, with credentials where the server wants them. */
  readonly url: string;
  /** The sender of every mail. */
  readonly from: string;
}

export const queueMax = 1000;
const runningMax = 4;
const connectMs = 10_000;
/** A server that answers in drips resets every timeout of a socket, so the whole delivery has one too. */
const deliveryMs = 30_000;
/** Waits before the second, third and fourth attempt. */
export const retryMs = [1000, 10_000, 60_000] as const;
const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export class SmtpMailer implements Mailer {
  readonly #transport: ReturnType<typeof transportOf>;
  readonly #from: string;
  readonly #log: Log;
  readonly #waiting: Mail[] = [];
  readonly #stopped = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #retryMs: readonly number[];
  #sent = 0;
  #failed = 0;

  constructor({ url, from }: SmtpConfig, log: Log, waitsMs: readonly number[] = retryMs) {
    this.#transport = transportOf(new URL(url));
    this.#from = from;
    this.#log = log;
    this.#retryMs = waitsMs;
  }

  get counts(): MailCounts {
    return { sent: this.#sent, failed: this.#failed, waiting: this.#waiting.length + this.#running.size };
  }

  async check(): Promise<void> {
    if (this.#waiting.length >= queueMax) throw unavailable('too many mails wait to be sent; try again', 10);
  }

  send(mail: Mail): void {
    if (this.#stopped.signal.aborted || this.#waiting.length >= queueMax) {
      this.#fail('the queue is full');
      return;
    }
    this.#waiting.push(mail);
    this.#startNext();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#failed += this.#waiting.splice(0).length;
    await Promise.all(this.#running);
    this.#transport.close();
  }

  #startNext(): void {
    if (this.#running.size >= runningMax) return;
    const mail = this.#waiting.shift();
    if (mail === undefined) return;
    const delivery = this.#deliver(mail).finally(() => {
      this.#running.delete(delivery);
      this.#startNext();
    });
    this.#running.add(delivery);
  }

  /** Never rejects. */
  async #deliver({ to, subject, text }: Mail): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(deliveryMs)]);
      try {
        await this.#transport.sendMail({ from: this.#from, to: { name: '', address: to }, subject, text, signal });
        this.#sent++;
        return;
      } catch (error) {
        const { code = 'unknown', responseCode } = error as { code?: string; responseCode?: number };
        const isFinal = responseCode !== undefined && responseCode >= 500;
        const waitMs = this.#retryMs[attempt];
        if (isFinal || waitMs === undefined || this.#stopped.signal.aborted) {
          this.#fail(responseCode === undefined ? code : `${code} ${responseCode}`);
          return;
        }
        await this.#rest(waitMs);
      }
    }
  }

  #fail(reason: string): void {
    this.#failed++;
    this.#log.warn({ reason }, 'a mail was not sent: see SMTP_URL and MAIL_FROM, and what the SMTP server logged');
  }

  /** Ends early when the mailer stops. */
  #rest(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stopped;
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, waitMs);
      signal.addEventListener('abort', end);
    });
  }
}

function transportOf(url: URL) {
  const secure = url.protocol === 'smtps:';
  const { hostname, port, username, password } = url;
  return createTransport({
    pool: true,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 465 : 587) : Number(port),
    secure,
    // The mails carry secrets: without TLS they go no further than this machine.
    requireTLS: !secure && !loopback.test(hostname),
    ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    maxConnections: runningMax,
    maxRequeues: 0,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: connectMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
