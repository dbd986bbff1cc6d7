/** The money of one account: what is there, how it moved, and adding some where the program allows it. */
import { useSignal } from '@preact/signals';
import { ApiError } from '../../kit/api.js';
import { Button, Field } from '../../kit/controls.js';
import { Money, Time } from '../../kit/data.js';
import { minorOf } from '../../kit/format.js';
import { t, textOf } from '../../kit/messages.js';
import { type Resource, useResource } from '../../kit/resource.js';
import { href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { ActionError, Done, into, post, useAction } from '../parts.js';
import type { Account, List } from '../shapes.js';

interface Entry {
  readonly id: string | null;
  readonly kind: string;
  readonly amount: number;
  readonly currency: string;
  readonly transactionId: string | null;
  readonly at: string;
}

export default function AccountPage({ params }: PageProps) {
  const id = params['id']!;
  const account = useResource<Account>(`/api/accounts/${id}`);
  const entries = useResource<List<Entry>>(`/api/accounts/${id}/entries?limit=50`);
  if (account.value === undefined) {
    return account.error === null ? <Loading /> : <Failed error={account.error} retry={account.reload} />;
  }
  const { available, held, currency } = account.value;
  return (
    <div class="stack">
      <h1>{t('account.title')}</h1>
      {account.error !== null && <Failed error={account.error} retry={account.reload} />}
      <p class="figure">
        <Money minor={available} currency={currency} />
      </p>
      <p class="soft">
        {t('home.held')} <Money minor={held} currency={currency} /> ·{' '}
        <a href={href(`/limits/accounts/${id}`)}>{t('limits.title')}</a>
      </p>
      <AddMoney account={account} />
      <h2>{t('account.entries')}</h2>
      {entries.error !== null && <Failed error={entries.error} retry={entries.reload} />}
      {entries.value?.data.length === 0 && <Empty>{t('account.noEntries')}</Empty>}
      <ul class="rows">
        {entries.value?.data.map((entry, place) => (
          <li key={`${place} ${entry.at}`} class="row spread">
            <span>
              {textOf('entry', entry.kind) ?? entry.kind}{' '}
              {entry.transactionId !== null && (
                <a href={href(`/transactions/${encodeURIComponent(entry.transactionId)}`)}>{t('account.purchase')}</a>
              )}
            </span>
            <span class="row">
              <Money minor={entry.amount} currency={entry.currency} />
              <span class="soft">
                <Time atMs={Date.parse(entry.at)} withDate />
              </span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function AddMoney({ account }: { readonly account: Resource<Account> }) {
  const { id, currency } = account.value!;
  const typed = useSignal('');
  const isDone = useSignal(false);
  const action = useAction();
  const minor = minorOf(typed.value, currency);
  const submit = (event: Event) => {
    event.preventDefault();
    if (!minor) return;
    action.run(async () => {
      isDone.value = false;
      await post(`/api/accounts/${id}/deposits`, { amount: minor });
      typed.value = '';
      isDone.value = true;
      account.reload();
    });
  };
  const isRefused = action.error instanceof ApiError && action.error.status === 403;
  return (
    <form class="panel stack narrow" onSubmit={submit}>
      <h2>{t('help.addMoney')}</h2>
      <Field
        label={t('account.amount', { currency })}
        name="amount"
        inputMode="decimal"
        required
        value={typed.value}
        fault={typed.value !== '' && !minor ? t('amount.invalid', { currency }) : undefined}
        onInput={into(typed)}
      />
      {isRefused ? <p role="alert">{t('account.programFunds')}</p> : <ActionError action={action} />}
      <Done>{isDone.value && t('account.added')}</Done>
      <div>
        <Button type="submit" look="main" isDisabled={action.isBusy || !minor}>
          {t('help.addMoney')}
        </Button>
      </div>
    </form>
  );
}
