/** How much is there? The books of an account as the engine has them now, and its transactions. */
import { Money, Time } from '../../kit/data.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import type { PageProps } from '../../kit/router.js';
import { Facts } from '../found/facts.js';
import { Transactions } from '../found/transactions.js';
import { Unread } from '../found/unread.js';

interface Account {
  readonly id: string;
  readonly kind: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly status: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export default function AccountPage({ params }: PageProps) {
  const id = params['id'] ?? '';
  const resource = useResource<Account>(`/api/accounts/${encodeURIComponent(id)}`);
  const { value, error, readAtMs } = resource;
  if (value === undefined || error !== null) return <Unread title={t('search.kind.account')} resource={resource} />;
  const money = (minor: number) => <Money minor={minor} currency={value.currency} />;
  return (
    <div class="found">
      <h1>
        {money(value.available)} {t('found.available')}
      </h1>
      <Facts
        facts={[
          [t('search.id'), <code key="id">{value.id}</code>],
          [t('found.funds'), money(value.funds)],
          [t('found.held'), money(value.held)],
          [t('found.posted'), money(value.posted)],
          [t('found.state'), textOf('cardStatus', value.status) ?? value.status],
          [t('found.zone'), value.timeZone],
          readAtMs === null ? null : [t('found.readAt'), <Time key="read" atMs={readAtMs} />],
        ]}
      />
      <h2>{t('found.transactions')}</h2>
      <Transactions filter={new URLSearchParams({ account: value.id })} />
    </div>
  );
}
