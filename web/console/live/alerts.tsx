/** What is wrong now, as the API sees it, with the section of the runbook that says what to do. */
import type { LiveAlert } from '../../../api/live/live-shape.js';
import { Time } from '../../kit/data.js';
import { ticks } from '../../kit/live.js';
import { t, textOf } from '../../kit/messages.js';

export function Alerts() {
  const alerts = ticks.value.at(-1)?.alerts ?? [];
  if (alerts.length === 0) return null;
  return (
    <section class="panel alerts" aria-labelledby="alerts-title">
      <h2 id="alerts-title">{t('alerts.title')}</h2>
      <ul class="stack">
        {alerts.map((alert) => (
          <Alert key={`${alert.name} ${alert.what}`} alert={alert} />
        ))}
      </ul>
      <p class="soft">{t('alerts.about')}</p>
    </section>
  );
}

function Alert({ alert: { name, severity, what, sinceMs, runbook } }: { readonly alert: LiveAlert }) {
  return (
    <li class="row">
      <span class={severity === 'page' ? 'decline' : 'warn'}>
        {severity === 'page' ? '✗' : '▲'} {t(`alerts.${severity}`)}
      </span>
      <b>{textOf('alert', name) ?? name}</b>
      {what !== '' && <code class="whole">{what}</code>}
      <span class="soft">
        {t('alerts.since')} <Time atMs={sinceMs} />
      </span>
      <code class="soft whole">{`docs/runbook.md#${runbook}`}</code>
    </li>
  );
}
