/** A deposit or a withdrawal: done at once, or asked of another operator where it is large. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { minorOf, moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { href } from '../../kit/router.js';
import { Choice, Fault, may, Needs, type Role, useAct } from './acting.js';

interface MoveMoneyProps {
  readonly accountId: string;
  readonly currency: string;
  readonly onMoved: () => void;
}

interface Moved {
  readonly id: string;
  readonly amount: number;
  /** Only of one that waits for another operator. */
  readonly status?: string;
}

const funders: readonly Role[] = ['admin'];

export function MoveMoney({ accountId, currency, onMoved }: MoveMoneyProps) {
  const act = useAct();
  const direction = useSignal<'deposits' | 'withdrawals'>('deposits');
  const typed = useSignal('');
  const moved = useSignal<Moved | null>(null);
  const amount = minorOf(typed.value, currency);
  if (!may(funders)) return <Needs roles={funders} />;
  const submit = async (event: Event) => {
    event.preventDefault();
    if (amount === null || amount === 0) return;
    const answer = await act.run<Moved>('POST', `/api/accounts/${accountId}/${direction.value}`, { amount });
    if (answer === undefined) return;
    moved.value = answer;
    typed.value = '';
    onMoved();
  };
  return (
    <details>
      <summary>{t('funding.move')}</summary>
      <form class="stack" onSubmit={submit}>
        <Choice
          label={t('funding.direction')}
          name="direction"
          value={direction.value}
          options={[
            ['deposits', t('funding.deposit')],
            ['withdrawals', t('funding.withdrawal')],
          ]}
          onChange={(value) => {
            direction.value = value;
          }}
        />
        <Field
          label={`${t('funding.amount')} (${currency})`}
          hint={t('funding.hint')}
          name="amount"
          inputMode="decimal"
          required
          value={typed.value}
          onInput={(value) => {
            typed.value = value;
          }}
          fault={typed.value !== '' && amount === null ? t('limit.fault') : undefined}
        />
        <div>
          <Button type="submit" look="main" isDisabled={act.isBusy || amount === null || amount === 0}>
            {t('funding.submit')}
          </Button>
        </div>
        {moved.value !== null && <MovedNote moved={moved.value} currency={currency} />}
        <Fault error={act.error} />
      </form>
    </details>
  );
}

function MovedNote({ moved, currency }: { readonly moved: Moved; readonly currency: string }) {
  const amount = moneyText(moved.amount, currency, language.value);
  if (moved.status === undefined) {
    return (
      <p class="approve" role="status">
        <span aria-hidden="true">✓ </span>
        {t('funding.moved', { amount })}
      </p>
    );
  }
  return (
    <p class="warn" role="status">
      {t('funding.waits', { amount })} <a href={href('/fundings')}>{t('funding.title')}</a>
    </p>
  );
}
