/** How much can I spend? */
import { Money } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href } from '../../kit/router.js';
import { Empty, Failed, Loading, NotReadAgain } from '../../kit/states.js';
import { CardStatus, cardName, me, movesMoney, TransactionList, UsedLimits } from '../parts.js';
import {
  type Account,
  type Card,
  type Limits,
  type List,
  lastLists,
  type ShownLimits,
  type Transaction,
} from '../shapes.js';

/** Cards on this page; the others are one link away. */
const cardsShown = 4;

export default function Home() {
  const accounts = useResource<List<Account>>(movesMoney() ? lastLists.accounts : null);
  const cards = useResource<List<Card>>(lastLists.cards);
  const transactions = useResource<List<Transaction>>(lastLists.transactions);
  // All at once: what came first would be pushed down by what comes later.
  const isHere = [...(movesMoney() ? [accounts] : []), cards, transactions].every(
    ({ value, error }) => value !== undefined || error !== null,
  );
  if (!isHere) return <Loading lines={12} />;
  const late = [accounts, cards, transactions].find(({ value, error }) => value !== undefined && error !== null);
  const again = () => {
    for (const read of [accounts, cards, transactions]) if (read.error !== null) read.reload();
  };
  const open = cards.value?.data.filter(({ status }) => status !== 'closed') ?? [];
  const currencyOf = (card: Card) => accounts.value?.data.find(({ id }) => id === card.accountId)?.currency ?? '';
  return (
    <div class="stack">
      <h1 class="unseen">{t('home.hello', { name: me().name })}</h1>
      {late !== undefined && <NotReadAgain error={late.error} readAtMs={late.readAtMs} retry={again} />}
      <div class="columns">
        {movesMoney() && (
          <section class="stack tight" aria-label={t('home.available')}>
            {accounts.value === undefined ? <Waiting of={accounts} lines={3} /> : null}
            {accounts.value?.data.map((account) => (
              <Balance key={account.id} account={account} />
            ))}
          </section>
        )}
        <section class="stack tight" aria-label={t('cards.title')}>
          {cards.value === undefined && <Waiting of={cards} lines={3} />}
          {open.slice(0, cardsShown).map((card) => (
            <HomeCard key={card.id} card={card} currency={currencyOf(card)} />
          ))}
          {cards.value !== undefined && open.length === 0 && (
            <Empty>
              <p>{t('cards.none')}</p>
              {movesMoney() && (
                <a class="button main" href={href('/cards/new')}>
                  {t('cards.new')}
                </a>
              )}
            </Empty>
          )}
          {open.length > cardsShown && <a href={href('/cards')}>{t('cards.all', { count: open.length })}</a>}
        </section>
      </div>
      <section class="stack tight">
        <h2>{t('transactions.last')}</h2>
        {transactions.value === undefined && <Waiting of={transactions} lines={6} />}
        {transactions.value?.data.length === 0 && <Empty>{t('transactions.none')}</Empty>}
        <TransactionList transactions={transactions.value?.data ?? []} cards={cards.value?.data ?? []} />
        {transactions.value?.next != null && <a href={href('/transactions')}>{t('transactions.all')}</a>}
      </section>
    </div>
  );
}

function Waiting({ of, lines }: { readonly of: { readonly error: unknown; reload(): void }; readonly lines: number }) {
  return of.error === null ? <Loading lines={lines} /> : <Failed error={of.error} retry={() => of.reload()} />;
}

function Balance({ account }: { readonly account: Account }) {
  const { id, currency, available, held, funds, posted } = account;
  return (
    <div>
      <h2 class="soft">{t('home.available')}</h2>
      <p class="figure">
        <Money minor={available} currency={currency} />
      </p>
      <p class="soft">
        {t('home.held')} <Money minor={held} currency={currency} /> · {t('home.deposited')}{' '}
        <Money minor={funds - posted} currency={currency} /> · <a href={href(`/accounts/${id}`)}>{t('account.open')}</a>
      </p>
    </div>
  );
}

function HomeCard({ card, currency }: { readonly card: Card; readonly currency: string }) {
  const limits = useResource<ShownLimits>(hasWindows(card.limits) ? `/api/cards/${card.id}/limits` : null);
  return (
    <article class="panel stack tight">
      <div class="row spread">
        <h2>
          <a href={href(`/cards/${card.id}`)}>{cardName(card)}</a>
        </h2>
        <CardStatus status={card.status} />
      </div>
      {hasWindows(card.limits) && (
        <div class={limits.value === undefined ? 'unseen-place' : ''}>
          <UsedLimits shown={limits.value ?? unused(card.limits)} currency={currency} />
        </div>
      )}
    </article>
  );
}

/** Holds the place of what is used until it is read; it is not shown. */
function unused(limits: Limits): ShownLimits {
  const none = { amount: 0, count: 0, resetsAt: null };
  const used = { daily: none, weekly: none, monthly: none, yearly: none, lifetime: none, rolling: [] };
  return { limits, used, version: 0 };
}

function hasWindows({ daily, weekly, monthly, yearly, lifetime, rolling }: Limits): boolean {
  return [daily, weekly, monthly, yearly, lifetime, rolling].some((window) => window !== undefined);
}
