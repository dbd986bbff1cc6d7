/** What operators' acts have in common: rights by role, one call at a time, its effect, and typed confirmations. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { call, session } from '../../kit/api.js';
import { Button, Field } from '../../kit/controls.js';
import { durationText } from '../../kit/format.js';
import { language, type MessageKey, t } from '../../kit/messages.js';
import { problemText } from '../../kit/states.js';

export type Role = 'viewer' | 'support' | 'risk' | 'admin';

export interface Operator {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

/** As API answers have it to every change that engines obey. */
export interface Effect {
  readonly effective: boolean;
  readonly engines: { readonly inForce: number; readonly of: number; readonly waiting?: readonly string[] };
  readonly afterMs: number;
}

export const freezers: readonly Role[] = ['support', 'risk', 'admin'];
export const riskRoles: readonly Role[] = ['risk', 'admin'];

/** The operator who is signed in. */
export function me(): Operator {
  return (session.value as unknown as { readonly operator: Operator }).operator;
}

export const may = (roles: readonly Role[]) => roles.includes(me().role);

export interface Act {
  readonly isBusy: boolean;
  readonly error: unknown;
  /** Resolves to the answer, or to undefined when it failed: then `error` says why. */
  run<T>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<T | undefined>;
}

/** One call at a time. A call that failed is repeated under the same key, so that it acts once. */
export function useAct(): Act {
  const state = useSignal<{ isBusy: boolean; error: unknown }>({ isBusy: false, error: null });
  const last = useRef({ text: '', key: '' });
  const run = async <T,>(method: string, path: string, body?: unknown, headers = {}): Promise<T | undefined> => {
    if (state.value.isBusy) return undefined;
    state.value = { isBusy: true, error: null };
    const text = `${method} ${path} ${JSON.stringify(body ?? null)}`;
    if (last.current.text !== text) last.current = { text, key: crypto.randomUUID() };
    const key = method === 'POST' ? { 'idempotency-key': last.current.key } : {};
    try {
      const answer = await call<T>(method, path, {
        ...(body === undefined ? {} : { body }),
        headers: { ...key, ...headers },
      });
      last.current = { text: '', key: '' };
      state.value = { isBusy: false, error: null };
      return answer;
    } catch (error) {
      state.value = { isBusy: false, error };
      return undefined;
    }
  };
  return { ...state.value, run };
}

export function Fault({ error }: { readonly error: unknown }) {
  if (error === null) return null;
  return (
    <p class="decline" role="alert">
      {problemText(error)}
    </p>
  );
}

/** Says why an act is not offered. */
export function Needs({ roles }: { readonly roles: readonly Role[] }) {
  return <p class="soft">{t('act.needs', { role: me().role, roles: roles.join(', ') })}</p>;
}

/** Longer than an engine may be away before another one takes over. */
const looksMax = 30;
const lookMs = 1000;

/** Whether a change is in force on every engine; looks again while an engine has not answered. */
export function EffectNote({ effect, path }: { readonly effect: Effect; readonly path: string }) {
  const newest = useSignal(effect);
  useEffect(() => {
    newest.value = effect;
    let looks = 0;
    const timer = setInterval(async () => {
      if (newest.value.effective || looks++ >= looksMax) return clearInterval(timer);
      const looked = await call<Effect>('GET', `${path}/effective`).catch(() => null);
      if (looked !== null) newest.value = looked;
    }, lookMs);
    return () => clearInterval(timer);
  }, [effect]);
  const { effective, engines, afterMs } = newest.value;
  const counts = { inForce: engines.inForce, of: engines.of };
  if (effective) {
    return (
      <p class="approve" role="status">
        <span aria-hidden="true">✓ </span>
        {t('act.inForce', { ...counts, after: durationText(afterMs, language.value) })}
      </p>
    );
  }
  return (
    <p class="warn" role="status">
      <span aria-hidden="true">… </span>
      {t('act.notInForce', { ...counts, waiting: engines.waiting?.join(', ') || '–' })}
    </p>
  );
}

interface ConfirmProps {
  /** What is typed: the word that stands for the act. */
  readonly word: string;
  readonly button: string;
  readonly isBusy: boolean;
  readonly onConfirm: () => void;
  /** What will happen. */
  readonly children: ComponentChildren;
}

/** For what cannot be undone: the act waits until its word is typed. */
export function Confirm({ word, button, isBusy, onConfirm, children }: ConfirmProps) {
  const typed = useSignal('');
  const isRight = typed.value.trim() === word;
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight) onConfirm();
      }}
    >
      <p>{children}</p>
      <Field
        label={t('act.type', { word })}
        name={`confirm-${word}`}
        autocomplete="off"
        value={typed.value}
        onInput={(value) => {
          typed.value = value;
        }}
      />
      <div>
        <Button type="submit" look="danger" isDisabled={!isRight || isBusy}>
          {button}
        </Button>
      </div>
    </form>
  );
}

interface ChoiceProps<T extends string> {
  readonly label: string;
  readonly name: string;
  readonly value: T;
  readonly options: readonly (readonly [value: T, text: string])[];
  readonly onChange: (value: T) => void;
}

export function Choice<T extends string>({ label, name, value, options, onChange }: ChoiceProps<T>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name} value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** A word of the API in the reader's language. */
export function word(prefix: 'status' | 'kyc' | 'funding' | 'scope', value: string): string {
  return t(`${prefix}.${value}` as MessageKey);
}
