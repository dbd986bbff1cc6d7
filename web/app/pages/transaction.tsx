/** One purchase: what came of it, why it was declined, and everything that followed. */
import { Money, Time } from '../../kit/data.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href, type PageProps } from '../../kit/router.js';
import { Failed, Loading } from '../../kit/states.js';
import { categoryOf } from '../categories.js';
import { shownEventType } from '../event-words.js';
import { cardName, DeclineHelp, signedAmount } from '../parts.js';
import type { Card, WholeTransaction } from '../shapes.js';

export default function TransactionPage({ params }: PageProps) {
  const found = useResource<WholeTransaction>(`/api/transactions/${encodeURIComponent(params['id']!)}`);
  const card = useResource<Card>(found.value === undefined ? null : `/api/cards/${found.value.cardId}`);
  if (found.value === undefined) {
    return found.error === null ? <Loading /> : <Failed error={found.error} retry={found.reload} />;
  }
  const { value } = found;
  const { merchant, status, currency, heldAmount, postedAmount, refundedAmount, events, eventCount } = value;
  return (
    <div class="stack">
      <h1>{merchant.name ?? t('transaction.noMerchant')}</h1>
      <p class="figure">
        <Money minor={signedAmount(value)} currency={currency} />
      </p>
      <p class={status === 'declined' ? 'decline' : 'soft'}>
        {t(`status.${status}`)} · <Time atMs={Date.parse(value.createdAt)} withDate />
      </p>
      {status === 'declined' && <DeclineHelp transaction={value} card={card.value ?? null} />}
      <dl class="facts">
        <dt>{t('transaction.category')}</dt>
        <dd>{t(`category.${categoryOf(merchant.mcc)}`)}</dd>
        {merchant.country !== null && (
          <>
            <dt>{t('transaction.country')}</dt>
            <dd>{merchant.country}</dd>
          </>
        )}
        {card.value !== undefined && (
          <>
            <dt>{t('card.title')}</dt>
            <dd>
              <a href={href(`/cards/${card.value.id}`)}>{cardName(card.value)}</a>
            </dd>
          </>
        )}
        {(
          [
            ['transaction.held', heldAmount],
            ['transaction.posted', postedAmount],
            ['transaction.refunded', refundedAmount],
          ] as const
        ).map(([key, minor]) => (
          <>
            <dt key={key}>{t(key)}</dt>
            <dd>
              <Money minor={minor} currency={currency} />
            </dd>
          </>
        ))}
      </dl>
      <h2>{t('transaction.life')}</h2>
      <ol class="rows">
        {events.map((event, index) => (
          <li key={event.requestId} class="row spread">
            <span>
              {textOf('event', shownEventType(event.type, index)) ?? event.type}{' '}
              {!event.approved && `· ${t('status.declined')}`}
            </span>
            <span class="row">
              {event.amount !== null && <Money minor={event.amount} currency={currency} />}
              <span class="soft">
                <Time atMs={Date.parse(event.at)} withDate />
              </span>
            </span>
          </li>
        ))}
      </ol>
      {eventCount > events.length && <p class="soft">{t('transaction.more', { count: eventCount - events.length })}</p>}
    </div>
  );
}
