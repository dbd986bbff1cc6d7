/** A new card: its name, its kind, and what it may spend a day. */
import { useSignal } from '@preact/signals';
import { Button, Field, Select } from '../../kit/controls.js';
import { minorOf } from '../../kit/format.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { go } from '../../kit/router.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { ActionError, into, post, useAction } from '../parts.js';
import { type Account, type Card, type List, lastLists } from '../shapes.js';

const types = ['virtual', 'single_use', 'merchant_locked'] as const;

export default function NewCard() {
  const accounts = useResource<List<Account>>(lastLists.accounts);
  if (accounts.value === undefined) {
    return accounts.error === null ? <Loading /> : <Failed error={accounts.error} retry={accounts.reload} />;
  }
  const [first] = accounts.value.data;
  return first === undefined ? (
    <Empty>{t('account.none')}</Empty>
  ) : (
    <Form accounts={accounts.value.data} first={first} />
  );
}

function Form({ accounts, first }: { readonly accounts: readonly Account[]; readonly first: Account }) {
  const name = useSignal('');
  const type = useSignal<string>('virtual');
  const accountId = useSignal(first.id);
  const daily = useSignal('');
  const fault = useSignal<string | undefined>(undefined);
  const action = useAction();
  const { currency } = accounts.find(({ id }) => id === accountId.value) ?? first;
  const submit = (event: Event) => {
    event.preventDefault();
    const amount = minorOf(daily.value, currency);
    fault.value = daily.value !== '' && amount === null ? t('amount.invalid', { currency }) : undefined;
    if (fault.value !== undefined) return;
    const body = {
      accountId: accountId.value,
      name: name.value,
      type: type.value,
      ...(amount === null ? {} : { limits: { daily: { amount } } }),
    };
    action.run(async () => {
      const made = await post<Card>('/api/cards', body);
      go(`/cards/${made.id}`);
    });
  };
  return (
    <form class="stack narrow" onSubmit={submit}>
      <h1>{t('cards.new')}</h1>
      <Field
        label={t('card.name')}
        name="name"
        required
        maxLength={200}
        value={name.value}
        fault={action.fields['name']}
        onInput={into(name)}
      />
      <Select
        label={t('card.type')}
        name="type"
        value={type.value}
        options={types.map((one) => [one, t(`cardType.${one}`)] as const)}
        onChange={into(type)}
      />
      {accounts.length > 1 && (
        <Select
          label={t('account.title')}
          name="account"
          value={accountId.value}
          options={accounts.map(({ id, currency: of }) => [id, `${of} …${id.slice(-4)}`] as const)}
          onChange={into(accountId)}
        />
      )}
      <Field
        label={t('card.dailyLimit', { currency })}
        hint={t('card.dailyHint')}
        name="daily"
        inputMode="decimal"
        value={daily.value}
        fault={fault.value}
        onInput={into(daily)}
      />
      <ActionError action={action} />
      <Button type="submit" look="main" isDisabled={action.isBusy}>
        {t('cards.make')}
      </Button>
    </form>
  );
}
