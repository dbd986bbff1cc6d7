/** What was paid: with filters that the address keeps, page by page, and as a file. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { call, fetchAnswer } from '../../kit/api.js';
import { Button, Field, Select } from '../../kit/controls.js';
import { minorDigits, minorOf } from '../../kit/format.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { ActionError, cardName, Done, TransactionList, useAction } from '../parts.js';
import { type Account, type Card, type List, lastLists, type Transaction } from '../shapes.js';

const statuses = ['pending', 'completed', 'reversed', 'expired', 'declined'] as const;
const filterNames = ['merchant', 'card', 'status', 'from', 'to', 'min', 'max'] as const;
type FilterName = (typeof filterNames)[number];
/** Beyond it a person wants a narrower search or the file. */
const shownMax = 500;

export default function Transactions({ query }: PageProps) {
  const filters = new URLSearchParams(
    filterNames.flatMap((name) => (query.get(name) ? [[name, query.get(name)!] as [string, string]] : [])),
  );
  const cards = useResource<List<Card>>(lastLists.cards);
  const accounts = useResource<List<Account>>(lastLists.accounts);
  const currency = accounts.value?.data[0]?.currency ?? 'USD';
  const text = filters.toString();
  return (
    <div class="stack">
      <div class="row spread">
        <h1>{t('transactions.title')}</h1>
        <Export filters={text} />
      </div>
      <Filters key={text} filters={filters} cards={cards.value?.data ?? []} currency={currency} />
      <Found key={`found ${text}`} filters={text} cards={cards.value?.data ?? []} />
    </div>
  );
}

interface FiltersProps {
  readonly filters: URLSearchParams;
  readonly cards: readonly Card[];
  readonly currency: string;
}

function Filters({ filters, cards, currency }: FiltersProps) {
  const typed = useSignal(typedOf(filters, currency));
  const set = (name: FilterName) => (value: string) => {
    typed.value = { ...typed.value, [name]: value };
  };
  const submit = (event: Event) => {
    event.preventDefault();
    go(`/transactions?${queryOf(typed.value, currency)}`, { replace: true });
  };
  const { merchant, card, status, from, to, min, max } = typed.value;
  return (
    <form class="stack" onSubmit={submit}>
      <div class="row search">
        <Field
          label={t('transactions.search')}
          name="merchant"
          type="search"
          maxLength={64}
          value={merchant}
          onInput={set('merchant')}
        />
        <Button type="submit" look="main">
          {t('transactions.find')}
        </Button>
      </div>
      <details open={filters.size > (filters.has('merchant') ? 1 : 0)}>
        <summary>{t('transactions.filters')}</summary>
        <div class="columns">
          <Select
            label={t('card.title')}
            name="card"
            value={card}
            options={[['', t('filter.any')], ...cards.map((one) => [one.id, cardName(one)] as const)]}
            onChange={set('card')}
          />
          <Select
            label={t('transaction.status')}
            name="status"
            value={status}
            options={[['', t('filter.any')], ...statuses.map((one) => [one, t(`status.${one}`)] as const)]}
            onChange={set('status')}
          />
          <Field label={t('filter.from')} name="from" type="date" value={from} onInput={set('from')} />
          <Field label={t('filter.to')} name="to" type="date" value={to} onInput={set('to')} />
          <Field
            label={t('filter.min', { currency })}
            name="min"
            inputMode="decimal"
            value={min}
            onInput={set('min')}
          />
          <Field
            label={t('filter.max', { currency })}
            name="max"
            inputMode="decimal"
            value={max}
            onInput={set('max')}
          />
        </div>
      </details>
    </form>
  );
}

type Typed = Readonly<Record<FilterName, string>>;

function typedOf(filters: URLSearchParams, currency: string): Typed {
  const text = (name: FilterName): string => {
    const value = filters.get(name) ?? '';
    const isAmount = value !== '' && (name === 'min' || name === 'max');
    return isAmount ? String(Number(value) / 10 ** minorDigits(currency)) : value;
  };
  return Object.fromEntries(filterNames.map((name) => [name, text(name)])) as Typed;
}

/** What is typed as the query of the API. What is no amount is left out. */
function queryOf(typed: Typed, currency: string): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of filterNames) {
    const value = typed[name].trim();
    const isAmount = name === 'min' || name === 'max';
    const sent = isAmount && value !== '' ? String(minorOf(value, currency) || '') : value;
    if (sent !== '') query.set(name, sent);
  }
  return query;
}

function Found({ filters, cards }: { readonly filters: string; readonly cards: readonly Card[] }) {
  const found = useSignal<readonly Transaction[]>([]);
  const next = useSignal<string | null>('');
  const action = useAction();
  const more = () =>
    action.run(async () => {
      const query = new URLSearchParams(filters);
      query.set('limit', '50');
      if (next.value) query.set('cursor', next.value);
      const page = await call<List<Transaction>>('GET', `/api/transactions?${query}`);
      found.value = [...found.value, ...page.data];
      next.value = page.next;
    });
  useEffect(more, []);
  const isFull = found.value.length >= shownMax;
  return (
    <section class="stack" aria-busy={action.isBusy} aria-label={t('transactions.title')}>
      <h2 class="unseen">{t('transactions.found')}</h2>
      <TransactionList transactions={found.value} cards={cards} />
      {action.isBusy && <Loading lines={3} />}
      {action.error !== null && <Failed error={action.error} retry={more} />}
      {next.value === null && found.value.length === 0 && <Empty>{t('transactions.noneFound')}</Empty>}
      {isFull && <p class="soft">{t('transactions.full', { count: shownMax })}</p>}
      {!action.isBusy && !isFull && next.value && (
        <div>
          <Button onClick={more}>{t('transactions.more')}</Button>
        </div>
      )}
    </section>
  );
}

/** The file comes with the session's header, which a plain link cannot send. */
function Export({ filters }: { readonly filters: string }) {
  const action = useAction();
  const isPart = useSignal(false);
  const download = () =>
    action.run(async () => {
      const answer = await fetchAnswer('GET', `/api/transactions.csv?${filters}`, {});
      isPart.value = answer.headers.get('link') !== null;
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await answer.blob());
      link.download = 'transactions.csv';
      link.click();
      URL.revokeObjectURL(link.href);
    });
  return (
    <div>
      <Button onClick={download} isDisabled={action.isBusy}>
        {t('transactions.csv')}
      </Button>
      <Done>{isPart.value && t('transactions.csvPart')}</Done>
      <ActionError action={action} />
    </div>
  );
}
