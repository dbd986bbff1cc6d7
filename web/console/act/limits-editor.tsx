/** Limits of a card, account or user: what is used of each, what new ones would mean to open holds, and the change. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { Bar, Time } from '../../kit/data.js';
import { amountText, countText, minorOf, moneyText } from '../../kit/format.js';
import { language, t } from '../../kit/messages.js';
import { type Resource, useResource } from '../../kit/resource.js';
import { Failed, Loading } from '../../kit/states.js';
import { type Effect, EffectNote, Fault, may, Needs, riskRoles, useAct } from './acting.js';

const windowNames = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'] as const;
const listNames = ['mcc', 'merchants', 'countries', 'channels', 'wallets'] as const;
const verificationNames = ['avs', 'cvv', 'threeDS'] as const;
/** What a purchase must bring along: the words that each field takes. */
const wordFields = [
  ...verificationNames.map((name) => ({ name: `verification.${name}`, words: ['require', 'allow', 'block'] })),
  { name: 'recurring', words: ['allow', 'block'] },
];
type WindowName = (typeof windowNames)[number];
type ListName = (typeof listNames)[number];

interface WindowLimit {
  readonly amount?: number;
  readonly count?: number;
}
type AllowOrBlock = { readonly allow?: readonly string[]; readonly block?: readonly string[] };
type Limits = {
  readonly perAuthorization?: number;
  readonly verification?: Partial<Record<(typeof verificationNames)[number], string>>;
  readonly recurring?: string;
} & Partial<Record<WindowName, WindowLimit>> &
  Partial<Record<ListName, AllowOrBlock>>;

interface ShownLimits {
  readonly limits: Limits;
  readonly used: Record<
    WindowName,
    { readonly amount: number; readonly count: number; readonly resetsAt: string | null }
  >;
  readonly version: number;
}

interface Preview {
  readonly open: { readonly count: number; readonly amount: number };
  readonly over: { readonly count: number; readonly amount: number };
  readonly usedUp: readonly WindowName[];
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
        <Editor key={shown.value.version} shown={shown as Resource<ShownLimits>} path={path} currency={currency} />
      ) : (
        <Needs roles={riskRoles} />
      )}
    </div>
  );
}

/** A bar for each limit of a window: used, of how much, until when. */
function Used({ shown: { limits, used }, currency }: { readonly shown: ShownLimits; readonly currency: string }) {
  const bars = windowNames.flatMap((name) => {
    const { amount, count } = limits[name] ?? {};
    const { resetsAt, ...so } = used[name];
    const money = (minor: number) => amountText(minor, currency, language.value);
    const number = (value: number) => countText(value, language.value);
    return [
      ...(amount === undefined
        ? []
        : [{ name, resetsAt, used: so.amount, limit: amount, show: money, unit: currency }]),
      ...(count === undefined ? [] : [{ name, resetsAt, used: so.count, limit: count, show: number, unit: '×' }]),
    ];
  });
  if (bars.length === 0) return <p class="soft">{t('limit.none')}</p>;
  return (
    <ul class="stack">
      {bars.map(({ name, resetsAt, used: so, limit, show, unit }) => (
        <li key={`${name} ${unit}`}>
          <div class="row spread">
            <span>{t(`limit.${name}`)}</span>
            <span class="number">
              {t('limit.usedOf', { used: show(so), limit: show(limit) })}
              <span class="unit">{unit}</span>
            </span>
          </div>
          <Bar share={limit === 0 ? 1 : so / limit} label={`${t(`limit.${name}`)} ${unit}`} />
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

/** What is typed, by field. Lists keep how they were meant: allow or block. */
type Draft = Readonly<Record<string, string>>;

function draftOf(limits: Limits, currency: string): Draft {
  const money = (minor?: number) => (minor === undefined ? '' : amountText(minor, currency, 'en').replaceAll(',', ''));
  return Object.fromEntries([
    ['perAuthorization', money(limits.perAuthorization)],
    ...windowNames.flatMap((name) => [
      [`${name}.amount`, money(limits[name]?.amount)],
      [`${name}.count`, String(limits[name]?.count ?? '')],
    ]),
    ...verificationNames.map((name) => [`verification.${name}`, limits.verification?.[name] ?? '']),
    ['recurring', limits.recurring ?? ''],
    ...listNames.flatMap((name) => [
      [`${name}.allow`, limits[name]?.allow?.join(' ') ?? ''],
      [`${name}.block`, limits[name]?.block?.join(' ') ?? ''],
    ]),
  ]);
}

/** What the form has no field for stays as it was. */
function unshownOf(limits: Limits): Record<string, unknown> {
  const shown = ['perAuthorization', 'verification', 'recurring', ...windowNames, ...listNames];
  return Object.fromEntries(Object.entries(limits).filter(([name]) => !shown.includes(name)));
}

/**
 * The limits that a draft means, or the names of the fields that mean nothing.
 * @param before the limits as they are
 */
export function limitsOf(
  draft: Draft,
  currency: string,
  before: Limits = {},
): { readonly limits: Limits; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const read = <T,>(name: string, parse: (text: string) => T | null): T | undefined => {
    const text = (draft[name] ?? '').trim();
    if (text === '') return undefined;
    const value = parse(text);
    if (value === null) faults.push(name);
    return value ?? undefined;
  };
  const money = (name: string) => read(name, (text) => minorOf(text, currency));
  const count = (name: string) => read(name, (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null));
  const words = (name: string) => (draft[name] ?? '').split(/[\s,]+/).filter((one) => one !== '');
  const limits: Record<string, unknown> = unshownOf(before);
  const perAuthorization = money('perAuthorization');
  if (perAuthorization !== undefined) limits['perAuthorization'] = perAuthorization;
  for (const name of windowNames) {
    const window = { amount: money(`${name}.amount`), count: count(`${name}.count`) };
    const set = Object.entries(window).filter(([, value]) => value !== undefined);
    if (set.length > 0) limits[name] = Object.fromEntries(set);
  }
  for (const name of listNames) {
    const [allow, block] = [words(`${name}.allow`), words(`${name}.block`)];
    if (allow.length > 0 && block.length > 0) faults.push(`${name}.block`);
    if (allow.length > 0) limits[name] = { allow };
    else if (block.length > 0) limits[name] = { block };
  }
  const chosen = Object.fromEntries(
    wordFields.map(({ name, words }) => [name, read(name, (text) => (words.includes(text) ? text : null))]),
  );
  const modes = verificationNames.map((name) => [name, chosen[`verification.${name}`]] as const);
  const set = modes.filter(([, mode]) => mode !== undefined);
  if (set.length > 0) limits['verification'] = Object.fromEntries(set);
  if (chosen['recurring'] !== undefined) limits['recurring'] = chosen['recurring'];
  return { limits: limits as Limits, faults };
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
  const { limits, faults } = limitsOf(draft.value, currency, before);
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
        {preview.value !== null && <PreviewNote preview={preview.value} currency={currency} />}
        <Fault error={act.error} />
        <div class="row">
          <Button type="submit" isDisabled={act.isBusy || faults.length > 0}>
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
  preview: { open, over, usedUp },
  currency,
}: {
  readonly preview: Preview;
  readonly currency: string;
}) {
  const money = (minor: number) => moneyText(minor, currency, language.value);
  return (
    <div role="status" class={over.count > 0 || usedUp.length > 0 ? 'warn' : ''}>
      <p>
        {t('limit.effect', {
          over: over.count,
          open: open.count,
          overAmount: money(over.amount),
          openAmount: money(open.amount),
        })}
      </p>
      {usedUp.length > 0 && (
        <p>{t('limit.usedUp', { windows: usedUp.map((name) => t(`limit.${name}`)).join(', ') })}</p>
      )}
    </div>
  );
}
