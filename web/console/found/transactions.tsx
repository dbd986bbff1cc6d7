/** Transactions of all customers that a filter leaves, newest first, a page at a time. */
import { useSignal } from '@preact/signals';
import { Button } from '../../kit/controls.js';
import { type Column, Money, Table, Time, Verdict } from '../../kit/data.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { Link } from './facts.js';

export interface FoundTransaction {
  readonly id: string;
  readonly cardId: string | null;
  readonly accountId: string | null;
  readonly userId: string | null;
  readonly customerId: string | null;
  readonly customerName: string | null;
  readonly type: string;
  readonly status: string;
  readonly currency: string;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly heldAmount: number;
  readonly postedAmount: number;
  readonly refundedAmount: number;
  readonly reason: string;
  readonly detail?: string;
  readonly merchant: { readonly name: string | null; readonly mcc: string | null; readonly country: string | null };
  readonly channel: string | null;
  readonly createdAt: string;
}

const columns = (): readonly Column<FoundTransaction>[] => [
  { title: t('found.time'), cell: ({ createdAt }) => <Time atMs={Date.parse(createdAt)} withDate /> },
  {
    title: t('found.verdict'),
    cell: ({ status }) => {
      const approved = status !== 'declined';
      return <Verdict approved={approved} word={t(approved ? 'word.approved' : 'word.declined')} />;
    },
  },
  {
    title: t('found.amount'),
    isNumber: true,
    cell: ({ amount, currency }) => <Money minor={amount} currency={currency} />,
  },
  {
    title: t('found.what'),
    cell: ({ status, reason, detail }) =>
      `${status === 'declined' ? (textOf('reason', reason) ?? reason) : t('found.status', { status })} ${detail ?? ''}`,
  },
  { title: t('found.merchant'), cell: ({ merchant }) => merchant.name ?? '–' },
  { title: t('found.customer'), cell: ({ customerName }) => customerName ?? '–' },
  { title: t('found.transaction'), cell: ({ id }) => <Link to="transactions" id={id} /> },
];

/** @param filter a query of `/api/search/transactions` */
export function Transactions({ filter }: { readonly filter: URLSearchParams }) {
  const cursors = useSignal<readonly string[]>([]);
  const query = new URLSearchParams(filter);
  const cursor = cursors.value.at(-1);
  if (cursor !== undefined) query.set('cursor', cursor);
  query.set('limit', '50');
  const { value, error, isLoading, reload } = useResource<{
    readonly data: readonly FoundTransaction[];
    readonly next: string | null;
  }>(`/api/search/transactions?${query}`);
  if (error !== null && !isLoading) return <Failed error={error} retry={reload} />;
  if (value === undefined) return <Loading />;
  return (
    <div class="stack">
      {value.data.length === 0 ? (
        <Empty>{t(value.next === null ? 'found.none' : 'found.noneYet')}</Empty>
      ) : (
        <Table
          caption={t('found.transactions')}
          columns={columns()}
          rows={value.data}
          rowKey={({ id, createdAt }) => `${id} ${createdAt}`}
          onOpen={({ id }) => go(`/transactions/${encodeURIComponent(id)}`)}
        />
      )}
      <div class="row">
        {cursors.value.length > 0 && (
          <Button
            onClick={() => {
              cursors.value = cursors.value.slice(0, -1);
            }}
          >
            {t('found.newer')}
          </Button>
        )}
        {value.next !== null && (
          <Button
            onClick={() => {
              cursors.value = [...cursors.value, value.next!];
            }}
          >
            {t('found.older')}
          </Button>
        )}
      </div>
    </div>
  );
}
