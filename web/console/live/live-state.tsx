/** Whether the live values are new, on every page of the console. Keeps the stream open while it is shown. */
import { useEffect } from 'preact/hooks';
import { durationText } from '../../kit/format.js';
import { ageMs, isStale, startLive } from '../../kit/live.js';
import { language, t } from '../../kit/messages.js';

export function LiveState() {
  useEffect(startLive, []);
  const age = ageMs.value;
  if (age === null) return <span class="soft live-state">○ {t('live.connecting')}</span>;
  const text = durationText(Math.max(100, Math.round(age / 100) * 100), language.value);
  return isStale() ? (
    <span class="warn live-state">▲ {t('live.late', { age: text })}</span>
  ) : (
    <span class="live-state">
      <span class="approve">●</span> {t('live.fresh', { age: text })}
    </span>
  );
}
