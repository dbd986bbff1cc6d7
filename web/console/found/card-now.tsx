/** A card as it is now: its state, its limits with what is used of them, and the switch that freezes it. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { call } from '../../kit/api.js';
import { Button } from '../../kit/controls.js';
import { Bar } from '../../kit/data.js';
import { durationText, moneyText } from '../../kit/format.js';
import { useKeys } from '../../kit/keys.js';
import { language, t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { Failed, Loading, problemText } from '../../kit/states.js';
import { Facts, Link } from './facts.js';

interface Card {
  readonly id: string;
  readonly name: string;
  readonly status: 'active' | 'frozen' | 'closed';
  readonly accountId: string;
}
interface Effect {
  readonly effective: boolean;
  readonly engines: { readonly inForce: number; readonly of: number };
  readonly afterMs: number;
}
type Amounts = { readonly amount?: number; readonly count?: number };
interface Shown {
  readonly limits: Readonly<Record<string, Amounts>>;
  readonly used: Readonly<Record<string, { readonly amount: number; readonly count: number }>>;
}

export function CardNow({ cardId, currency }: { readonly cardId: string; readonly currency: string }) {
  const { value, error, isLoading, reload } = useResource<Card>(`/api/cards/${cardId}`);
  const outcome = useSignal('');
  const isBusy = useSignal(false);
  const freeze = async () => {
    if (value === undefined || value.status === 'closed' || isBusy.value) return;
    isBusy.value = true;
    const status = value.status === 'active' ? 'frozen' : 'active';
    try {
      const { engines, afterMs, effective } = await call<Effect>('PATCH', `/api/cards/${cardId}`, { body: { status } });
      const { inForce, of } = engines;
      const after = durationText(afterMs, language.value);
      outcome.value = t(effective ? 'effect.inForce' : 'effect.waiting', { inForce, of, after });
      reload();
    } catch (failed) {
      outcome.value = problemText(failed);
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <section class="panel stack" aria-labelledby="card-now-title">
      <h2 id="card-now-title">{t('why.cardNow')}</h2>
      {error !== null && !isLoading && <Failed error={error} retry={reload} />}
      {value === undefined && error === null && <Loading lines={2} />}
      {value !== undefined && (
        <>
          <Facts
            facts={[
              [t('search.name'), <Link key="card" to="cards" id={value.id} text={value.name} />],
              [t('found.state'), textOf('cardStatus', value.status) ?? value.status],
            ]}
          />
          <Used cardId={cardId} currency={currency} />
          {value.status !== 'closed' && <Freeze status={value.status} run={freeze} isBusy={isBusy.value} />}
        </>
      )}
      <p role="status">{outcome.value}</p>
    </section>
  );
}

interface FreezeProps {
  readonly status: Card['status'];
  readonly run: () => Promise<void>;
  readonly isBusy: boolean;
}

function Freeze({ status, run, isBusy }: FreezeProps) {
  // The keys are bound once, and do what the newest state asks for.
  const latest = useRef(run);
  latest.current = run;
  useKeys([{ keys: 'f', title: 'card.freeze', run: () => void latest.current() }]);
  return (
    <div class="row">
      <Button onClick={() => void run()} isDisabled={isBusy}>
        {t(status === 'active' ? 'card.freeze' : 'card.unfreeze')}
      </Button>
      <span class="soft">{t(status === 'active' ? 'why.freezeEffect' : 'card.unfreezeEffect')}</span>
    </div>
  );
}

const windows = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;

/** What is used of each limit of an amount. */
function Used({ cardId, currency }: { readonly cardId: string; readonly currency: string }) {
  const { value } = useResource<Shown>(`/api/cards/${cardId}/limits`);
  if (value === undefined) return null;
  const limited = windows.filter((window) => value.limits[window]?.amount !== undefined);
  return (
    <>
      {limited.map((window) => {
        const most = value.limits[window]!.amount!;
        const { amount } = value.used[window]!;
        const name = t('check.limit', { level: '', window: textOf('limitWindow', window) ?? window, what: '' });
        return (
          <div key={window}>
            {name}: {moneyText(amount, currency, language.value)} / {moneyText(most, currency, language.value)}
            <Bar share={most === 0 ? 1 : amount / most} label={name} />
          </div>
        );
      })}
    </>
  );
}
