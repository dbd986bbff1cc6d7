/** Who did what to what, from where, and what it changed. */
import { useSignal } from '@preact/signals';
import { Button, Field, Select } from '../../kit/controls.js';
import { Table, Time } from '../../kit/data.js';
import { instantOfTyped, typedOfInstant } from '../../kit/format.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { may, Needs, riskRoles } from '../act/acting.js';

interface Entry {
  readonly id: string;
  readonly at: string;
  readonly actor: { readonly kind: string; readonly id: string | null; readonly address: string | null };
  readonly action: string;
  readonly object: { readonly kind: string | null; readonly id: string | null };
  readonly before: string | null;
  readonly after: string | null;
  readonly outcome: string;
}

const filters = ['actor', 'object', 'action', 'movement', 'from', 'to'] as const;
const outcomes = ['asked', 'done', 'refused', 'unknown'] as const;
const isOutcome = (text: string): text is (typeof outcomes)[number] => (outcomes as readonly string[]).includes(text);

const isTime = (name: string) => name === 'from' || name === 'to';
/** Times are typed in the zone in which the page shows them. */
const typedOf = (name: string, value: string) => (isTime(name) ? typedOfInstant(value, name === 'to') : value);

export default function Audit({ query }: PageProps) {
  if (!may(riskRoles)) {
    return (
      <>
        <h1>{t('audit.title')}</h1>
        <Needs roles={riskRoles} />
      </>
    );
  }
  return (
    <div class="stack">
      <h1>{t('audit.title')}</h1>
      <Filters query={query} />
      <Entries key={query.toString()} query={query} />
    </div>
  );
}

function Filters({ query }: { readonly query: URLSearchParams }) {
  const names = [...filters, 'outcome'];
  const typed = useSignal(Object.fromEntries(names.map((name) => [name, typedOf(name, query.get(name) ?? '')])));
  const put = (name: string) => (value: string) => {
    typed.value = { ...typed.value, [name]: value };
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        const set = Object.entries(typed.value)
          .map(([name, value]) => [name, isTime(name) ? instantOfTyped(value) : value])
          .filter(([, value]) => value!.trim() !== '') as string[][];
        go(`/audit?${new URLSearchParams(set)}`);
      }}
    >
      <div class="columns">
        {filters.map((name) => (
          <Field
            key={name}
            label={t(`audit.${name}`)}
            name={name}
            type={isTime(name) ? 'datetime-local' : 'text'}
            maxLength={100}
            value={typed.value[name] ?? ''}
            onInput={put(name)}
          />
        ))}
        <Select
          label={t('audit.outcome')}
          name="outcome"
          value={typed.value['outcome'] ?? ''}
          options={[['', t('audit.outcome.any')], ...outcomes.map((one) => [one, t(`audit.outcome.${one}`)] as const)]}
          onChange={put('outcome')}
        />
      </div>
      <div>
        <Button type="submit">{t('customers.search')}</Button>
      </div>
    </form>
  );
}

function Entries({ query }: { readonly query: URLSearchParams }) {
  const { value, error, reload } = useResource<{ data: readonly Entry[]; next: string | null }>(`/api/audit?${query}`);
  if (value === undefined) return error === null ? <Loading /> : <Failed error={error} retry={reload} />;
  if (value.data.length === 0) return <Empty>{t('audit.none')}</Empty>;
  const narrow = (name: 'actor' | 'object', id: string | null) =>
    id === null ? '–' : <a href={href(`/audit?${name}=${encodeURIComponent(id)}`)}>{id}</a>;
  return (
    <>
      <Table
        caption={t('audit.title')}
        rows={value.data}
        rowKey={({ id }) => id}
        columns={[
          { title: t('audit.at'), cell: ({ at }) => <Time atMs={Date.parse(at)} withDate /> },
          { title: t('audit.action'), cell: ({ action }) => <code>{action}</code> },
          { title: t('audit.actor'), cell: ({ actor }) => narrow('actor', actor.id) },
          { title: t('audit.object'), cell: ({ object }) => narrow('object', object.id) },
          { title: t('audit.outcome'), cell: (entry) => <Outcome entry={entry} /> },
          { title: t('audit.before'), cell: ({ before }) => <Change json={before} /> },
          { title: t('audit.after'), cell: ({ after }) => <Change json={after} /> },
          { title: t('audit.address'), cell: ({ actor }) => actor.address ?? '–' },
        ]}
      />
      {value.next !== null && (
        <a href={href(`/audit?${new URLSearchParams([...query, ['cursor', value.next]])}`)}>{t('list.more')}</a>
      )}
    </>
  );
}

/** A movement of money has an entry before the engine is asked, and one with what came of it. */
function Outcome({ entry: { action, object, outcome, after } }: { readonly entry: Entry }) {
  const word = isOutcome(outcome) ? t(`audit.outcome.${outcome}`) : outcome;
  const shown = outcome === 'unknown' ? <strong>{word}</strong> : word;
  if (!/^account\.(?:deposit|withdrawal)$/.test(action) || object.id === null || after === null) {
    return <>{shown}</>;
  }
  const { id, funding } = JSON.parse(after) as { readonly id?: string; readonly funding?: string };
  return (
    <>
      {shown}
      {id !== undefined && (
        <a href={href(`/audit?${new URLSearchParams({ object: object.id, movement: id })}`)}>{t('audit.story')}</a>
      )}
      {funding !== undefined && (
        <a href={href(`/audit?object=${encodeURIComponent(funding)}`)}>{t('audit.approvals')}</a>
      )}
    </>
  );
}

/** Longer ones are opened. */
const shownMax = 80;

function Change({ json }: { readonly json: string | null }) {
  if (json === null) return <>–</>;
  if (json.length <= shownMax) return <code>{json}</code>;
  return (
    <details>
      <summary>
        <code>{json.slice(0, shownMax)}…</code>
      </summary>
      <code class="whole">{json}</code>
    </details>
  );
}
