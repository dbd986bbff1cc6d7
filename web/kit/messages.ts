/** Every text that a person reads, by key: one file a language, of which the English one is the type. */
import { signal } from '@preact/signals';
import type { Messages } from '../messages/en.js';

export type MessageKey = keyof Messages;
export type Values = Readonly<Record<string, string | number>>;
export const languages = ['en', 'de'] as const;
export type Language = (typeof languages)[number];

const storageKey = 'language';
const loaders: Readonly<Record<Language, () => Promise<{ default: Messages }>>> = {
  en: () => import('../messages/en.js'),
  de: () => import('../messages/de.js'),
};

export const language = signal<Language>('en');
const messages = signal<Messages | null>(null);

/** The text of a key with `{name}` replaced by the values, which stay text: nothing here is markup. */
export function t(key: MessageKey, values: Values = {}): string {
  const text = messages.value?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a key that comes from the API (a reason, a problem), or null where there is none. */
export function textOf(prefix: string, code: string): string | null {
  const key = `${prefix}.${code}`;
  const all = messages.value;
  return all !== null && Object.hasOwn(all, key) ? all[key as MessageKey] : null;
}

/** Every code with a text under the prefix, in the order of the text. */
export function codesOf(prefix: string): readonly (readonly [code: string, text: string])[] {
  return Object.entries(messages.value ?? {})
    .filter(([key]) => key.startsWith(`${prefix}.`))
    .map(([key, text]) => [key.slice(prefix.length + 1), text] as const)
    .sort(([, one], [, other]) => one.localeCompare(other, language.value));
}

/** Loads the texts of a language and shows the page in it. */
export async function speak(wanted: Language): Promise<void> {
  const { default: texts } = await loaders[wanted]();
  messages.value = texts;
  language.value = wanted;
  document.documentElement.lang = wanted;
}

/** As chosen here before, else as the browser says. */
export function preferredLanguage(): Language {
  const wished = [localStorage.getItem(storageKey) ?? '', ...navigator.languages];
  for (const wish of wished) {
    const found = languages.find((one) => wish.toLowerCase().startsWith(one));
    if (found !== undefined) return found;
  }
  return 'en';
}

export async function chooseLanguage(wanted: Language): Promise<void> {
  localStorage.setItem(storageKey, wanted);
  await speak(wanted);
}
