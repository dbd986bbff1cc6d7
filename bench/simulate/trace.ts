/** The readable trace: one line a message, aligned. */
import type { Answer, Message } from './networks/network.js';
import type { CardChange } from './story.js';

const columns = { time: 9, title: 46, life: 14, amount: 12, status: 6, words: 32 } as const;

/** Major units with two decimals, as every account of the simulator has. */
export function money(minor: number): string {
  const digits = Math.abs(minor).toString().padStart(3, '0');
  return `${minor < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

export interface TracedMessage {
  /** Since the story began. */
  readonly atMs: number;
  readonly durationMs: number;
  readonly life: string;
  readonly message: Message;
  readonly answer: Answer;
  /** How often it was sent, all at once. */
  readonly times: number;
}

export function messageLine({ atMs, durationMs, life, message, answer, times }: TracedMessage): string {
  const { title, amountMinor, isQuestion } = message;
  const arrow = isQuestion ? '?' : '·';
  const often = times > 1 ? ` ×${times}` : '';
  const part =
    answer.approved === true && answer.approvedMinor !== undefined && answer.approvedMinor !== amountMinor
      ? ` ${money(answer.approvedMinor)}`
      : '';
  return [
    `${(atMs / 1000).toFixed(3)} s`.padStart(columns.time),
    arrow,
    `${title}${often}`.padEnd(columns.title),
    life.padEnd(columns.life),
    (amountMinor === null || amountMinor === 0 ? '' : money(amountMinor)).padStart(columns.amount),
    String(answer.status).padStart(columns.status),
    `${answer.words}${part}`.padEnd(columns.words),
    `${durationMs.toFixed(1)} ms`.padStart(9),
  ].join(' ');
}

/** A line below a message, at the place of its title. */
export function noteLine(mark: string, text: string): string {
  return `${' '.repeat(columns.time)} ${mark} ${text}`;
}

export function changeText(card: string, change: CardChange): string {
  if ('limits' in change) return `card ${card} has the limits ${JSON.stringify(change.limits)}`;
  return `card ${card} is ${change.status}`;
}
