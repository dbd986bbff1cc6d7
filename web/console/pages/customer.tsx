/** One customer: identity, accounts, cards, people and sessions, each with what may be done about it. */
import { useSignal } from '@preact/signals';
import { Button } from '../../kit/controls.js';
import { Money, ShortId, Table, Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import type { PageProps } from '../../kit/router.js';
import { Failed, Loading, NotReadAgain } from '../../kit/states.js';
import { type Effect, EffectNote, Fault, freezers, may, Needs, riskRoles, useAct, word } from '../act/acting.js';
import { CardActions, type CardShown } from '../act/card-actions.js';
import { LimitsEditor } from '../act/limits-editor.js';
import { MoveMoney } from '../act/move-money.js';
import type { Customer as CustomerShown } from './customers.js';

interface Page<T> {
  readonly data: readonly T[];
  readonly next: string | null;
}
interface Account {
  readonly id: string;
  readonly currency: string;
  readonly status: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
}
interface User {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: string | null;
  readonly status: string;
}
interface Session {
  readonly id: string;
  readonly userId: string;
  readonly device: string | null;
  readonly address: string | null;
  readonly lastSeenAt: string;
}
type Card = CardShown & { readonly token: string; readonly accountId: string; readonly userId: string };

export default function Customer({ params }: PageProps) {
  const path = `/api/customers/${encodeURIComponent(params['id'] ?? '')}`;
  const { value, error, reload } = useResource<CustomerShown>(path);
  const accounts = useResource<Page<Account>>(`${path}/accounts`);
  if (value === undefined) return error === null ? <Loading /> : <Failed error={error} retry={reload} />;
  return (
    <div class="stack">
      <h1>{value.name}</h1>
      <p class="soft">
        {t(`customers.${value.kind}`)} {value.email ?? ''} <code>{value.id}</code>
      </p>
      <Identity customer={value} path={path} onChanged={reload} />
      <h2>{t('customer.accounts')}</h2>
      {accounts.value === undefined ? (
        <Waiting of={accounts} />
      ) : (
        <Accounts list={accounts.value.data} reload={accounts.reload} />
      )}
      <h2>{t('customer.cards')}</h2>
      <Cards path={path} accounts={accounts.value?.data ?? []} />
      <h2>{t('customer.users')}</h2>
      <Users path={path} />
      <h2>{t('customer.sessions')}</h2>
      <Sessions path={path} />
    </div>
  );
}

function Waiting({ of }: { readonly of: { readonly error: unknown; reload(): void } }) {
  return of.error === null ? <Loading lines={2} /> : <Failed error={of.error} retry={() => of.reload()} />;
}

interface IdentityProps {
  readonly customer: CustomerShown;
  readonly path: string;
  readonly onChanged: () => void;
}

/** Whether the identity was checked: only verified customers get new cards. */
function Identity({ customer, path, onChanged }: IdentityProps) {
  const act = useAct();
  const decide = async (kycStatus: string) => {
    if ((await act.run('PATCH', path, { kycStatus })) !== undefined) onChanged();
  };
  return (
    <section class="panel stack" aria-label={t('customer.identity')}>
      <div class="row">
        <span>{t('customer.identity')}</span>
        <strong>{word('kyc', customer.kycStatus)}</strong>
        {may(freezers) ? (
          (['verified', 'rejected'] as const)
            .filter((one) => one !== customer.kycStatus)
            .map((one) => (
              <Button key={one} isDisabled={act.isBusy} onClick={() => void decide(one)}>
                {t(`customer.${one}`)}
              </Button>
            ))
        ) : (
          <Needs roles={freezers} />
        )}
      </div>
      <p class="soft">{t('customer.identityEffect')}</p>
      <Fault error={act.error} />
    </section>
  );
}

function Accounts({ list, reload }: { readonly list: readonly Account[]; readonly reload: () => void }) {
  return (
    <div class="columns">
      {list.map(({ id, currency, status, funds, available, held }) => (
        <section key={id} class="panel stack" aria-label={t('customer.account', { id: id.slice(-4) })}>
          <p>
            <ShortId id={id} /> {word('status', status)}
          </p>
          <p>
            {t('customer.available')} <Money minor={available} currency={currency} />
          </p>
          <p class="soft">
            {t('customer.held')} <Money minor={held} currency={currency} /> · {t('customer.funds')}{' '}
            <Money minor={funds} currency={currency} />
          </p>
          <MoveMoney accountId={id} currency={currency} onMoved={reload} />
          <Fold title={t('limit.title')}>{() => <LimitsEditor level="account" id={id} currency={currency} />}</Fold>
        </section>
      ))}
    </div>
  );
}

/** Reads what is inside once it is opened. */
function Fold({ title, children }: { readonly title: string; readonly children: () => preact.ComponentChildren }) {
  const isOpen = useSignal(false);
  return (
    <details
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>{title}</summary>
      {isOpen.value && children()}
    </details>
  );
}

function Cards({ path, accounts }: { readonly path: string; readonly accounts: readonly Account[] }) {
  const cards = useResource<Page<Card>>(`${path}/cards`);
  if (cards.value === undefined) return <Waiting of={cards} />;
  if (cards.value.data.length === 0) return <p class="soft">{t('customer.noCards')}</p>;
  return (
    <ul class="columns">
      {cards.value.data.map((card) => (
        <li key={card.id} class="panel stack">
          <p>
            <strong>{card.name}</strong> <ShortId id={card.token} />
          </p>
          <CardActions card={card} onChanged={cards.reload} />
          <Fold title={t('limit.title')}>
            {() => (
              <LimitsEditor
                level="card"
                id={card.id}
                currency={accounts.find(({ id }) => id === card.accountId)?.currency ?? 'USD'}
              />
            )}
          </Fold>
        </li>
      ))}
    </ul>
  );
}

function Users({ path }: { readonly path: string }) {
  const users = useResource<Page<User>>(`${path}/users`);
  const act = useAct();
  const changed = useSignal<{ readonly id: string; readonly effect: Effect } | null>(null);
  if (users.value === undefined) return <Waiting of={users} />;
  const set = async (id: string, status: 'active' | 'frozen') => {
    const effect = await act.run<Effect>('PUT', `/api/users/${id}/status`, { status });
    if (effect === undefined) return;
    changed.value = { id, effect };
    users.reload();
  };
  return (
    <>
      <Table
        caption={t('customer.users')}
        rows={users.value.data}
        rowKey={({ id }) => id}
        columns={[
          { title: t('customers.name'), cell: ({ name }) => name },
          { title: t('customers.email'), cell: ({ email }) => email },
          { title: t('customer.role'), cell: ({ role }) => role ?? '–' },
          { title: t('customers.status'), cell: ({ status }) => word('status', status) },
          {
            title: t('customer.access'),
            cell: ({ id, status }) =>
              may(status === 'frozen' ? riskRoles : freezers) &&
              status !== 'closed' && (
                <Button isDisabled={act.isBusy} onClick={() => void set(id, status === 'frozen' ? 'active' : 'frozen')}>
                  {t(status === 'frozen' ? 'customer.letIn' : 'customer.suspend')}
                </Button>
              ),
          },
        ]}
      />
      <p class="soft">{t('customer.suspendEffect')}</p>
      {changed.value !== null && <EffectNote effect={changed.value.effect} path={`/api/users/${changed.value.id}`} />}
      <Fault error={act.error} />
      <NotReadAgain error={users.error} readAtMs={users.readAtMs} retry={users.reload} />
    </>
  );
}

function Sessions({ path }: { readonly path: string }) {
  const act = useAct();
  const sessions = useResource<Page<Session>>(`${path}/sessions`);
  if (sessions.value === undefined) return <Waiting of={sessions} />;
  if (sessions.value.data.length === 0) return <p class="soft">{t('customer.noSessions')}</p>;
  const end = async (id: string) => {
    await act.run('DELETE', `/api/sessions/${id}`);
    sessions.reload();
  };
  return (
    <>
      <Table
        caption={t('customer.sessions')}
        rows={sessions.value.data}
        rowKey={({ id }) => id}
        columns={[
          { title: t('customer.device'), cell: ({ device }) => (device ?? '–').slice(0, 60) },
          { title: t('customer.address'), cell: ({ address }) => address ?? '–' },
          { title: t('customer.lastSeen'), cell: ({ lastSeenAt }) => <Time atMs={Date.parse(lastSeenAt)} withDate /> },
          {
            title: t('customer.end'),
            cell: ({ id }) =>
              may(freezers) && (
                <Button isDisabled={act.isBusy} onClick={() => void end(id)}>
                  {t('customer.endSession')}
                </Button>
              ),
          },
        ]}
      />
      <p class="soft">{t('customer.endEffect')}</p>
      <Fault error={act.error} />
    </>
  );
}
