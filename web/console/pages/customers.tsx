/** Who waits for a check of their identity, and where a customer is found. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { Table, Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { Choice, word } from '../act/acting.js';

export interface Customer {
  readonly id: string;
  readonly kind: 'personal' | 'business';
  readonly name: string;
  readonly email: string | null;
  readonly kycStatus: KycStatus;
  readonly createdAt: string;
}
export type KycStatus = 'pending' | 'verified' | 'rejected';

interface Page<T> {
  readonly data: readonly T[];
  readonly next: string | null;
}
interface Hit {
  readonly kind: string;
  readonly id: string;
  readonly text: string | null;
  readonly more: string | null;
}

const statuses: readonly KycStatus[] = ['pending', 'verified', 'rejected'];

export default function Customers({ query }: PageProps) {
  const q = query.get('q') ?? '';
  const status = statuses.find((one) => one === query.get('status')) ?? 'pending';
  const typed = useSignal(q);
  return (
    <div class="stack">
      <h1>{t('customers.title')}</h1>
      <div class="columns">
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            go(`/customers?q=${encodeURIComponent(typed.value.trim())}`);
          }}
        >
          <Field
            label={t('customers.find')}
            hint={t('customers.findHint')}
            name="q"
            type="search"
            maxLength={100}
            value={typed.value}
            onInput={(value) => {
              typed.value = value;
            }}
          />
          <div>
            <Button type="submit">{t('customers.search')}</Button>
          </div>
        </form>
        <Choice
          label={t('customers.status')}
          name="status"
          value={status}
          options={statuses.map((one) => [one, word('kyc', one)] as const)}
          onChange={(value) => go(`/customers?status=${value}`)}
        />
      </div>
      {q === '' ? <List key={status} status={status} cursor={query.get('cursor')} /> : <Hits key={q} q={q} />}
    </div>
  );
}

function List({ status, cursor }: { readonly status: KycStatus; readonly cursor: string | null }) {
  const after = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  const { value, error, reload } = useResource<Page<Customer>>(`/api/customers?kycStatus=${status}${after}`);
  if (value === undefined) return error === null ? <Loading /> : <Failed error={error} retry={reload} />;
  if (value.data.length === 0) return <Empty>{t('customers.none')}</Empty>;
  return (
    <>
      <Table
        caption={t('customers.title')}
        rows={value.data}
        rowKey={({ id }) => id}
        onOpen={({ id }) => go(`/customers/${id}`)}
        columns={[
          { title: t('customers.name'), cell: ({ id, name }) => <a href={href(`/customers/${id}`)}>{name}</a> },
          { title: t('customers.kind'), cell: ({ kind }) => t(`customers.${kind}`) },
          { title: t('customers.email'), cell: ({ email }) => email ?? '–' },
          { title: t('customers.since'), cell: ({ createdAt }) => <Time atMs={Date.parse(createdAt)} withDate /> },
        ]}
      />
      {value.next !== null && (
        <a href={href(`/customers?status=${status}&cursor=${encodeURIComponent(value.next)}`)}>{t('list.more')}</a>
      )}
    </>
  );
}

function Hits({ q }: { readonly q: string }) {
  const { value, error, reload } = useResource<{ readonly data: readonly Hit[] }>(
    `/api/search?q=${encodeURIComponent(q)}`,
  );
  if (value === undefined) return error === null ? <Loading /> : <Failed error={error} retry={reload} />;
  const hits = value.data.filter(({ kind }) => customerKinds.includes(kind));
  if (hits.length === 0) return <Empty>{t('customers.none')}</Empty>;
  return (
    <Table
      caption={t('customers.title')}
      rows={hits}
      rowKey={({ id }) => id}
      onOpen={({ id }) => go(`/customers/${id}`)}
      columns={[
        { title: t('customers.name'), cell: ({ id, text }) => <a href={href(`/customers/${id}`)}>{text ?? id}</a> },
        { title: t('customers.email'), cell: ({ more }) => more ?? '–' },
      ]}
    />
  );
}

/** Of the hits of a search. */
const customerKinds: readonly string[] = ['user', 'company'];
