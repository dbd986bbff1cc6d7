/** Numbers, money, times and tables. Texts from outside are children, so they are always text nodes. */
import type { ComponentChildren } from 'preact';
import { amountText, dateTimeText, durationText, timeText, utcText } from './format.js';
import { language } from './messages.js';

export function Money({ minor, currency }: { readonly minor: number; readonly currency: string }) {
  return (
    <span class="number">
      {amountText(minor, currency, language.value)}
      <span class="unit">{currency}</span>
    </span>
  );
}

interface TimeProps {
  readonly atMs: number;
  /** The time of day to the millisecond, without the date. */
  readonly precise?: boolean;
  readonly withDate?: boolean;
}

/** In the viewer's zone, with UTC on hover. */
export function Time({ atMs, precise = false, withDate = false }: TimeProps) {
  const text = withDate ? dateTimeText(atMs, language.value) : timeText(atMs, language.value, precise);
  return (
    <time dateTime={new Date(atMs).toISOString()} title={utcText(atMs)}>
      {text}
    </time>
  );
}

export function Duration({ ms }: { readonly ms: number }) {
  return <span class="number">{durationText(ms, language.value)}</span>;
}

/** A share of something, as a mark beside its number. */
export function Bar({ share, label }: { readonly share: number; readonly label: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a meter element cannot be styled alike in all browsers
    <span class="bar" role="meter" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}>
      <span style={{ width: `${percent}%` }} />
    </span>
  );
}

/** Approved or declined: a shape, a colour and, for screen readers, a word. */
export function Verdict({ approved, word }: { readonly approved: boolean; readonly word: string }) {
  return (
    <span class={approved ? 'approve' : 'decline'}>
      <span aria-hidden="true">{approved ? '✓' : '✗'}</span>
      <span class="unseen">{word}</span>
    </span>
  );
}

/** The end of an id: whole ids and tokens are for machines. */
export function ShortId({ id }: { readonly id: string }) {
  return <code title={id}>…{id.slice(-4)}</code>;
}

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly isNumber?: boolean;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
  readonly selectedKey?: string | null;
  readonly onOpen?: (row: Row) => void;
}

/** A list with its caption for screen readers. The caller bounds the rows. */
export function Table<Row>({ caption, columns, rows, rowKey, selectedKey = null, onOpen }: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard
    <section class="table" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ title, isNumber }) => (
              <th key={title} scope="col" class={isNumber ? 'number' : ''}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={rowKey(row)}
              class={rowKey(row) === selectedKey ? 'selected' : ''}
              onDblClick={onOpen === undefined ? undefined : () => onOpen(row)}
            >
              {columns.map(({ title, cell, isNumber }) => (
                <td key={title} class={isNumber ? 'number' : ''}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
