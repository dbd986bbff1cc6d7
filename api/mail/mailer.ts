/** How mails leave the API. Routes queue a mail and answer; the delivery goes on behind them. */

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

export interface Mailer {
  /** Throws a 503 when no mail can be sent from here, or too many wait. Asked before anything is written. */
  check(): Promise<void>;
  /** Queues a mail. One that cannot be delivered is counted and logged, without its text. */
  send(mail: Mail): void;
  /** Gives up what is not delivered yet. */
  stop(): Promise<void>;
  /** Read by the metrics. */
  readonly counts: MailCounts;
}

export interface MailCounts {
  readonly sent: number;
  readonly failed: number;
  readonly waiting: number;
}
