/** Records that settling has set apart: they are in the books, and wait for a person with the tool. */
import { ShortId, Table, Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { may, Needs, riskRoles } from '../act/acting.js';

interface QuarantinedRecord {
  readonly partition: number;
  readonly sequence: number;
  readonly accountId: string | null;
  readonly booksKept: boolean;
  readonly sqlstate: string;
  readonly error: string;
  readonly at: string;
}

export default function Quarantine({ query }: PageProps) {
  const isAllowed = may(riskRoles);
  const cursor = query.get('cursor');
  const path = `/api/quarantine${cursor === null ? '' : `?cursor=${encodeURIComponent(cursor)}`}`;
  const { value, error, reload } = useResource<{ data: readonly QuarantinedRecord[]; next: string | null }>(
    isAllowed ? path : null,
  );
  return (
    <div class="stack">
      <h1>{t('quarantine.title')}</h1>
      <p class="soft">{t('quarantine.about')}</p>
      {!isAllowed && <Needs roles={riskRoles} />}
      {isAllowed && value === undefined && (error === null ? <Loading /> : <Failed error={error} retry={reload} />)}
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
            { title: t('quarantine.books'), cell: ({ booksKept }) => t(booksKept ? 'act.yes' : 'act.no') },
          ]}
        />
      )}
      {value?.next != null && (
        <a href={href(`/quarantine?cursor=${encodeURIComponent(value.next)}`)}>{t('list.more')}</a>
      )}
    </div>
  );
}
