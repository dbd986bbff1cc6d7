/** Limits of a card, account or user: what is used of each, what new ones would mean to open holds, and the change. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { Bar, Time } from '../../kit/data.js';
import { amountText, countText, moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { type Resource, useResource } from '../../kit/resource.js';
import { type RollingWindow, rollingOf, rollingRowsOf } from '../../kit/rolling.js';
import { RollingFields } from '../../kit/rolling-fields.js';
import { Failed, Loading } from '../../kit/states.js';
import { type Effect, EffectNote, Fault, may, Needs, riskRoles, useAct } from './acting.js';
import {
  type Draft,
  draftOf,
  type Limits,
  limitsOf,
  listNames,
  verificationNames,
  type WindowName,
  windowNames,
} from './limits-draft.js';

interface ShownLimits {
  readonly limits: Limits;
  readonly used: Record<
    WindowName,
    { readonly amount: number; readonly count: number; readonly resetsAt: string | null }
  > & { readonly rolling: readonly Required<RollingWindow>[] };
  readonly version: number;
}

interface Preview {
  readonly open: { readonly count: number; readonly amount: number };
  readonly over: { readonly count: number; readonly amount: number };
  readonly usedUp: readonly WindowName[];
  /** In hours. */
  readonly usedUpRolling: readonly number[];
}

interface LimitsEditorProps {
  readonly level: 'card' | 'account' | 'user';
  readonly id: string;
  readonly currency: string;
}

export function LimitsEditor({ level, id, currency }: LimitsEditorProps) {
  const path = `/api/${level}s/${id}`;
  const shown = useResource<ShownLimits>(`${path}/limits`);
  if (shown.value === undefined) {
    return shown.error === null ? <Loading /> : <Failed error={shown.error} retry={shown.reload} />;
  }
  return (
    <div class="stack">
      <Used shown={shown.value} currency={currency} />
      {may(riskRoles) ? (
        // Not by version: limits that were saved unchanged keep theirs, and the form would not come back.
        <Editor key={shown.readAtMs} shown={shown as Resource<ShownLimits>} path={path} currency={currency} />
      ) : (
        <Needs roles={riskRoles} />
      )}
    </div>
  );
}

/** A bar for each limit of a window: used, of how much, until when. What is of the last hours has no end. */
function Used({ shown: { limits, used }, currency }: { readonly shown: ShownLimits; readonly currency: string }) {
  const money = (minor: number) => amountText(minor, currency, language.value);
  const number = (value: number) => countText(value, language.value);
  const windows = [
    ...windowNames.map((name) => ({ label: t(`limit.${name}`), limit: limits[name] ?? {}, ...used[name] })),
    ...(limits.rolling ?? []).map((limit, index) => ({
      label: t('rolling.last', { hours: number(limit.hours) }),
      limit,
      ...used.rolling[index]!,
      resetsAt: null,
    })),
  ];
  const bars = windows.flatMap(({ label, limit, amount, count, resetsAt }) => [
    ...(limit.amount === undefined
      ? []
      : [{ label, resetsAt, used: amount, limit: limit.amount, show: money, unit: currency }]),
    ...(limit.count === undefined
      ? []
      : [{ label, resetsAt, used: count, limit: limit.count, show: number, unit: '×' }]),
  ]);
  if (bars.length === 0) return <p class="soft">{t('limit.none')}</p>;
  return (
    <ul class="stack">
      {bars.map(({ label, resetsAt, used: so, limit, show, unit }, index) => (
        <li key={index}>
          <div class="row spread">
            <span>{label}</span>
            <span class="number">
              {t('limit.usedOf', { used: show(so), limit: show(limit) })}
              <span class="unit">{unit}</span>
            </span>
          </div>
          <Bar share={limit === 0 ? 1 : so / limit} label={`${label} ${unit}`} />
          {resetsAt !== null && (
            <p class="soft">
              {t('limit.until')} <Time atMs={Date.parse(resetsAt)} withDate />
            </p>
          )}
        </li>
      ))}
    </ul>
  );
}

interface EditorProps {
  readonly shown: Resource<ShownLimits>;
  readonly path: string;
  readonly currency: string;
}

function Editor({ shown, path, currency }: EditorProps) {
  const { limits: before, version } = shown.value!;
  const act = useAct();
  const draft = useSignal(draftOf(before, currency));
  const preview = useSignal<Preview | null>(null);
  const effect = useSignal<Effect | null>(null);
  const rows = useSignal(rollingRowsOf(before.rolling, currency));
  const rolling = rollingOf(rows.value, currency);
  const { limits, faults } = limitsOf(draft.value, currency, before, rolling.windows);
  const isFaulty = faults.length > 0 || Object.keys(rolling.faults).length > 0;
  const set = (name: string) => (value: string) => {
    draft.value = { ...draft.value, [name]: value };
    preview.value = null;
  };
  const look = async (event: Event) => {
    event.preventDefault();
    preview.value = (await act.run<Preview>('POST', `${path}/limits/effect`, limits)) ?? null;
  };
  const save = async () => {
    const saved = await act.run<Effect>('PUT', `${path}/limits`, limits, { 'if-match': `"${version}"` });
    if (saved === undefined) return;
    effect.value = saved;
    preview.value = null;
  };
  if (effect.value !== null) {
    return (
      <div class="stack">
        <EffectNote effect={effect.value} path={path} />
        <div>
          <Button onClick={shown.reload}>{t('limit.again')}</Button>
        </div>
      </div>
    );
  }
  return (
    <details>
      <summary>{t('limit.change')}</summary>
      <form class="stack" onSubmit={look}>
        <Fields draft={draft.value} faults={faults} currency={currency} set={set} />
        <RollingFields
          rows={rows.value}
          currency={currency}
          faults={rolling.faults}
          onChange={(changed) => {
            rows.value = changed;
            preview.value = null;
          }}
        />
        {preview.value !== null && <PreviewNote preview={preview.value} currency={currency} />}
        <Fault error={act.error} />
        <div class="row">
          <Button type="submit" isDisabled={act.isBusy || isFaulty}>
            {t('limit.preview')}
          </Button>
          <Button look="main" isDisabled={act.isBusy || preview.value === null} onClick={() => void save()}>
            {t('limit.save')}
          </Button>
        </div>
      </form>
    </details>
  );
}

interface FieldsProps {
  readonly draft: Draft;
  readonly faults: readonly string[];
  readonly currency: string;
  readonly set: (name: string) => (value: string) => void;
}

function Fields({ draft, faults, currency, set }: FieldsProps) {
  const field = (name: string, label: string, mode?: 'decimal' | 'numeric') => (
    <Field
      key={name}
      label={label}
      name={name}
      value={draft[name] ?? ''}
      onInput={set(name)}
      {...(mode === undefined ? {} : { inputMode: mode })}
      fault={faults.includes(name) ? t('limit.fault') : undefined}
    />
  );
  return (
    <div class="columns">
      {field('perAuthorization', `${t('limit.perAuthorization')} (${currency})`, 'decimal')}
      {windowNames.flatMap((name) => [
        field(`${name}.amount`, `${t(`limit.${name}`)} (${currency})`, 'decimal'),
        field(`${name}.count`, `${t(`limit.${name}`)} (${t('limit.purchases')})`, 'numeric'),
      ])}
      {listNames.flatMap((name) => [
        field(`${name}.allow`, t('limit.allow', { what: t(`limit.${name}`) })),
        field(`${name}.block`, t('limit.block', { what: t(`limit.${name}`) })),
      ])}
      {verificationNames.map((name) =>
        field(`verification.${name}`, `${t(`verification.${name}`)}: require, allow, block`),
      )}
      {field('recurring', `${t('limit.recurring')}: allow, block`)}
    </div>
  );
}

function PreviewNote({
  preview: { open, over, usedUp, usedUpRolling },
  currency,
}: {
  readonly preview: Preview;
  readonly currency: string;
}) {
  const money = (minor: number) => moneyText(minor, currency, language.value);
  const windows = [
    ...usedUp.map((name) => t(`limit.${name}`)),
    ...usedUpRolling.map((hours) => t('rolling.last', { hours: countText(hours, language.value) })),
  ];
  return (
    <div role="status" class={over.count > 0 || windows.length > 0 ? 'warn' : ''}>
      <p>
        {t('limit.effect', {
          over: over.count,
          open: open.count,
          overAmount: money(over.amount),
          openAmount: money(open.amount),
        })}
      </p>
      {windows.length > 0 && <p>{t('limit.usedUp', { windows: windows.join(', ') })}</p>}
    </div>
  );
}
