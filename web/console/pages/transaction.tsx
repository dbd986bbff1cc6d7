/** What became of it? A transaction's life, and the way to each of its decisions. */
import { type Column, Money, Table, Time, Verdict } from '../../kit/data.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, type PageProps } from '../../kit/router.js';
import { HoldRelease } from '../act/hold-release.js';
import { Facts, Link } from '../found/facts.js';
import type { FoundTransaction } from '../found/transactions.js';
import { Unread } from '../found/unread.js';

interface Event {
  readonly type: string;
  readonly amount: number | null;
  readonly approvedAmount: number;
  readonly approved: boolean;
  readonly reason: string;
  readonly at: string;
  readonly requestId: string;
}
interface Whole extends FoundTransaction {
  readonly events: readonly Event[];
  readonly eventCount: number;
}

export default function TransactionPage({ params }: PageProps) {
  const id = params['id'] ?? '';
  const resource = useResource<Whole>(`/api/search/transactions/${encodeURIComponent(id)}`);
  const { value, error } = resource;
  if (value === undefined || error !== null) return <Unread title={t('found.transaction')} resource={resource} />;
  const { currency, merchant, status, reason, detail, cardId, accountId, customerId, customerName, events } = value;
  const approved = status !== 'declined';
  const verdict = t(approved ? 'word.approved' : 'word.declined');
  const money = (minor: number) => <Money minor={minor} currency={currency} />;
  return (
    <div class="found">
      <h1>
        <Verdict approved={approved} word={verdict} /> {money(value.amount)} {merchant.name ?? ''}
      </h1>
      {!approved && (
        <p class="decline verdict">
          {textOf('reason', reason) ?? reason} {detail ?? ''}
        </p>
      )}
      {approved && detail !== undefined && <p class="verdict">{detail}</p>}
      <Facts
        facts={[
          [t('found.transaction'), <code key="id">{value.id}</code>],
          [t('found.what'), t('found.status', { status })],
          [t('found.approved'), money(value.approvedAmount)],
          [t('found.held'), money(value.heldAmount)],
          [t('found.posted'), money(value.postedAmount)],
          [t('found.refunded'), money(value.refundedAmount)],
          [
            t('found.merchant'),
            [merchant.name, merchant.mcc, merchant.country].filter((one) => one !== null).join(' '),
          ],
          cardId === null ? null : [t('search.kind.card'), <Link key="card" to="cards" id={cardId} />],
          accountId === null ? null : [t('search.kind.account'), <Link key="account" to="accounts" id={accountId} />],
          customerId === null
            ? null
            : [t('found.customer'), <Link key="customer" to="customers" id={customerId} text={customerName} />],
        ]}
      />
      <HoldRelease
        transactionId={value.id}
        heldAmount={value.heldAmount}
        currency={currency}
        onReleased={resource.reload}
      />
      <h2>{t('found.life')}</h2>
      <Table
        caption={t('found.life')}
        columns={columns(currency)}
        rows={events}
        rowKey={({ requestId, at, type }) => `${requestId} ${at} ${type}`}
        onOpen={({ requestId }) => requestId !== '' && go(`/decisions/${encodeURIComponent(requestId)}`)}
      />
      {value.eventCount > events.length && <p class="soft">{t('found.more', { count: value.eventCount })}</p>}
    </div>
  );
}

const columns = (currency: string): readonly Column<Event>[] => [
  { title: t('found.time'), cell: ({ at }) => <Time atMs={Date.parse(at)} withDate /> },
  { title: t('found.type'), cell: ({ type }) => textOf('messageType', type) ?? type },
  {
    title: t('found.verdict'),
    cell: ({ approved, reason }) => (
      <>
        <Verdict approved={approved} word={t(approved ? 'word.approved' : 'word.declined')} />{' '}
        {approved ? '' : (textOf('reason', reason) ?? reason)}
      </>
    ),
  },
  {
    title: t('found.amount'),
    isNumber: true,
    cell: ({ amount }) => (amount === null ? '–' : <Money minor={amount} currency={currency} />),
  },
  {
    title: t('found.approved'),
    isNumber: true,
    cell: ({ approvedAmount }) => <Money minor={approvedAmount} currency={currency} />,
  },
  {
    title: t('found.why'),
    cell: ({ requestId }) => (requestId === '' ? '–' : <Link to="decisions" id={requestId} />),
  },
];
