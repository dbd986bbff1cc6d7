/** What an operator does to a card: freeze, unfreeze, close, replace; each says its effect before and after. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { Button } from '../../kit/controls.js';
import { useKeys } from '../../kit/keys.js';
import { type MessageKey, t } from '../../kit/messages.js';
import {
  Choice,
  Confirm,
  type Effect,
  EffectNote,
  Fault,
  freezers,
  may,
  Needs,
  riskRoles,
  useAct,
  word,
} from './acting.js';

export interface CardShown {
  readonly id: string;
  readonly name: string;
  readonly status: 'active' | 'frozen' | 'closed';
}

interface CardActionsProps {
  readonly card: CardShown;
  /** The card is read again. */
  readonly onChanged: () => void;
  /** The key `f` freezes and unfreezes: for the one card of a page. */
  readonly hasKey?: boolean;
}

const replaceReasons = ['lost', 'stolen', 'damaged'] as const;

export function CardActions({ card, onChanged, hasKey = false }: CardActionsProps) {
  const act = useAct();
  const effect = useSignal<Effect | null>(null);
  const path = `/api/cards/${card.id}`;
  const done = (answer: Effect | undefined) => {
    if (answer === undefined) return;
    effect.value = answer;
    onChanged();
  };
  const setStatus = async (status: string) => done(await act.run<Effect>('PATCH', path, { status }));
  return (
    <div class="stack">
      <StatusButtons card={card} isBusy={act.isBusy} setStatus={setStatus} hasKey={hasKey} />
      {effect.value !== null && <EffectNote effect={effect.value} path={path} />}
      <Fault error={act.error} />
      {card.status !== 'closed' && may(freezers) && (
        <details>
          <summary>{t('cardAct.replaceOrClose')}</summary>
          <div class="columns">
            <Replace
              id={card.id}
              isBusy={act.isBusy}
              run={async (body) => done(await act.run('POST', `${path}/replace`, body))}
            />
            {may(riskRoles) ? (
              <Confirm
                word={card.id.slice(-4)}
                button={t('cardAct.close')}
                isBusy={act.isBusy}
                onConfirm={() => void setStatus('closed')}
              >
                {t('cardAct.closeEffect')}
              </Confirm>
            ) : (
              <Needs roles={riskRoles} />
            )}
          </div>
        </details>
      )}
    </div>
  );
}

interface StatusButtonsProps {
  readonly card: CardShown;
  readonly isBusy: boolean;
  readonly setStatus: (status: string) => Promise<void>;
  readonly hasKey: boolean;
}

function StatusButtons({ card, isBusy, setStatus, hasKey }: StatusButtonsProps) {
  // The keys are bound once, and do what the newest state asks for.
  const latest = useRef(() => {});
  latest.current = () => {
    const isOffered = card.status !== 'closed' && may(card.status === 'active' ? freezers : riskRoles);
    if (isOffered) void setStatus(card.status === 'active' ? 'frozen' : 'active');
  };
  useKeys(hasKey ? [{ keys: 'f', title: 'cardAct.freeze', run: () => latest.current() }] : []);
  if (card.status === 'closed') return <p class="soft">{t('cardAct.closedForGood')}</p>;
  const isActive = card.status === 'active';
  const roles = isActive ? freezers : riskRoles;
  const texts: readonly MessageKey[] = isActive
    ? ['cardAct.freeze', 'cardAct.freezeEffect']
    : ['cardAct.unfreeze', 'cardAct.unfreezeEffect'];
  return (
    <div class="row">
      <strong>{word('status', card.status)}</strong>
      {may(roles) ? (
        <Button isDisabled={isBusy} onClick={() => void setStatus(isActive ? 'frozen' : 'active')}>
          {t(texts[0]!)}
        </Button>
      ) : (
        <Needs roles={roles} />
      )}
      {may(roles) && <span class="soft">{t(texts[1]!)}</span>}
    </div>
  );
}

interface ReplaceProps {
  readonly id: string;
  readonly isBusy: boolean;
  readonly run: (body: { readonly reason: string }) => Promise<void>;
}

function Replace({ id, isBusy, run }: ReplaceProps) {
  const reason = useSignal<(typeof replaceReasons)[number]>('lost');
  return (
    <div class="stack">
      <Choice
        label={t('cardAct.replaceReason')}
        name="replace-reason"
        value={reason.value}
        options={replaceReasons.map((one) => [one, t(`cardAct.${one}`)] as const)}
        onChange={(value) => {
          reason.value = value;
        }}
      />
      <Confirm
        word={`${reason.value}-${id.slice(-4)}`}
        button={t('cardAct.replace')}
        isBusy={isBusy}
        onConfirm={() => void run({ reason: reason.value })}
      >
        {t('cardAct.replaceEffect')}
      </Confirm>
    </div>
  );
}
