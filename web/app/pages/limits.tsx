/** What may be spent: the limits of a card, an account or a person, replaced as a whole. */
import { type Signal, signal, useSignal } from '@preact/signals';
import { call } from '../../kit/api.js';
import { Button, Field } from '../../kit/controls.js';
import { minorDigits, minorOf } from '../../kit/format.js';
import { t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { type RollingWindow, rollingOf, rollingRowsOf } from '../../kit/rolling.js';
import { RollingFields } from '../../kit/rolling-fields.js';
import { href, type PageProps } from '../../kit/router.js';
import { Failed, Loading } from '../../kit/states.js';
import { ActionError, Done, UsedLimits, useAction } from '../parts.js';
import {
  type Account,
  type Card,
  type Effect,
  type Limits,
  type List,
  lastLists,
  listNames,
  type ShownLimits,
  windowNames,
} from '../shapes.js';
import { effectText } from './card.js';

export default function LimitsPage({ params }: PageProps) {
  const { topic = '', id = '' } = params;
  const path = `/api/${topic}/${id}/limits`;
  const limits = useResource<ShownLimits>(path);
  const card = useResource<Card>(topic === 'cards' ? `/api/cards/${id}` : null);
  const accounts = useResource<List<Account>>(lastLists.accounts);
  const error = limits.error ?? accounts.error ?? card.error;
  const isReady = accounts.value !== undefined && (topic !== 'cards' || card.value !== undefined);
  if (limits.value === undefined || !isReady) {
    return error === null ? <Loading /> : <Failed error={error} retry={limits.reload} />;
  }
  const accountId = topic === 'accounts' ? id : card.value?.accountId;
  const account = accounts.value.data.find((one) => one.id === accountId) ?? accounts.value.data[0];
  return (
    <div class="stack narrow">
      <h1>{t('limits.title')}</h1>
      {topic === 'cards' && <a href={href(`/cards/${id}`)}>{card.value?.name}</a>}
      <UsedLimits shown={limits.value} currency={account?.currency ?? ''} />
      <Editor
        key={limits.readAtMs}
        path={path}
        limits={limits.value.limits}
        version={limits.value.version}
        currency={account?.currency ?? ''}
        reload={limits.reload}
      />
    </div>
  );
}

interface EditorProps {
  readonly path: string;
  readonly limits: Limits;
  /** That the limits are of: what was changed meanwhile is not overwritten. */
  readonly version: number;
  readonly currency: string;
  readonly reload: () => void;
}

/** Outlives the editor, which starts again with what was saved. */
const lastEffect = signal<{ readonly path: string; readonly effect: Effect } | null>(null);

type Typed = Readonly<Record<string, string>>;

function Editor({ path, limits, version, currency, reload }: EditorProps) {
  const digits = minorDigits(currency);
  const shown = (minor: number | undefined) => (minor === undefined ? '' : (minor / 10 ** digits).toFixed(digits));
  const typed = useSignal<Typed>({
    perAuthorization: shown(limits.perAuthorization),
    ...Object.fromEntries(windowNames.map((name) => [name, shown(limits[name]?.amount)])),
    ...Object.fromEntries(windowNames.map((name) => [countOf(name), String(limits[name]?.count ?? '')])),
  });
  const rules = useSignal<readonly string[]>(rulesOf(limits));
  const faults = useSignal<Typed>({});
  const rows = useSignal(rollingRowsOf(limits.rolling, currency));
  const isTried = useSignal(false);
  const rolling = rollingOf(rows.value, currency);
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    isTried.value = true;
    const { body, wrong } = limitsOf(limits, typed.value, rules.value, rolling.windows, currency);
    faults.value = Object.fromEntries(wrong.map((name) => [name, faultText(name, currency)]));
    if (wrong.length > 0 || Object.keys(rolling.faults).length > 0) return focusFault(event.currentTarget);
    action.run(async () => {
      const headers = { 'if-match': `"${version}"` };
      lastEffect.value = { path, effect: await call<Effect>('PUT', path, { body, headers }) };
      reload();
    });
  };
  const field = (name: string, label: string, isCount = false) => (
    <Field
      key={name}
      label={`${label}, ${isCount ? t('limits.payments') : currency}`}
      name={name}
      inputMode={isCount ? 'numeric' : 'decimal'}
      value={typed.value[name] ?? ''}
      fault={faults.value[name]}
      onInput={(value) => {
        typed.value = { ...typed.value, [name]: value };
      }}
    />
  );
  return (
    <form class="stack" onSubmit={submit}>
      <p class="soft">{t('limits.hint')}</p>
      {field('perAuthorization', t('limits.perAuthorization'))}
      {windowNames.map((name) => (
        <div key={name} class="pair">
          {field(name, t(`window.${name}`))}
          {field(countOf(name), t(`window.${name}`), true)}
        </div>
      ))}
      <RollingFields
        rows={rows.value}
        currency={currency}
        faults={isTried.value ? rolling.faults : {}}
        onChange={(changed) => {
          rows.value = changed;
        }}
      />
      <Rules limits={limits} names={rules} />
      <ActionError action={action} />
      <Done>{lastEffect.value?.path === path && effectText(lastEffect.value.effect)}</Done>
      <div>
        <Button type="submit" look="main" isDisabled={action.isBusy}>
          {t('limits.save')}
        </Button>
      </div>
    </form>
  );
}

/** The limits without fields of their own, which can only be removed. */
function Rules({ limits, names }: { readonly limits: Limits; readonly names: Signal<readonly string[]> }) {
  return (
    <>
      {names.value.length > 0 && <h2>{t('limits.rules')}</h2>}
      {names.value.map((name) => (
        <div key={name} class="row spread">
          <span>{ruleText(limits, name)}</span>
          <Button
            onClick={() => {
              names.value = names.value.filter((one) => one !== name);
            }}
          >
            {t('limits.removeRule')}
          </Button>
        </div>
      ))}
    </>
  );
}

/** The first wrong field takes the focus once it says what is wrong, so that a screen reader reads it. */
function focusFault(form: EventTarget | null): void {
  if (!(form instanceof HTMLFormElement)) return;
  requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid=true]')?.focus());
}

const countSuffix = '.count';
const countOf = (window: string) => window + countSuffix;

function faultText(name: string, currency: string): string {
  return name.endsWith(countSuffix) ? t('limits.countFault') : t('amount.invalid', { currency });
}

/** What is typed as limits; rules that the form does not show stay as they are. */
function limitsOf(
  before: Limits,
  typed: Typed,
  rules: readonly string[],
  rolling: readonly RollingWindow[],
  currency: string,
) {
  const wrong: string[] = [];
  const amountOf = (name: string): number | undefined => {
    const text = typed[name] ?? '';
    if (text === '') return undefined;
    const minor = minorOf(text, currency);
    if (minor === null) wrong.push(name);
    return minor ?? undefined;
  };
  const countTyped = (name: string): number | undefined => {
    const text = (typed[name] ?? '').trim();
    if (text === '') return undefined;
    if (!/^[0-9]{1,9}$/.test(text)) wrong.push(name);
    return Number(text);
  };
  const perAuthorization = amountOf('perAuthorization');
  const windows = windowNames.map((name) => {
    const amount = amountOf(name);
    const count = countTyped(countOf(name));
    const window = { ...(amount === undefined ? {} : { amount }), ...(count === undefined ? {} : { count }) };
    return [name, window] as const;
  });
  const body = {
    ...(perAuthorization === undefined ? {} : { perAuthorization }),
    ...Object.fromEntries(windows.filter(([, window]) => Object.keys(window).length > 0)),
    ...(rolling.length === 0 ? {} : { rolling }),
    // Also those that a newer API has and this page cannot name.
    ...Object.fromEntries(rules.map((name) => [name, before[name as keyof Limits]])),
  };
  return { body, wrong };
}

/** The limits without fields of their own, by name. */
function rulesOf(limits: Limits): string[] {
  const edited: readonly string[] = ['perAuthorization', 'rolling', ...windowNames];
  return Object.keys(limits).filter((name) => !edited.includes(name));
}

function ruleText(limits: Limits, name: string): string {
  if (name === 'verification') {
    const modes = Object.entries(limits.verification ?? {});
    return t('limits.verification', { list: modes.map(([what, mode]) => `${checkText(what)}: ${mode}`).join(', ') });
  }
  if (name === 'recurring') return t(limits.recurring === 'block' ? 'limits.noRecurring' : 'limits.recurring');
  return listNames.includes(name as 'mcc') ? listText(limits, name as 'mcc') : name;
}

function checkText(name: string): string {
  return textOf('verification', name) ?? name;
}

function listText(limits: Limits, name: (typeof listNames)[number]): string {
  const { allow, block } = limits[name]!;
  const list = (allow ?? block ?? []).join(', ');
  return t(allow === undefined ? 'limits.blocked' : 'limits.allowed', { what: t(`rule.${name}`), list });
}
