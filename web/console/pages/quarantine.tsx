/** Records that settling has set apart: they wait until their cause is gone, and an operator has them settled. */
import { useSignal } from '@preact/signals';
import { Button } from '../../kit/controls.js';
import { ShortId, Table, Time } from '../../kit/data.js';
import { moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading, NotReadAgain } from '../../kit/states.js';
import { Fault, may, Needs, riskRoles, useAct } from '../act/acting.js';

interface QuarantinedRecord {
  readonly partition: number;
  readonly sequence: number;
  readonly accountId: string | null;
  readonly currency: string | null;
  readonly fundsDelta: number;
  readonly heldDelta: number;
  readonly postedDelta: number;
  readonly booksKept: boolean;
  readonly sqlstate: string;
  readonly error: string;
  readonly at: string;
}

export default function Quarantine({ query }: PageProps) {
  const isAllowed = may(riskRoles);
  const cursor = query.get('cursor');
  const path = `/api/quarantine${cursor === null ? '' : `?cursor=${encodeURIComponent(cursor)}`}`;
  const act = useAct();
  const outcome = useSignal<{ readonly place: string; readonly error: string | null } | null>(null);
  const { value, error, reload, readAtMs } = useResource<{ data: readonly QuarantinedRecord[]; next: string | null }>(
    isAllowed ? path : null,
  );
  const retry = async ({ partition, sequence }: QuarantinedRecord) => {
    const answer = await act.run<{ readonly error: string | null }>('POST', '/api/quarantine/retry', {
      partition,
      sequence,
    });
    if (answer === undefined) return;
    outcome.value = { place: `${partition}/${sequence}`, error: answer.error };
    reload();
  };
  return (
    <div class="stack">
      <h1>{t('quarantine.title')}</h1>
      <p class="soft">{t('quarantine.about')}</p>
      {!isAllowed && <Needs roles={riskRoles} />}
      {isAllowed && value === undefined && (error === null ? <Loading /> : <Failed error={error} retry={reload} />)}
      {outcome.value !== null && <Outcome {...outcome.value} />}
      <Fault error={act.error} />
      <NotReadAgain error={error} readAtMs={readAtMs} retry={reload} />
      {value?.data.length === 0 && <Empty>{t('quarantine.none')}</Empty>}
      {value !== undefined && value.data.length > 0 && (
        <Table
          caption={t('quarantine.title')}
          rows={value.data}
          rowKey={({ partition, sequence }) => `${partition}/${sequence}`}
          columns={[
            {
              title: t('quarantine.place'),
              cell: ({ partition, sequence }) => <code>{`${partition}/${sequence}`}</code>,
            },
            { title: t('audit.at'), cell: ({ at }) => <Time atMs={Date.parse(at)} withDate /> },
            {
              title: t('quarantine.account'),
              cell: ({ accountId }) => (accountId === null ? '–' : <ShortId id={accountId} />),
            },
            { title: t('quarantine.error'), cell: ({ sqlstate, error: text }) => `${sqlstate} ${text}` },
            { title: t('quarantine.moves'), cell: (record) => movesText(record) },
            { title: t('quarantine.books'), cell: ({ booksKept }) => t(booksKept ? 'act.yes' : 'act.no') },
            {
              title: t('quarantine.act'),
              cell: (record) => (
                <Button isDisabled={act.isBusy} onClick={() => void retry(record)}>
                  {t('quarantine.retry')}
                </Button>
              ),
            },
          ]}
        />
      )}
      {value?.next != null && (
        <a href={href(`/quarantine?cursor=${encodeURIComponent(value.next)}`)}>{t('list.more')}</a>
      )}
    </div>
  );
}

/** What the record moved, as the account's books have it. */
function movesText({ currency, fundsDelta, heldDelta, postedDelta }: QuarantinedRecord): string {
  if (currency === null) return '–';
  const moves = [
    ['quarantine.funds', fundsDelta],
    ['quarantine.held', heldDelta],
    ['quarantine.posted', postedDelta],
  ] as const;
  const moved = moves.filter(([, minor]) => minor !== 0);
  return moved.map(([key, minor]) => `${t(key)} ${moneyText(minor, currency, language.value)}`).join(', ') || '–';
}

function Outcome({ place, error }: { readonly place: string; readonly error: string | null }) {
  return (
    <p class={error === null ? 'approve' : 'decline'} role="status">
      {error === null ? `✓ ${t('quarantine.settled', { place })}` : `✗ ${t('quarantine.refused', { place, error })}`}
    </p>
  );
}
