/** Where is it? Anything by its id or name, and the transactions of all customers by what is known of them. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Button, Field } from '../../kit/controls.js';
import { type Column, Table, Time } from '../../kit/data.js';
import { instantOfTyped, typedOfInstant } from '../../kit/format.js';
import { codesOf, t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { Choice } from '../act/acting.js';
import { Link, type Thing } from '../found/facts.js';
import { Transactions } from '../found/transactions.js';

interface Hit {
  readonly kind: 'transaction' | 'decision' | 'card' | 'account' | 'user' | 'company';
  readonly id: string;
  readonly text: string | null;
  readonly more: string | null;
  readonly at: string | null;
}

const pageOf: Readonly<Record<Hit['kind'], Thing>> = {
  transaction: 'transactions',
  decision: 'decisions',
  card: 'cards',
  account: 'accounts',
  user: 'customers',
  company: 'customers',
};
const statuses = ['pending', 'completed', 'reversed', 'expired', 'declined'] as const;
const chosenNames = ['status', 'reason'] as const;
const filterNames = ['merchant', 'customer', 'account', 'card', 'min', 'max', 'from', 'to'] as const;
const types = { min: 'number', max: 'number', from: 'datetime-local', to: 'datetime-local' } as const;

const isTime = (name: string) => name === 'from' || name === 'to';
/** Times are typed in the zone in which the page shows them. */
const typedOf = (name: string, value: string) => (isTime(name) ? typedOfInstant(value, name === 'to') : value);

export default function Search({ query }: PageProps) {
  const q = query.get('q') ?? '';
  const filter = new URLSearchParams([...query].filter(([name, value]) => name !== 'q' && value !== ''));
  return (
    <div class="found">
      <h1>{t('search.title')}</h1>
      <Ask q={q} query={query} />
      {q !== '' && <Hits q={q} />}
      {(q === '' || [...filter].length > 0) && (
        <div class="stack">
          <h2>{t('found.transactions')}</h2>
          <Filters query={query} />
          <Transactions key={String(filter)} filter={filter} />
        </div>
      )}
    </div>
  );
}

function Ask({ q, query }: { readonly q: string; readonly query: URLSearchParams }) {
  const text = useSignal(q);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    const next = new URLSearchParams(query);
    next.set('q', text.value.trim());
    go(`/search?${next}`);
  };
  return (
    <form ref={form} class="stack" onSubmit={submit}>
      <Field
        label={t('search.label')}
        hint={t('search.hint')}
        name="q"
        type="search"
        maxLength={100}
        value={text.value}
        onInput={(value) => {
          text.value = value;
        }}
      />
      <div>
        <Button type="submit" look="main">
          {t('search.submit')}
        </Button>
      </div>
    </form>
  );
}

const hitColumns = (): readonly Column<Hit>[] => [
  { title: t('search.kind'), cell: ({ kind }) => textOf('search.kind', kind) ?? kind },
  { title: t('search.id'), cell: ({ kind, id }) => <Link to={pageOf[kind]} id={id} /> },
  { title: t('search.name'), cell: ({ text }) => text ?? '–' },
  { title: t('search.more'), cell: ({ more }) => (more === null ? '–' : (textOf('reason', more) ?? more)) },
  { title: t('found.time'), cell: ({ at }) => (at === null ? '–' : <Time atMs={Date.parse(at)} withDate />) },
];

function Hits({ q }: { readonly q: string }) {
  const { value, error, isLoading, reload } = useResource<{ readonly data: readonly Hit[] }>(
    `/api/search?q=${encodeURIComponent(q)}`,
  );
  if (error !== null && !isLoading) return <Failed error={error} retry={reload} />;
  if (value === undefined) return <Loading lines={3} />;
  if (value.data.length === 0) return <Empty>{t('search.none', { q })}</Empty>;
  return (
    <Table
      caption={t('search.hits')}
      columns={hitColumns()}
      rows={value.data}
      rowKey={({ kind, id }) => `${kind} ${id}`}
      onOpen={({ kind, id }) => go(`/${pageOf[kind]}/${encodeURIComponent(id)}`)}
    />
  );
}

function Filters({ query }: { readonly query: URLSearchParams }) {
  const values = useSignal<Readonly<Record<string, string>>>(
    Object.fromEntries([...filterNames, ...chosenNames].map((name) => [name, typedOf(name, query.get(name) ?? '')])),
  );
  const set = (name: string) => (value: string) => {
    values.value = { ...values.value, [name]: value };
  };
  const options = {
    status: statuses.map((one) => [one, t(`status.${one}`)] as const),
    reason: codesOf('reason'),
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const given = Object.entries(values.value)
      .map(([name, value]) => [name, isTime(name) ? instantOfTyped(value) : value] as const)
      .filter(([, value]) => value.trim() !== '')
      .map((pair) => [...pair]);
    const q = query.get('q') ?? '';
    go(`/search?${new URLSearchParams([...(q === '' ? [] : [['q', q]]), ...given])}`);
  };
  return (
    <form class="filters" onSubmit={submit}>
      {filterNames.map((name) => (
        <Field
          key={name}
          label={t(`search.by.${name}`)}
          name={name}
          type={name in types ? types[name as keyof typeof types] : 'text'}
          value={values.value[name] ?? ''}
          onInput={set(name)}
        />
      ))}
      {chosenNames.map((name) => (
        <Choice
          key={name}
          label={t(`search.by.${name}`)}
          name={name}
          value={values.value[name] ?? ''}
          options={[['', t('filter.any')] as const, ...options[name]]}
          onChange={set(name)}
        />
      ))}
      <Button type="submit">{t('search.filter')}</Button>
    </form>
  );
}
