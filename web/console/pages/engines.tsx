/** Which engine owns what: partitions and epochs as the engines have them, and how each engine is. */
import { useEffect } from 'preact/hooks';
import type { LiveEngine } from '../../../api/live/live-shape.js';
import { type Column, Duration, Table, Time } from '../../kit/data.js';
import { countText, shareText } from '../../kit/format.js';
import { ticks } from '../../kit/live.js';
import { language, t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { Empty, Failed, Loading, NotReadAgain } from '../../kit/states.js';

interface Engine {
  readonly id: string;
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly epoch: number;
  readonly partitions: readonly number[];
  readonly leaseMsLeft: number;
}

/** Partitions move within seconds. */
const againMs = 3000;

export default function Engines() {
  const { value, error, readAtMs, reload } = useResource<{ readonly data: readonly Engine[] }>('/api/engines');
  useEffect(() => {
    const timer = setInterval(reload, againMs);
    return () => clearInterval(timer);
  }, [reload]);
  if (value === undefined) {
    return (
      <div class="stack">
        <h1>{t('live.engines')}</h1>
        {error === null ? <Loading /> : <Failed error={error} retry={reload} />}
      </div>
    );
  }
  const engines = value.data;
  return (
    <div class="stack">
      <h1>{t('live.engines')}</h1>
      <p class="soft">
        {t('engines.about')} {readAtMs !== null && <Time atMs={readAtMs} />}
      </p>
      <NotReadAgain error={error} readAtMs={readAtMs} retry={reload} />
      {engines.length === 0 ? (
        <Empty>{t('engines.none')}</Empty>
      ) : (
        <>
          <Table caption={t('live.engines')} columns={columns()} rows={engines} rowKey={({ id }) => id} />
          <Partitions engines={engines} />
        </>
      )}
    </div>
  );
}

const liveOf = (id: string): LiveEngine | undefined =>
  ticks.value.at(-1)?.engines.find((engine) => engine.id === id && engine.isUp);

/** A figure of the live stream; a dash while the engine sends none. */
function live(id: string, show: (engine: LiveEngine) => preact.ComponentChildren) {
  const engine = liveOf(id);
  return engine === undefined ? '–' : show(engine);
}

function columns(): readonly Column<Engine>[] {
  return [
    {
      title: t('live.engine'),
      cell: ({ id }) => (
        <>
          <code>{id}</code>{' '}
          {liveOf(id) === undefined ? (
            <span class="decline">▲ {t('engines.silent')}</span>
          ) : (
            <span class="approve">● {t('live.up')}</span>
          )}
        </>
      ),
    },
    { title: t('engines.count'), isNumber: true, cell: ({ partitions }) => partitions.length },
    { title: t('live.epoch'), isNumber: true, cell: ({ epoch }) => epoch },
    {
      title: t('engines.lease'),
      isNumber: true,
      cell: ({ leaseMsLeft }) => <Duration ms={Math.max(0, leaseMsLeft)} />,
    },
    {
      title: t('live.perSecond'),
      isNumber: true,
      cell: ({ id }) => live(id, ({ decidedPerSecond }) => countText(decidedPerSecond, language.value)),
    },
    {
      title: 'p99',
      isNumber: true,
      cell: ({ id }) => live(id, ({ p99Ms }) => (p99Ms === null ? '–' : <Duration ms={p99Ms} />)),
    },
    {
      title: t('live.journalFull'),
      isNumber: true,
      cell: ({ id }) =>
        live(id, ({ journalUsedShare: share }) => (share === null ? '–' : shareText(share, language.value))),
    },
    {
      title: t('live.feedAge'),
      isNumber: true,
      cell: ({ id }) => live(id, ({ feedAgeMs }) => <Duration ms={feedAgeMs} />),
    },
    { title: t('engines.authUrl'), cell: ({ authUrl }) => <code>{authUrl}</code> },
    { title: t('engines.opsUrl'), cell: ({ opsUrl }) => <code>{opsUrl}</code> },
  ];
}

/** By number: which engine decides for a partition. */
function Partitions({ engines }: { readonly engines: readonly Engine[] }) {
  const owned = engines
    .flatMap(({ id, partitions }) => partitions.map((partition) => ({ id, partition })))
    .sort((one, other) => one.partition - other.partition);
  return (
    <section class="panel" aria-labelledby="partitions-title">
      <h2 id="partitions-title">{t('live.partitions')}</h2>
      {owned.length === 0 && <p class="decline">{t('engines.noOwner')}</p>}
      <ol class="partitions">
        {owned.map(({ id, partition }) => (
          <li key={partition}>
            <span class="soft">{partition}</span> <code>{id}</code>
          </li>
        ))}
      </ol>
    </section>
  );
}
