/** What may it spend, and what did it? A card as it is now, and its transactions. */
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import type { PageProps } from '../../kit/router.js';
import { CardActions, type CardShown } from '../act/card-actions.js';
import { LimitsEditor } from '../act/limits-editor.js';
import { Facts, Link } from '../found/facts.js';
import { Transactions } from '../found/transactions.js';
import { Unread } from '../found/unread.js';

interface Card {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly token: string;
  readonly status: CardShown['status'];
  readonly expires: string;
  readonly accountId: string;
  readonly replacedBy?: string;
  readonly version: number;
}

export default function CardPage({ params }: PageProps) {
  const id = params['id'] ?? '';
  const resource = useResource<Card>(`/api/cards/${encodeURIComponent(id)}`);
  const { value, error } = resource;
  const account = useResource<{ readonly currency: string }>(
    value === undefined ? null : `/api/accounts/${value.accountId}`,
  );
  if (value === undefined || error !== null) return <Unread title={t('search.kind.card')} resource={resource} />;
  return (
    <div class="found">
      <h1>
        {t('search.kind.card')} {value.name}
      </h1>
      <div class="columns">
        <section class="panel stack" aria-labelledby="facts-title">
          <h2 id="facts-title">{t('why.about')}</h2>
          <Facts
            facts={[
              [t('search.id'), <code key="id">{value.id}</code>],
              [t('found.token'), <code key="token">…{value.token.slice(-4)}</code>],
              [t('found.type'), textOf('cardType', value.type) ?? value.type],
              [t('found.expires'), value.expires],
              [t('found.version'), value.version],
              [t('search.kind.account'), <Link key="account" to="accounts" id={value.accountId} />],
              value.replacedBy === undefined
                ? null
                : [t('found.replacedBy'), <Link key="next" to="cards" id={value.replacedBy} />],
            ]}
          />
        </section>
        <div class="panel stack">
          <CardActions card={value} onChanged={resource.reload} hasKey />
          <LimitsEditor level="card" id={value.id} currency={account.value?.currency ?? 'USD'} />
        </div>
      </div>
      <h2>{t('found.transactions')}</h2>
      <Transactions filter={new URLSearchParams({ card: value.id })} />
    </div>
  );
}
