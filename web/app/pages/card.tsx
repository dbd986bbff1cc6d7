/** One card: may it pay, how much is left, and what can be done about it. */
import { useSignal } from '@preact/signals';
import { call } from '../../kit/api.js';
import { Button, Field, Select } from '../../kit/controls.js';
import { durationText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { type Resource, useResource } from '../../kit/resource.js';
import { go, href, type PageProps } from '../../kit/router.js';
import { Empty, Failed, Loading, NotReadAgain } from '../../kit/states.js';
import {
  ActionError,
  CardStatus,
  cardName,
  Done,
  into,
  movesMoney,
  post,
  TransactionList,
  UsedLimits,
  useAction,
} from '../parts.js';
import {
  type Account,
  type Card,
  type Effect,
  type List,
  lastLists,
  type ShownLimits,
  type Transaction,
} from '../shapes.js';

export default function CardPage({ params }: PageProps) {
  const id = params['id']!;
  const card = useResource<Card>(`/api/cards/${id}`);
  const limits = useResource<ShownLimits>(`/api/cards/${id}/limits`);
  const accounts = useResource<List<Account>>(movesMoney() ? lastLists.accounts : null);
  const moves = useResource<List<Transaction>>(`/api/transactions?card=${id}&limit=20`);
  if (card.value === undefined) {
    return card.error === null ? <Loading /> : <Failed error={card.error} retry={card.reload} />;
  }
  const { value } = card;
  const currency = accounts.value?.data.find((account) => account.id === value.accountId)?.currency ?? '';
  return (
    <div class="stack">
      <div class="row spread">
        <h1>{cardName(value)}</h1>
        <CardStatus status={value.status} />
      </div>
      <p class="soft">
        {t(`cardType.${value.type}`)} · {t('card.expires', { date: value.expires })}
      </p>
      <NotReadAgain error={card.error} readAtMs={card.readAtMs} retry={card.reload} />
      {value.replacedBy !== undefined && <a href={href(`/cards/${value.replacedBy}`)}>{t('card.replacedBy')}</a>}
      {value.status !== 'closed' && <Freeze card={card} />}
      <section class="panel stack tight">
        <div class="row spread">
          <h2>{t('limits.title')}</h2>
          {value.status !== 'closed' && movesMoney() && (
            <a class="button" href={href(`/limits/cards/${id}`)}>
              {t('help.changeLimit')}
            </a>
          )}
        </div>
        {limits.value === undefined && limits.error !== null && <Failed error={limits.error} retry={limits.reload} />}
        <NotReadAgain error={limits.error} readAtMs={limits.readAtMs} retry={limits.reload} />
        {limits.value !== undefined && <UsedLimits shown={limits.value} currency={currency} />}
        {limits.value !== undefined && Object.keys(limits.value.limits).length === 0 && (
          <p class="soft">{t('limits.none')}</p>
        )}
      </section>
      {value.status !== 'closed' && movesMoney() && (
        <div class="columns">
          <Rename card={card} />
          <Replace card={value} />
          <Close card={card} />
        </div>
      )}
      <section class="stack tight">
        <h2>{t('transactions.title')}</h2>
        {moves.value === undefined && moves.error !== null && <Failed error={moves.error} retry={moves.reload} />}
        <NotReadAgain error={moves.error} readAtMs={moves.readAtMs} retry={moves.reload} />
        {moves.value?.data.length === 0 && <Empty>{t('transactions.none')}</Empty>}
        <TransactionList transactions={moves.value?.data ?? []} cards={[value]} />
        {moves.value?.next != null && <a href={href(`/transactions?card=${id}`)}>{t('transactions.all')}</a>}
      </section>
    </div>
  );
}

function Freeze({ card }: { readonly card: Resource<Card> }) {
  const action = useAction();
  const effect = useSignal<Effect | null>(null);
  const { id, status } = card.value!;
  const isFrozen = status === 'frozen';
  const change = () =>
    action.run(async () => {
      effect.value = await call<Effect>('PATCH', `/api/cards/${id}`, {
        body: { status: isFrozen ? 'active' : 'frozen' },
      });
      card.reload();
    });
  return (
    <section class="stack tight">
      <div class="row">
        <Button onClick={change} isDisabled={action.isBusy} look={isFrozen ? 'main' : undefined}>
          {t(isFrozen ? 'card.unfreeze' : 'card.freeze')}
        </Button>
        <span class="soft">{t(isFrozen ? 'card.unfreezeEffect' : 'card.freezeEffect')}</span>
      </div>
      <Done>{effect.value !== null && effectText(effect.value)}</Done>
      <ActionError action={action} />
    </section>
  );
}

export function effectText({ effective, engines: { inForce, of }, afterMs }: Effect): string {
  const after = durationText(afterMs, language.value);
  return effective ? t('effect.inForce', { inForce, of, after }) : t('effect.waiting', { inForce, of });
}

function Rename({ card }: { readonly card: Resource<Card> }) {
  const { id, name: current } = card.value!;
  const name = useSignal(current);
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    action.run(async () => {
      await call('PATCH', `/api/cards/${id}`, { body: { name: name.value } });
      card.reload();
    });
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <h2>{t('card.rename')}</h2>
      <Field
        label={t('card.name')}
        name="name"
        required
        maxLength={200}
        value={name.value}
        fault={action.fields['name']}
        onInput={into(name)}
      />
      <ActionError action={action} />
      <div>
        <Button type="submit" isDisabled={action.isBusy}>
          {t('card.rename')}
        </Button>
      </div>
    </form>
  );
}

const reasons = ['lost', 'stolen', 'damaged'] as const;

/** The old card is closed for good, so its last four characters are typed first. */
function Replace({ card }: { readonly card: Card }) {
  const reason = useSignal<string>('lost');
  const typed = useSignal('');
  const action = useAction();
  const last = card.token.slice(-4);
  const submit = (event: Event) => {
    event.preventDefault();
    if (typed.value.trim() !== last) return;
    action.run(async () => {
      const made = await post<Card>(`/api/cards/${card.id}/replace`, { reason: reason.value });
      go(`/cards/${made.id}`);
    });
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <h2>{t('card.replace')}</h2>
      <p class="soft">{t('card.replaceEffect')}</p>
      <Select
        label={t('card.replaceWhy')}
        name="reason"
        value={reason.value}
        options={reasons.map((one) => [one, t(`replace.${one}`)] as const)}
        onChange={into(reason)}
      />
      <Field
        label={t('card.replaceType', { last })}
        name="confirm"
        autocomplete="off"
        value={typed.value}
        onInput={into(typed)}
      />
      <ActionError action={action} />
      <div>
        <Button type="submit" look="danger" isDisabled={action.isBusy || typed.value.trim() !== last}>
          {t('card.replace')}
        </Button>
      </div>
    </form>
  );
}

/** For good, so the card's last four characters are typed first. */
function Close({ card }: { readonly card: Resource<Card> }) {
  const typed = useSignal('');
  const action = useAction();
  const { id, token } = card.value!;
  const last = token.slice(-4);
  const submit = (event: Event) => {
    event.preventDefault();
    if (typed.value.trim() !== last) return;
    action.run(async () => {
      await call('PATCH', `/api/cards/${id}`, { body: { status: 'closed' } });
      card.reload();
    });
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <h2>{t('card.close')}</h2>
      <p class="soft">{t('card.closeEffect')}</p>
      <Field
        label={t('card.replaceType', { last })}
        name="confirm-close"
        autocomplete="off"
        value={typed.value}
        onInput={into(typed)}
      />
      <ActionError action={action} />
      <div>
        <Button type="submit" look="danger" isDisabled={action.isBusy || typed.value.trim() !== last}>
          {t('card.close')}
        </Button>
      </div>
    </form>
  );
}
