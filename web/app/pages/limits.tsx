/** What may be spent: the limits of a card, an account or a person, replaced as a whole. */
import { signal, useSignal } from '@preact/signals';
import { call } from '../../kit/api.js';
import { Button, Field } from '../../kit/controls.js';
import { minorDigits, minorOf, moneyText } from '../../kit/format.js';
import { language, t, textOf } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
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
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    const { body, wrong } = limitsOf(limits, typed.value, rules.value, currency);
    faults.value = Object.fromEntries(wrong.map((name) => [name, faultText(name, currency)]));
    if (wrong.length > 0) return;
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
      {rules.value.length > 0 && <h2>{t('limits.rules')}</h2>}
      {rules.value.map((name) => (
        <div key={name} class="row spread">
          <span>{ruleText(limits, name, currency)}</span>
          <Button
            onClick={() => {
              rules.value = rules.value.filter((one) => one !== name);
            }}
          >
            {t('limits.removeRule')}
          </Button>
        </div>
      ))}
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

const countSuffix = '.count';
const countOf = (window: string) => window + countSuffix;

function faultText(name: string, currency: string): string {
  return name.endsWith(countSuffix) ? t('limits.countFault') : t('amount.invalid', { currency });
}

/** What is typed as limits; rules that the form does not show stay as they are. */
function limitsOf(before: Limits, typed: Typed, rules: readonly string[], currency: string) {
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
    // Also those that a newer API has and this page cannot name.
    ...Object.fromEntries(rules.map((name) => [name, before[name as keyof Limits]])),
  };
  return { body, wrong };
}

/** The limits that are no amounts, by name. */
function rulesOf(limits: Limits): string[] {
  return Object.keys(limits).filter((name) => name !== 'perAuthorization' && !windowNames.includes(name as 'daily'));
}

function rollingText({ hours, amount, count }: NonNullable<Limits['rolling']>[number], currency: string): string {
  const parts = [
    ...(amount === undefined ? [] : [moneyText(amount, currency, language.value)]),
    ...(count === undefined ? [] : [`${count} ×`]),
  ];
  return t('limits.inHours', { hours, most: parts.join(', ') });
}

function ruleText(limits: Limits, name: string, currency: string): string {
  if (name === 'verification') {
    const modes = Object.entries(limits.verification ?? {});
    return t('limits.verification', { list: modes.map(([what, mode]) => `${checkText(what)}: ${mode}`).join(', ') });
  }
  if (name === 'rolling') {
    const all = limits.rolling ?? [];
    return t('limits.rolling', { list: all.map((window) => rollingText(window, currency)).join(', ') });
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
