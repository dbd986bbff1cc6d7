/** The engines: which one owns what, and how each is. */
import type { LiveEngine } from '../../../api/live/live-shape.js';
import { type Column, Duration, Table } from '../../kit/data.js';
import { countText, shareText } from '../../kit/format.js';
import { ticks } from '../../kit/live.js';
import { language, t } from '../../kit/messages.js';

const enginesShown = 50;

function columns(): readonly Column<LiveEngine>[] {
  return [
    {
      title: t('live.engine'),
      cell: ({ id, isUp, ageMs }) => (
        <>
          <code>{id}</code>{' '}
          {isUp ? (
            <span class="approve">● {t('live.up')}</span>
          ) : (
            <span class="decline">
              ▲ {t('live.silent')} <Duration ms={ageMs} />
            </span>
          )}
        </>
      ),
    },
    { title: t('live.partitions'), cell: ({ partitions }) => partitions.join(' ') || '–' },
    { title: t('live.epoch'), isNumber: true, cell: ({ epoch }) => epoch },
    {
      title: t('live.perSecond'),
      isNumber: true,
      cell: ({ decidedPerSecond }) => countText(decidedPerSecond, language.value),
    },
    { title: 'p99', isNumber: true, cell: ({ p99Ms }) => (p99Ms === null ? '–' : <Duration ms={p99Ms} />) },
    {
      title: t('live.journalFull'),
      isNumber: true,
      cell: ({ journalUsedShare: share }) => (share === null ? '–' : shareText(share, language.value)),
    },
    { title: t('live.feedAge'), isNumber: true, cell: ({ feedAgeMs }) => <Duration ms={feedAgeMs} /> },
    { title: t('live.settleLag'), isNumber: true, cell: ({ settleLagMs }) => <Duration ms={settleLagMs} /> },
  ];
}

export function Engines() {
  const engines = ticks.value.at(-1)?.engines ?? [];
  return (
    <div class="panel">
      <h2>{t('live.engines')}</h2>
      <Table
        caption={t('live.engines')}
        columns={columns()}
        rows={engines.slice(0, enginesShown)}
        rowKey={({ id }) => id}
      />
    </div>
  );
}
