/** Numbers, money, times and tables. Texts from outside are children, so they are always text nodes. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { amountText, dateTimeText, durationText, timeText, utcText } from './format.js';
import { useKeys } from './keys.js';
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

/** @returns the key of the row that the keyboard has chosen */
function useRowKeys<Row>(
  rows: readonly Row[],
  rowKey: (row: Row) => string,
  onOpen: ((row: Row) => void) | undefined,
): string | null {
  const selected = useSignal<string | null>(null);
  const at = () => rows.findIndex((row) => rowKey(row) === selected.value);
  // The keys are bound once, and act on the newest rows.
  const latest = useRef({ move: (_by: number) => {}, open: () => {} });
  latest.current = {
    move: (by) => {
      const row = rows[Math.min(Math.max(at() + by, 0), rows.length - 1)];
      selected.value = row === undefined ? null : rowKey(row);
    },
    open: () => {
      const row = rows[at()];
      if (row !== undefined) onOpen?.(row);
    },
  };
  useKeys(
    onOpen === undefined
      ? []
      : [
          { keys: 'j', title: 'keys.next', run: () => latest.current.move(1) },
          { keys: 'k', title: 'keys.previous', run: () => latest.current.move(-1) },
          { keys: 'Enter', title: 'keys.open', run: () => latest.current.open() },
        ],
  );
  const { value: key } = selected;
  useEffect(() => {
    if (key !== null) document.querySelector('tr.selected')?.scrollIntoView({ block: 'nearest' });
  }, [key]);
  return key;
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
  readonly onOpen?: (row: Row) => void;
}

/** A list with its caption for screen readers. Rows that open take `j`, `k` and Enter. The caller bounds the rows. */
export function Table<Row>({ caption, columns, rows, rowKey, onOpen }: TableProps<Row>) {
  const selectedKey = useRowKeys(rows, rowKey, onOpen);
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
