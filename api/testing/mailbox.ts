/** A real SMTP server for tests, which keeps what it receives. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';

export interface ReceivedMail {
  readonly to: string;
  readonly from: string;
  readonly subject: string;
  readonly text: string;
}

export class Mailbox {
  readonly #server: SMTPServer;
  readonly mails: ReceivedMail[] = [];
  /** Connections so far. */
  connections = 0;

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onConnect: (_session, accept) => {
        this.connections++;
        accept();
      },
      onData: (stream, { envelope }, done) => {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const [to] = envelope.rcptTo;
          this.mails.push(parsed(to!.address, Buffer.concat(chunks).toString('utf8')));
          done();
        });
      },
      ...options,
    });
    this.#server.on('error', () => undefined);
  }

  /** Listens until the test ends. @param options of the server, to make it refuse */
  static async start(t: Test, options: SMTPServerOptions = {}): Promise<Mailbox> {
    const mailbox = new Mailbox(options);
    const { server } = mailbox.#server;
    t.teardown(() => new Promise<void>((resolve) => mailbox.#server.close(() => resolve())));
    mailbox.#server.listen(0, '127.0.0.1');
    if (!server.listening) await once(server, 'listening');
    return mailbox;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.#server.server.address() as AddressInfo).port}`;
  }

  /** What an API needs to send its mails here. */
  get env(): Record<string, string> {
    return { SMTP_URL: this.url, MAIL_FROM: 'Cards <cards@example.com>', PUBLIC_URL: 'https://cards.example' };
  }

  /** The n-th mail to an address, from 1. */
  async mail(to: string, number = 1): Promise<ReceivedMail> {
    const received = () => this.mails.filter((mail) => mail.to === to);
    await until(`mail ${number} to ${to} arrives`, () => received().length >= number);
    return received()[number - 1]!;
  }

  /** The token of the link in the n-th mail to an address. */
  async token(to: string, number = 1): Promise<string> {
    const { text } = await this.mail(to, number);
    const [, token] = /https:\/\/cards\.example\/app\/\w+#\w+=(\S+)/.exec(text) ?? [];
    if (token === undefined) throw new Error(`no link in: ${text}`);
    return token;
  }
}

function parsed(to: string, message: string): ReceivedMail {
  const end = message.indexOf('\r\n\r\n');
  const head = message.slice(0, end).replace(/\r\n[ \t]+/g, ' ');
  const body = message.slice(end + 4);
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? '';
  const isQuoted = /quoted-printable/i.test(header('content-transfer-encoding'));
  return { to, from: header('from'), subject: header('subject'), text: isQuoted ? unquoted(body) : body };
}

function unquoted(body: string): string {
  const bytes = body
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
