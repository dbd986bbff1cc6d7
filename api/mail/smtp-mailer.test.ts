/** Mails against a real SMTP server: delivery, retries, refusals, and what bounds them. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { Mailbox } from '../testing/mailbox.js';
import { LogMailer } from './log-mailer.js';
import { Mails } from './mails.js';
import { queueMax, SmtpMailer } from './smtp-mailer.js';

const mail = (to = 'ada@example.com') => ({
  to,
  subject: 'A subject',
  text: 'A text with a secret-token.\nÜber zwei Zeilen',
});

function logged() {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { lines, log: pino({ level: 'debug' }, stream) };
}

function mailerTo(t: Test, url: string, waitsMs: readonly number[] = [1, 1]) {
  const { lines, log } = logged();
  const mailer = new SmtpMailer({ url, from: 'Cards <cards@example.com>' }, log, waitsMs);
  t.teardown(() => mailer.stop());
  return { lines, mailer };
}

t.test('a mail arrives as it was given', async (t) => {
  const mailbox = await Mailbox.start(t);
  const { mailer } = mailerTo(t, mailbox.url);
  mailer.send(mail());
  t.match(await mailbox.mail('ada@example.com'), {
    from: 'Cards <cards@example.com>',
    subject: 'A subject',
    text: /secret-token\.\s+Über zwei Zeilen/,
  });
  await until('it counts as sent', () => mailer.counts.sent === 1);
});

t.test('a temporary refusal is tried again, a final one is not, and no log has the text', async (t) => {
  let tries = 0;
  const mailbox = await Mailbox.start(t, {
    onRcptTo: ({ address }, _session, done) => {
      tries++;
      if (address.startsWith('gone')) done(Object.assign(new Error('no such mailbox'), { responseCode: 550 }));
      else if (tries < 3) done(Object.assign(new Error('come back later'), { responseCode: 451 }));
      else done();
    },
  });
  const { mailer, lines } = mailerTo(t, mailbox.url);
  mailer.send(mail());
  await mailbox.mail('ada@example.com');
  t.equal(tries, 3);
  mailer.send(mail('gone@example.com'));
  await until('it is given up', () => mailer.counts.failed === 1);
  t.equal(tries, 4, 'a final refusal is not tried again');
  t.match(lines.join(''), /550/);
  t.notMatch(lines.join(''), /secret-token|example\.com/);
});

t.test('without a server mails are dropped after their attempts, and the queue is bounded', async (t) => {
  const mailbox = await Mailbox.start(t);
  const { url } = mailbox;
  const { mailer } = mailerTo(t, url.replace(/\d+$/, '1'), [60_000]);
  for (let number = 0; number < queueMax + 10; number++) mailer.send(mail());
  await t.rejects(mailer.check(), { message: /too many mails/ }, 'a full queue is reported before any row is written');
  t.ok(mailer.counts.waiting <= queueMax + 4);
  t.ok(mailer.counts.failed > 0, 'mails beyond the bound are counted');
  await mailer.stop();
  t.equal(mailer.counts.waiting, 0, 'a stop waits for no retry');
});

t.test('a server on another machine must use TLS', async (t) => {
  const mailbox = await Mailbox.start(t);
  // The same server by a name that does not count as this machine.
  const { mailer } = mailerTo(t, mailbox.url.replace('127.0.0.1', '0.0.0.0'), []);
  mailer.send(mail());
  await until('it is given up', () => mailer.counts.failed === 1);
  t.equal(mailbox.mails.length, 0);
});

t.test('links are logged by a demo only', async (t) => {
  const { lines, log } = logged();
  const demo = new LogMailer(log, async () => true);
  await demo.check();
  demo.send(mail());
  await until('it is logged', () => demo.counts.sent === 1);
  t.match(lines.join(''), /secret-token/);
  const other = logged();
  const live = new LogMailer(other.log, async () => false);
  await t.rejects(live.check(), { message: /SMTP_URL/ });
  live.send(mail());
  await until('it is counted', () => live.counts.failed === 1);
  t.notMatch(other.lines.join(''), /secret-token/);
});

t.test('a name in a mail becomes no link', async (t) => {
  const { text, subject } = new Mails('https://cards.example').invitation(
    'ada@example.com',
    'visit evil.example/win',
    'https://evil.example',
    'afi_token',
    7,
  );
  t.notMatch(text + subject, /evil\.example|https:\/\/(?!cards\.example)/);
  t.match(text, 'https://cards.example/app/accept#invitation=afi_token');
});
