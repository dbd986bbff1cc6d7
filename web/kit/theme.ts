/** Light or dark: as the system has it, unless the person chose. */
import { signal } from '@preact/signals';

const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const storageKey = 'theme';
export const theme = signal<Theme>('system');

export function startTheme(): void {
  show(themes.find((one) => one === localStorage.getItem(storageKey)) ?? 'system');
}

export function nextTheme(): void {
  const next = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
  localStorage.setItem(storageKey, next);
  show(next);
}

function show(wanted: Theme): void {
  theme.value = wanted;
  if (wanted === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = wanted;
}
