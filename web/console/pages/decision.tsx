/** Why was it declined, or approved? Every check with the numbers of that instant, and where the time went. */
import { Bar, Duration, Money, Time, Verdict } from '../../kit/data.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import type { PageProps } from '../../kit/router.js';
import { CardNow } from '../found/card-now.js';
import { type Check, wordsOf } from '../found/checks.js';
import { Facts, Link } from '../found/facts.js';
import { Unread } from '../found/unread.js';

interface Decision {
  readonly id: string;
  readonly authorizationId: string;
  readonly original: string | null;
  readonly type: string;
  readonly protocol: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail: string;
  readonly currency: string | null;
  readonly amount: number | null;
  readonly approvedAmount: number;
  readonly available: number;
  readonly merchant: Readonly<Record<'id' | 'name' | 'mcc' | 'country', string | null>>;
  readonly channel: string | null;
  readonly cardId: string | null;
  readonly cardName: string | null;
  readonly cardShown: string;
  readonly accountId: string | null;
  readonly accountCurrency: string | null;
  readonly customerId: string | null;
  readonly customerName: string | null;
  readonly partition: number;
  readonly sequence: number;
  readonly at: string;
  readonly revokedAt: string | null;
  readonly numbersKept: boolean;
  readonly hopsMs: Readonly<Record<'wait' | 'decide' | 'journal' | 'send', number>> | null;
  readonly checks: readonly Check[];
}

export default function DecisionPage({ params }: PageProps) {
  const path = `/api/decisions/${encodeURIComponent(params['id'] ?? '')}`;
  const resource = useResource<Decision>(path);
  const { value, error } = resource;
  if (value === undefined || error !== null) return <Unread title={t('why.title')} resource={resource} />;
  const { approved, amount, merchant, reason, at, revokedAt, cardId } = value;
  const currency = value.currency ?? value.accountCurrency ?? '';
  return (
    <div class="found">
      <h1>
        <Verdict approved={approved} word="" /> {t(approved ? 'word.approved' : 'word.declined')}{' '}
        {amount !== null && <Money minor={amount} currency={currency} />} {merchant.name ?? ''}
      </h1>
      {!approved && (
        <p class="decline verdict">
          {textOf('reason', reason) ?? reason}
          {sentenceOf(value, currency)}
        </p>
      )}
      {revokedAt !== null && (
        <p class="warn">
          {t('why.revoked')} <Time atMs={Date.parse(revokedAt)} withDate />
        </p>
      )}
      <p class="soft">
        <Time atMs={Date.parse(at)} withDate /> · <code>{value.id}</code>
      </p>
      <div class="columns">
        <section class="panel stack" aria-labelledby="checks-title">
          <h2 id="checks-title">{t('why.checks')}</h2>
          {!value.numbersKept && <p class="warn">{t('why.notKept')}</p>}
          <Checks checks={value.checks} currency={value.accountCurrency ?? currency} />
        </section>
        <div class="stack">
          <section class="panel stack" aria-labelledby="time-title">
            <h2 id="time-title">{t('why.time')}</h2>
            <Times hopsMs={value.hopsMs} />
          </section>
          {cardId !== null && <CardNow cardId={cardId} currency={value.accountCurrency ?? ''} />}
          <section class="panel stack" aria-labelledby="about-title">
            <h2 id="about-title">{t('why.about')}</h2>
            <About decision={value} />
            <p class="soft">{t('why.rawMessage')}</p>
          </section>
        </div>
      </div>
    </div>
  );
}

function sentenceOf({ checks }: Decision, currency: string): string {
  const failed = checks.find(({ passed }) => passed === false);
  if (failed === undefined) return '';
  const [what, how] = wordsOf(failed, currency);
  return `: ${what}${how === '' ? '' : `, ${how}`}`;
}

const marks = { true: '✓', false: '✗', null: '·' } as const;
const looks = { true: 'approve', false: 'decline', null: 'soft' } as const;
const words = { true: 'why.passed', false: 'why.failed', null: 'why.notReached' } as const;

function Checks({ checks, currency }: { readonly checks: readonly Check[]; readonly currency: string }) {
  if (checks.length === 0) return <p class="soft">{t('why.noChecks')}</p>;
  return (
    <ol class="checks">
      {checks.map((check) => {
        const state = String(check.passed) as keyof typeof marks;
        const [what, how] = wordsOf(check, currency);
        return (
          <li key={`${check.reason} ${check.detail}`}>
            <span class={looks[state]}>
              <span aria-hidden="true">{marks[state]}</span>
              <span class="unseen">{t(words[state])}</span>
            </span>
            <span class="words">
              <span class={check.passed === null ? 'soft' : ''}>{what}</span>
              <span class="soft">{how}</span>
            </span>
          </li>
        );
      })}
    </ol>
  );
}

const hopNames = ['wait', 'decide', 'journal', 'send'] as const;

function Times({ hopsMs }: { readonly hopsMs: Decision['hopsMs'] }) {
  if (hopsMs === null) return <p class="soft">{t('why.noTime')}</p>;
  const total = hopNames.reduce((sum, name) => sum + hopsMs[name], 0);
  return (
    <Facts
      facts={[
        ...hopNames.map(
          (name) =>
            [
              t(`live.hop.${name}`),
              <>
                <Duration ms={hopsMs[name]} />
                <Bar share={total === 0 ? 0 : hopsMs[name] / total} label={t(`live.hop.${name}`)} />
              </>,
            ] as const,
        ),
        [t('why.total'), <Duration key="total" ms={total} />],
      ]}
    />
  );
}

function About({ decision }: { readonly decision: Decision }) {
  const { merchant, accountId, customerId, customerName, original, available, accountCurrency } = decision;
  return (
    <Facts
      facts={[
        [t('found.type'), `${textOf('messageType', decision.type) ?? decision.type} · ${decision.protocol}`],
        [t('found.transaction'), <Link key="t" to="transactions" id={decision.authorizationId} />],
        original === null ? null : [t('why.original'), <Link key="o" to="decisions" id={original} />],
        [t('found.merchant'), [merchant.name, merchant.mcc, merchant.country].filter((one) => one !== null).join(' ')],
        decision.cardShown === '' ? null : [t('search.kind.card'), <code key="c">{decision.cardShown}</code>],
        accountId === null ? null : [t('search.kind.account'), <Link key="a" to="accounts" id={accountId} />],
        customerId === null
          ? null
          : [t('found.customer'), <Link key="u" to="customers" id={customerId} text={customerName} />],
        accountCurrency === null
          ? null
          : [t('why.availableAfter'), <Money key="m" minor={available} currency={accountCurrency} />],
        [t('why.record'), t('why.place', { partition: decision.partition, sequence: decision.sequence })],
      ]}
    />
  );
}
