/** The keyboard: keys and two-key sequences with what they do, and the sheet that lists them. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Button } from './controls.js';
import { type MessageKey, t } from './messages.js';

export interface Binding {
  /** One key (`p`, `Enter`) or two in a row (`g l`). */
  readonly keys: string;
  readonly title: MessageKey;
  readonly run: () => void;
}

/** The second key of a sequence comes within this. */
const sequenceMs = 1000;
/** Newest last: a page's bindings go before those of the shell. */
const bound = signal<readonly Binding[]>([]);
const isHelpOpen = signal(false);
let first = { key: '', atMs: 0 };

export function startKeys(): void {
  bind([{ keys: '?', title: 'keys.help', run: () => (isHelpOpen.value = true) }]);
  addEventListener('keydown', (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
    // Enter and space belong to the control that has the focus.
    if ((event.key === 'Enter' || event.key === ' ') && isControl(event.target)) return;
    const sequence = event.timeStamp - first.atMs < sequenceMs ? `${first.key} ${event.key}` : '';
    const binding = find(sequence) ?? find(event.key);
    first = binding === undefined ? { key: event.key, atMs: event.timeStamp } : { key: '', atMs: 0 };
    if (binding === undefined) return;
    event.preventDefault();
    binding.run();
  });
}

/** @returns takes the bindings away again */
export function bind(bindings: readonly Binding[]): () => void {
  bound.value = [...bound.value, ...bindings];
  return () => {
    bound.value = bound.value.filter((one) => !bindings.includes(one));
  };
}

/** Binds keys while a component is shown. The bindings read signals, so they need not change with the content. */
export function useKeys(bindings: readonly Binding[]): void {
  const once = useRef(bindings);
  useEffect(() => bind(once.current), []);
}

function find(keys: string): Binding | undefined {
  return bound.value.findLast((binding) => binding.keys === keys);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, select, textarea, dialog') !== null;
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('a, button, summary') !== null;
}

export function KeyHelp() {
  const sheet = useRef<HTMLDialogElement>(null);
  const isOpen = isHelpOpen.value;
  useEffect(() => {
    if (isOpen) sheet.current?.showModal();
    else sheet.current?.close();
  }, [isOpen]);
  const close = () => {
    isHelpOpen.value = false;
  };
  return (
    <dialog ref={sheet} class="sheet" aria-labelledby="keys-title" onClose={close}>
      <div class="stack">
        <h2 id="keys-title">{t('keys.title')}</h2>
        <dl class="keys">
          {bound.value.map(({ keys, title }) => (
            <div key={keys} class="key-row">
              <dt>
                {keys.split(' ').map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{t(title)}</dd>
            </div>
          ))}
        </dl>
        <div>
          <Button onClick={close}>{t('keys.close')}</Button>
        </div>
      </div>
    </dialog>
  );
}
