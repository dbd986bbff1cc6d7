/** Large movements of money that wait for a second operator, and what became of the others. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { ShortId, Time } from '../../kit/data.js';
import { moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go, href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { Choice, Fault, may, me, Needs, riskRoles, useAct, word } from '../act/acting.js';

interface Person {
  readonly id: string;
  readonly name: string;
}
interface Funding {
  readonly id: string;
  readonly accountId: string;
  readonly direction: 'deposit' | 'withdrawal';
  readonly amount: number;
  readonly currency: string;
  readonly status: (typeof statuses)[number];
  readonly requestedBy: Person;
  readonly requestedAt: string;
  readonly expiresAt: string;
  readonly decidedBy: Person | null;
  readonly decidedAt: string | null;
  readonly reason: string | null;
}

const statuses = ['pending', 'approved', 'done', 'refused', 'rejected', 'expired'] as const;

export default function Fundings({ query }: PageProps) {
  const status = statuses.find((one) => one === query.get('status')) ?? 'pending';
  const cursor = query.get('cursor');
  const after = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
  const { value, error, reload } = useResource<{ data: readonly Funding[]; next: string | null }>(
    `/api/fundings?status=${status}${after}`,
  );
  return (
    <div class="stack">
      <h1>{t('funding.title')}</h1>
      <p class="soft">{t('funding.about')}</p>
      <Choice
        label={t('customers.status')}
        name="status"
        value={status}
        options={statuses.map((one) => [one, word('funding', one)] as const)}
        onChange={(chosen) => go(`/fundings?status=${chosen}`)}
      />
      {value === undefined && (error === null ? <Loading /> : <Failed error={error} retry={reload} />)}
      {value?.data.length === 0 && <Empty>{t('funding.none')}</Empty>}
      <ul class="columns">
        {value?.data.map((funding) => (
          <li key={funding.id} class="panel">
            <One funding={funding} />
          </li>
        ))}
      </ul>
      {value?.next != null && (
        <a href={href(`/fundings?status=${status}&cursor=${encodeURIComponent(value.next)}`)}>{t('list.more')}</a>
      )}
    </div>
  );
}

function One({ funding }: { readonly funding: Funding }) {
  const newest = useSignal(funding);
  const { direction, amount, currency, accountId, status, requestedBy, requestedAt, decidedBy, reason } = newest.value;
  return (
    <div class="stack">
      <h2>
        {t(`funding.${direction}`)} {moneyText(amount, currency, language.value)}
      </h2>
      <p>
        {t('funding.toAccount')} <ShortId id={accountId} /> · <strong>{word('funding', status)}</strong>
      </p>
      <p class="soft">
        {t('funding.askedBy', { name: requestedBy.name })} <Time atMs={Date.parse(requestedAt)} withDate />
      </p>
      {decidedBy !== null && <p class="soft">{t('funding.decidedBy', { name: decidedBy.name })}</p>}
      {reason !== null && <p class="soft">{reason}</p>}
      {(status === 'pending' || status === 'approved') && (
        <Decision
          funding={newest.value}
          onDecided={(decided) => {
            newest.value = decided;
          }}
        />
      )}
    </div>
  );
}

interface DecisionProps {
  readonly funding: Funding;
  readonly onDecided: (funding: Funding) => void;
}

function Decision({ funding: { id, status, amount, currency, requestedBy, expiresAt }, onDecided }: DecisionProps) {
  const act = useAct();
  const reason = useSignal('');
  if (!may(riskRoles)) return <Needs roles={riskRoles} />;
  if (requestedBy.id === me().id) return <p class="soft">{t('funding.yours')}</p>;
  const decide = async (what: 'approve' | 'reject', body?: unknown) => {
    const decided = await act.run<Funding>('POST', `/api/fundings/${id}/${what}`, body);
    if (decided !== undefined) onDecided(decided);
  };
  return (
    <div class="stack">
      <p class="soft">
        {t('funding.effect', { amount: moneyText(amount, currency, language.value) })} {t('funding.until')}{' '}
        <Time atMs={Date.parse(expiresAt)} withDate />
      </p>
      <div>
        <Button look="main" isDisabled={act.isBusy} onClick={() => void decide('approve')}>
          {t('funding.approve')}
        </Button>
      </div>
      {status === 'pending' && (
        <form
          class="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void decide('reject', { reason: reason.value.trim() });
          }}
        >
          <Field
            label={t('funding.reason')}
            name={`reason-${id}`}
            maxLength={200}
            required
            value={reason.value}
            onInput={(value) => {
              reason.value = value;
            }}
          />
          <div>
            <Button type="submit" isDisabled={act.isBusy || reason.value.trim() === ''}>
              {t('funding.reject')}
            </Button>
          </div>
        </form>
      )}
      <Fault error={act.error} />
    </div>
  );
}
