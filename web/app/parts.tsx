/** What several pages of the app show: pictures, cards, transactions, and what a request came to. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { ApiError, call, session } from '../kit/api.js';
import { Bar, Money, Time } from '../kit/data.js';
import { countText, moneyText } from '../kit/format.js';
import { language, t } from '../kit/messages.js';
import { href } from '../kit/router.js';
import { problemText } from '../kit/states.js';
import { categoryOf } from './categories.js';
import { declineWords } from './declines.js';
import { grouped } from './grouped.js';
import {
  type Card,
  type Image,
  type Limits,
  type ShownLimits,
  type Transaction,
  type User,
  type WindowName,
  windowNames,
} from './shapes.js';

export function me(): User {
  return session.value!['user'] as User;
}

/** May see and move money: everyone but members of a company. */
export function movesMoney(): boolean {
  return me().role !== 'member';
}

interface PictureProps {
  readonly image: Image | undefined;
  readonly name: string;
  readonly size: 48 | 96;
}

/** The image in the smallest file that fits the screen, or the first letter of the name. */
export function Picture({ image, name, size }: PictureProps) {
  if (image === undefined) {
    return (
      <span class={`picture letter size-${size}`} aria-hidden="true">
        {[...name.trim()][0]?.toUpperCase()}
      </span>
    );
  }
  const typeOf = (type: string) => image.sources.filter((source) => source.type === type);
  const srcset = (type: string) =>
    typeOf(type)
      .map(({ url, width }) => `${url} ${width}w`)
      .join(', ');
  return (
    <picture>
      <source type="image/avif" srcset={srcset('image/avif')} sizes={`${size}px`} />
      <source type="image/webp" srcset={srcset('image/webp')} sizes={`${size}px`} />
      <img
        class={`picture size-${size}`}
        src={typeOf('image/jpeg')[0]?.url}
        srcset={srcset('image/jpeg')}
        sizes={`${size}px`}
        width={size}
        height={size}
        alt=""
      />
    </picture>
  );
}

/** The end of a card's token: enough to tell cards apart. */
export function cardName({ name, token }: Pick<Card, 'name' | 'token'>): string {
  return `${name} …${token.slice(-4)}`;
}

export function CardStatus({ status }: { readonly status: Card['status'] }) {
  const look = status === 'active' ? 'approve' : 'soft';
  return (
    <span class={look}>
      <span aria-hidden="true">{status === 'active' ? '●' : status === 'frozen' ? '❄' : '○'}</span>{' '}
      {t(`cardStatus.${status}`)}
    </span>
  );
}

/** Each amount limit of a card, account or person, with what is used of it. */
export function UsedLimits({ shown, currency }: { readonly shown: ShownLimits; readonly currency: string }) {
  const { limits, used } = shown;
  const windows = windowNames.filter((name) => limits[name] !== undefined);
  return (
    <ul class="stack">
      {limits.perAuthorization !== undefined && (
        <li>
          {t('limits.perAuthorization')}: <Money minor={limits.perAuthorization} currency={currency} />
        </li>
      )}
      {windows.map((name) => (
        <li key={name}>
          <UsedWindow label={t(`window.${name}`)} limit={limits[name]!} use={used[name]} currency={currency} />
        </li>
      ))}
      {limits.rolling?.map((limit, index) => (
        <li key={index}>
          <UsedWindow
            label={t('rolling.last', { hours: countText(limit.hours, language.value) })}
            limit={limit}
            use={{ amount: 0, count: 0, ...used.rolling[index], resetsAt: null }}
            currency={currency}
          />
        </li>
      ))}
    </ul>
  );
}

interface UsedWindowProps {
  readonly label: string;
  readonly limit: NonNullable<Limits[WindowName]>;
  readonly use: ShownLimits['used'][WindowName];
  readonly currency: string;
}

function UsedWindow({ label, limit, use, currency }: UsedWindowProps) {
  const { amount, count } = limit;
  const share = Math.max(
    amount === undefined ? 0 : use.amount / Math.max(1, amount),
    count === undefined ? 0 : use.count / Math.max(1, count),
  );
  const text = [
    ...(amount === undefined
      ? []
      : [
          t('limits.usedAmount', {
            used: moneyText(use.amount, currency, language.value),
            limit: moneyText(amount, currency, language.value),
          }),
        ]),
    ...(count === undefined ? [] : [t('limits.usedCount', { used: use.count, limit: count })]),
  ].join(', ');
  return (
    <>
      <span class="row spread">
        <span>{label}</span>
        <span class="number">{text}</span>
      </span>
      <Bar share={share} label={`${label}: ${text}`} />
      {use.resetsAt !== null && (
        <span class="soft small">
          {t('limits.resets')} <Time atMs={Date.parse(use.resetsAt)} withDate />
        </span>
      )}
    </>
  );
}

interface TransactionListProps {
  readonly transactions: readonly Transaction[];
  readonly cards: readonly Card[];
}

/** By day, newest first. */
export function TransactionList({ transactions, cards }: TransactionListProps) {
  const days = grouped(transactions, ({ createdAt }) => new Date(createdAt).toDateString());
  return (
    <div class="stack">
      {[...days.values()].map((ofDay) => (
        <section key={ofDay[0]!.id} class="stack tight">
          <h3 class="soft">{dayText(ofDay[0]!.createdAt)}</h3>
          <ul class="rows">
            {ofDay.map((one) => (
              <TransactionRow key={one.id} transaction={one} card={cards.find(({ id }) => id === one.cardId) ?? null} />
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}

function dayText(at: string): string {
  const day = new Date(at);
  const today = new Date();
  if (day.toDateString() === today.toDateString()) return t('day.today');
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === yesterday.toDateString()) return t('day.yesterday');
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'full' }).format(day);
}

function TransactionRow({ transaction, card }: { readonly transaction: Transaction; readonly card: Card | null }) {
  const { id, merchant, status, currency, createdAt } = transaction;
  const isDeclined = status === 'declined';
  return (
    <li class="transaction">
      <a href={href(`/transactions/${encodeURIComponent(id)}`)}>{merchant.name ?? t('transaction.noMerchant')}</a>
      <span class={isDeclined ? 'struck number' : 'number'}>
        <Money minor={signedAmount(transaction)} currency={currency} />
      </span>
      <span class="soft small">
        {t(`category.${categoryOf(merchant.mcc)}`)} · <Time atMs={Date.parse(createdAt)} />
        {card !== null && ` · ${cardName(card)}`}
      </span>
      <span class={`small end ${isDeclined ? 'decline' : 'soft'}`}>
        {isDeclined && <span aria-hidden="true">✗ </span>}
        {t(`status.${status}`)}
      </span>
      {isDeclined && <DeclineHelp transaction={transaction} card={card} />}
    </li>
  );
}

/** Why, and the one thing that helps. */
export function DeclineHelp({ transaction, card }: { readonly transaction: Transaction; readonly card: Card | null }) {
  const { why, limitMinor, help } = declineWords(transaction, card);
  const limit = limitMinor === null ? '' : moneyText(limitMinor, transaction.currency, language.value);
  return (
    <p class="why">
      {t(why, { limit, category: t(`category.${categoryOf(transaction.merchant.mcc)}`) })}{' '}
      {help !== null && <a href={href(help.path)}>{t(help.label)}</a>}
    </p>
  );
}

/** Money out is below zero, a refund above it. */
export function signedAmount({ status, amount, heldAmount, postedAmount, refundedAmount }: Transaction): number {
  if (status === 'declined') return -amount;
  return refundedAmount - postedAmount - heldAmount;
}

/** What a field does with what is typed. */
export function into(field: { value: string }): (value: string) => void {
  return (value) => {
    field.value = value;
  };
}

export interface Action {
  readonly isBusy: boolean;
  readonly error: unknown;
  /** What the server says of fields. */
  readonly fields: Readonly<Record<string, string>>;
  run(work: () => Promise<void>): void;
}

/** One request of a form or a button at a time, and what went wrong with it. */
export function useAction(): Action {
  const isBusy = useSignal(false);
  const error = useSignal<unknown>(null);
  const run = (work: () => Promise<void>): void => {
    if (isBusy.value) return;
    isBusy.value = true;
    error.value = null;
    work()
      .catch((failed: unknown) => {
        error.value = failed;
      })
      .finally(() => {
        isBusy.value = false;
      });
  };
  const fields = error.value instanceof ApiError ? error.value.fields : {};
  return { isBusy: isBusy.value, error: error.value, fields, run };
}

/** What went wrong, for a screen reader too. */
export function ActionError({ action }: { readonly action: Action }) {
  if (action.error === null) return null;
  return (
    <p class="decline" role="alert">
      {problemText(action.error)}
    </p>
  );
}

/** Says that something was done. A live region is there before its text, so that a screen reader hears the text. */
export function Done({ children }: { readonly children: ComponentChildren }) {
  return (
    <p class="approve" role="status">
      {children}
    </p>
  );
}

let unanswered = { text: '', key: '' };

/** A POST whose repeat, after an answer that was lost, does nothing twice. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  const text = path + JSON.stringify(body);
  if (unanswered.text !== text) unanswered = { text, key: crypto.randomUUID() };
  const headers = { 'idempotency-key': unanswered.key };
  try {
    const answer = await call<T>('POST', path, { body, headers });
    unanswered = { text: '', key: '' };
    return answer;
  } catch (error) {
    // A refusal is an answer.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) unanswered = { text: '', key: '' };
    throw error;
  }
}
