/** Names and values of one thing. What is not known is left out. */
import type { ComponentChildren } from 'preact';
import { href } from '../../kit/router.js';
import './found.css';

export type Fact = readonly [name: string, value: ComponentChildren];

export function Facts({ facts }: { readonly facts: readonly (Fact | null)[] }) {
  return (
    <dl class="facts">
      {facts.map((fact) =>
        fact === null ? null : (
          <>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </>
        ),
      )}
    </dl>
  );
}

export type Thing = 'transactions' | 'decisions' | 'cards' | 'accounts' | 'customers';

/** Leads to the page of something. */
export function Link({ to, id, text }: { readonly to: Thing; readonly id: string; readonly text?: string | null }) {
  return <a href={href(`/${to}/${encodeURIComponent(id)}`)}>{text ?? <code>{id}</code>}</a>;
}
