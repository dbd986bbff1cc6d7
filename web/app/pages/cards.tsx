/** Which cards do I have? */
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { CardStatus, cardName, movesMoney } from '../parts.js';
import { type Card, type List, lastLists } from '../shapes.js';

export default function Cards() {
  const cards = useResource<List<Card>>(lastLists.cards);
  return (
    <div class="stack">
      <div class="row spread">
        <h1>{t('cards.title')}</h1>
        {movesMoney() && (
          <a class="button main" href={href('/cards/new')}>
            {t('cards.new')}
          </a>
        )}
      </div>
      {cards.value === undefined && cards.error === null && <Loading />}
      {cards.value === undefined && cards.error !== null && <Failed error={cards.error} retry={cards.reload} />}
      {cards.value?.data.length === 0 && <Empty>{t('cards.none')}</Empty>}
      <ul class="rows">
        {cards.value?.data.map((card) => (
          <li key={card.id} class="row spread">
            <a href={href(`/cards/${card.id}`)}>{cardName(card)}</a>
            <span class="row">
              <span class="soft">{t(`cardType.${card.type}`)}</span>
              <CardStatus status={card.status} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
