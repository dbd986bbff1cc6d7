/** The end of a hold that no clearing will come for, with a reason. */
import { useSignal } from '@preact/signals';
import { Field } from '../../kit/controls.js';
import { moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { Confirm, Fault, may, Needs, riskRoles, useAct } from './acting.js';

interface HoldReleaseProps {
  readonly transactionId: string;
  readonly heldAmount: number;
  readonly currency: string;
  readonly onReleased: () => void;
}

interface Released {
  readonly released: number;
  readonly available: number;
  readonly currency: string | null;
}

export function HoldRelease({ transactionId, heldAmount, currency, onReleased }: HoldReleaseProps) {
  const act = useAct();
  const reason = useSignal('');
  const released = useSignal<Released | null>(null);
  const money = (minor: number) => moneyText(minor, currency, language.value);
  const release = async () => {
    const body = { reason: reason.value.trim() };
    const answer = await act.run<Released>(
      'POST',
      `/api/transactions/${encodeURIComponent(transactionId)}/release`,
      body,
    );
    if (answer === undefined) return;
    released.value = answer;
    onReleased();
  };
  if (released.value !== null) {
    return (
      <p class="approve" role="status">
        <span aria-hidden="true">✓ </span>
        {t('hold.released', { released: money(released.value.released), available: money(released.value.available) })}
      </p>
    );
  }
  if (heldAmount === 0) return null;
  if (!may(riskRoles)) return <Needs roles={riskRoles} />;
  return (
    <section class="panel stack" aria-label={t('hold.release')}>
      <h2>{t('hold.release')}</h2>
      <Field
        label={t('hold.reason')}
        name="release-reason"
        required
        maxLength={200}
        value={reason.value}
        onInput={(value) => {
          reason.value = value;
        }}
      />
      <Confirm
        word={transactionId.slice(-4)}
        button={t('hold.release')}
        isBusy={act.isBusy || reason.value.trim() === ''}
        onConfirm={() => void release()}
      >
        {t('hold.effect', { held: money(heldAmount) })}
      </Confirm>
      <Fault error={act.error} />
    </section>
  );
}
