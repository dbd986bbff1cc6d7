/** Where did the money go? By day, card or category, within a period. */
import { Bar, Money } from '../../kit/data.js';
import { moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { categoryOf } from '../categories.js';
import { grouped } from '../grouped.js';
import { cardName } from '../parts.js';
import { type Card, type List, lastLists, type Spending } from '../shapes.js';

const views = ['day', 'card', 'category'] as const;
type View = (typeof views)[number];
const periods = [7, 30, 90, 365] as const;
const dayMs = 86_400_000;

interface Spent {
  readonly key: string;
  readonly label: string;
  readonly amount: number;
  readonly count: number;
}

export default function SpendingPage({ query }: PageProps) {
  const view = views.find((one) => one === query.get('by')) ?? 'day';
  const days = periods.find((one) => String(one) === query.get('days')) ?? 30;
  const from = new Date(Date.now() - (days - 1) * dayMs).toISOString().slice(0, 10);
  const spending = useResource<Spending>(`/api/stats/spending?by=${view === 'category' ? 'mcc' : view}&from=${from}`);
  const cards = useResource<List<Card>>(lastLists.cards);
  const labelOf = (key: string): string => {
    if (view === 'category') return t(`category.${categoryOf(key)}`);
    if (view === 'day') return dayLabel(key);
    const card = cards.value?.data.find(({ id }) => id === key);
    return card === undefined ? t('spending.oldCard') : cardName(card);
  };
  const link = (by: View, period: number) => href(`/spending?by=${by}&days=${period}`);
  const currencies = grouped(spending.value?.data ?? [], ({ currency }) => currency);
  return (
    <div class="stack">
      <h1>{t('spending.title')}</h1>
      <nav class="row" aria-label={t('spending.by')}>
        {views.map((one) => (
          <a key={one} class="choice" href={link(one, days)} aria-current={one === view ? 'true' : undefined}>
            {t(`spending.${one}`)}
          </a>
        ))}
      </nav>
      <nav class="row" aria-label={t('spending.period')}>
        {periods.map((one) => (
          <a key={one} class="choice" href={link(view, one)} aria-current={one === days ? 'true' : undefined}>
            {t('spending.days', { days: one })}
          </a>
        ))}
      </nav>
      {spending.value === undefined && spending.error === null && <Loading />}
      {spending.error !== null && <Failed error={spending.error} retry={spending.reload} />}
      {spending.value?.data.length === 0 && <Empty>{t('spending.none', { days })}</Empty>}
      {[...currencies].map(([currency, rows]) => (
        <OfCurrency
          key={currency}
          currency={currency}
          days={days}
          isByDay={view === 'day'}
          spent={merged(rows, labelOf, view === 'category' ? ({ key }) => categoryOf(key) : ({ key }) => key)}
        />
      ))}
    </div>
  );
}

type Row = Spending['data'][number];

/** Codes of one category become one line. */
function merged(rows: readonly Row[], labelOf: (key: string) => string, groupOf: (row: Row) => string): Spent[] {
  return [...grouped(rows, groupOf)].map(([key, group]) => ({
    key,
    label: labelOf(group[0]!.key),
    amount: group.reduce((sum, { amount }) => sum + amount, 0),
    count: group.reduce((sum, { count }) => sum + count, 0),
  }));
}

interface OfCurrencyProps {
  readonly currency: string;
  readonly days: number;
  readonly isByDay: boolean;
  readonly spent: readonly Spent[];
}

function OfCurrency({ currency, days, isByDay, spent }: OfCurrencyProps) {
  const total = spent.reduce((sum, { amount }) => sum + amount, 0);
  const most = Math.max(1, ...spent.map(({ amount }) => amount));
  const ordered = isByDay ? spent : spent.toSorted((one, other) => other.amount - one.amount);
  return (
    <section class="stack tight">
      <p class="figure">
        <Money minor={total} currency={currency} />
      </p>
      <p class="soft">{t('spending.total', { days })}</p>
      {isByDay && <Columns spent={spent} days={days} most={most} currency={currency} />}
      <ul class="rows">
        {ordered.map(({ key, label, amount, count }) => (
          <li key={key} class="stack tight">
            <span class="row spread">
              <span>
                {label} <span class="soft small">{t('spending.count', { count })}</span>
              </span>
              <Money minor={amount} currency={currency} />
            </span>
            {!isByDay && (
              <Bar share={amount / most} label={`${label}: ${moneyText(amount, currency, language.value)}`} />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A column a day, also for days without spending. The list below has the same numbers for screen readers. */
function Columns({ spent, days, most, currency }: Omit<OfCurrencyProps, 'isByDay'> & { readonly most: number }) {
  const byDay = new Map(spent.map(({ key, amount }) => [key, amount]));
  const today = Date.now();
  const keys = Array.from({ length: days }, (_, place) =>
    new Date(today - (days - 1 - place) * dayMs).toISOString().slice(0, 10),
  );
  return (
    <svg class="columns-chart" viewBox={`0 0 ${days * 10} 100`} preserveAspectRatio="none" aria-hidden="true">
      {keys.map((key, place) => {
        const amount = byDay.get(key) ?? 0;
        const height = Math.max(amount > 0 ? 1 : 0, (amount / most) * 100);
        return (
          <rect key={key} x={place * 10 + 1} y={100 - height} width={8} height={height}>
            <title>{`${dayLabel(key)}: ${moneyText(amount, currency, language.value)}`}</title>
          </rect>
        );
      })}
    </svg>
  );
}

function dayLabel(key: string): string {
  const day = new Date(`${key}T00:00:00Z`);
  if (Number.isNaN(day.getTime())) return key;
  return new Intl.DateTimeFormat(language.value, { day: 'numeric', month: 'long', timeZone: 'UTC' }).format(day);
}
