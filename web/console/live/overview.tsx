/** The answer first: how much, how well, how fast, and how far behind. */
import type { ComponentChildren } from 'preact';
import type { LiveAlert, LiveBooks } from '../../../api/live/live-shape.js';
import { Time } from '../../kit/data.js';
import { countText, decimalText, durationText, shareText } from '../../kit/format.js';
import { points, ticks } from '../../kit/live.js';
import { reasonsMs, recentMs, shareApproved, sumOf } from '../../kit/live-window.js';
import { language, t, textOf } from '../../kit/messages.js';
import { Spark } from './spark.js';

interface FigureProps {
  readonly value: ComponentChildren;
  readonly what: string;
  readonly children?: ComponentChildren;
}

function Figure({ value, what, children }: FigureProps) {
  return (
    <div class="figure">
      <dt class="soft">{what}</dt>
      <dd>
        <span class="value">{value}</span>
        {children}
      </dd>
    </div>
  );
}

/** The span that was really seen, of the one that is wanted. */
const seconds = (spanMs: number) => countText(Math.round(spanMs / 1000), language.value);

export function Overview() {
  const tick = ticks.value.at(-1);
  const recent = sumOf(ticks.value, recentMs);
  const { decidedPerSecond, approvedShare, p99, settleLagMs } = points.value;
  const share = shareApproved(recent);
  const span = seconds(Math.min(recent.spanMs, recentMs));
  const rate = recent.spanMs === 0 ? 0 : (recent.decided * 1000) / recent.spanMs;
  const latency = tick?.latencyMs ?? null;
  return (
    <dl class="figures">
      <Figure value={`${decimalText(rate, rate < 10 ? 1 : 0, language.value)}/s`} what={t('live.decided', { span })}>
        <Spark values={decidedPerSecond} />
      </Figure>
      <Figure value={share === null ? '–' : shareText(share, language.value)} what={t('live.approved', { span })}>
        <Spark values={approvedShare} />
      </Figure>
      <Figure
        value={latency === null ? '–' : durationText(latency.p99, language.value)}
        what={t('live.p99', { span: seconds(recentMs) })}
      >
        <Spark values={p99} />
      </Figure>
      <Figure value={durationText(tick?.settleLagMs ?? 0, language.value)} what={t('live.settled')}>
        <Spark values={settleLagMs} />
      </Figure>
      <AlertCount alerts={tick?.alerts ?? []} />
      <Books books={tick?.books ?? null} />
    </dl>
  );
}

function AlertCount({ alerts }: { readonly alerts: readonly LiveAlert[] }) {
  const worst = alerts.some(({ severity }) => severity === 'page') ? 'decline' : 'warn';
  return (
    <Figure
      value={
        alerts.length === 0 ? (
          countText(0, language.value)
        ) : (
          <span class={worst}>{`${worst === 'warn' ? '▲' : '✗'} ${countText(alerts.length, language.value)}`}</span>
        )
      }
      what={t('alerts.count')}
    />
  );
}

/** Whether each account's books are what its postings come to, by the walk of the program itself. */
function Books({ books }: { readonly books: LiveBooks | null }) {
  const checkedAtMs = books?.checkedAtMs ?? null;
  const count = (number: number) => countText(number, language.value);
  return (
    <Figure
      value={
        books !== null && books.unbalanced > 0 ? (
          <span class="decline">{`✗ ${count(books.unbalanced)}`}</span>
        ) : checkedAtMs === null ? (
          '–'
        ) : (
          <span class="approve">✓</span>
        )
      }
      what={t(
        books !== null && books.unbalanced > 0
          ? 'books.wrong'
          : checkedAtMs === null
            ? 'books.unknown'
            : 'books.balance',
      )}
    >
      {books !== null && checkedAtMs !== null && (
        <span class="soft checked">
          {t('books.checked', { accounts: count(books.accounts) })} <Time atMs={checkedAtMs} />
          {books.unchecked > 0 && ` ${t('books.unchecked', { accounts: count(books.unchecked) })}`}
        </span>
      )}
    </Figure>
  );
}

const reasonsShown = 8;

/** Why it was declined or refused, most frequent first. */
export function Reasons() {
  const sum = sumOf(ticks.value, reasonsMs);
  const reasons = [...sum.byReason].sort(([, one], [, other]) => other - one).slice(0, reasonsShown);
  const most = reasons[0]?.[1] ?? 1;
  return (
    <section class="panel" aria-labelledby="reasons-title">
      <h2 id="reasons-title">{t('live.declined', { span: seconds(Math.min(sum.spanMs, reasonsMs)) })}</h2>
      {reasons.length === 0 ? (
        <p class="soft">{t('live.noDecline')}</p>
      ) : (
        <table class="reasons">
          <tbody>
            {reasons.map(([reason, count]) => (
              <tr key={reason}>
                <th scope="row">{textOf('reason', reason) ?? reason}</th>
                <td class="share">
                  <span style={{ width: `${(count / most) * 100}%` }} />
                </td>
                <td class="number">{countText(count, language.value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** Where the milliseconds of a decision go, on average. */
export function Hops() {
  const hops = ticks.value.at(-1)?.hopsMs ?? null;
  const names = ['wait', 'decide', 'journal', 'send'] as const;
  return (
    <p class="row hops">
      <span class="soft">{t('live.hops', { span: seconds(recentMs) })}</span>
      {names.map((name) => (
        <span key={name}>
          {t(`live.hop.${name}`)} <b>{hops === null ? '–' : durationText(hops[name], language.value)}</b>
        </span>
      ))}
    </p>
  );
}

/** Which hop at which engine takes longest: where to look first. */
export function Slowest() {
  const slowest = ticks.value.at(-1)?.slowest ?? [];
  return (
    <p class="row hops">
      <span class="soft">{t('live.slowest', { span: seconds(recentMs) })}</span>
      {slowest.length === 0 && '–'}
      {slowest.map(({ engine, hop, p99Ms }) => (
        <span key={`${engine} ${hop}`}>
          {t(hop === 'decide' ? 'live.hop.decideAndSync' : `live.hop.${hop}`)}{' '}
          <b>{durationText(p99Ms, language.value)}</b> <code class="soft">{engine}</code>
        </span>
      ))}
    </p>
  );
}
