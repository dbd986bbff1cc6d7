/** What a view shows in place of its content: loading, empty, failed, forbidden; and beside it: stale. */
import type { ComponentChildren } from 'preact';
import { ApiError } from './api.js';
import { Button } from './controls.js';
import { Time } from './data.js';
import { t, textOf } from './messages.js';

/** Keeps the layout until the content is there. */
export function Loading({ lines = 5 }: { readonly lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label={t('state.loading')}>
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <div class="state soft">{children}</div>;
}

/** An error says what to do and carries the request's id. */
export function Failed({ error, retry }: { readonly error: unknown; readonly retry?: (() => void) | undefined }) {
  const problem = error instanceof ApiError ? error : null;
  if (problem?.status === 403) return <Forbidden />;
  return (
    <div class="state fault" role="alert">
      <p>{problemText(error)}</p>
      {problem?.requestId != null && (
        <p class="soft">
          {t('state.requestId')} <code>{problem.requestId}</code>
        </p>
      )}
      {retry !== undefined && <Button onClick={retry}>{t('state.retry')}</Button>}
    </div>
  );
}

export function Forbidden() {
  return (
    <div class="state fault" role="alert">
      <p>{t('state.forbidden')}</p>
    </div>
  );
}

/** Says since when a value is no longer new. */
export function Stale({ sinceMs }: { readonly sinceMs: number }) {
  return (
    <p class="warn" role="status">
      {t('state.stale')} <Time atMs={sinceMs} />
    </p>
  );
}

/** Beside what was read before: it could not be read again, and how old it is. */
export function NotReadAgain({
  error,
  readAtMs,
  retry,
}: {
  readonly error: unknown;
  readonly readAtMs: number | null;
  readonly retry: () => void;
}) {
  if (error === null || readAtMs === null) return null;
  return (
    <p class="warn row" role="status">
      <span>
        ▲ {problemText(error)} {t('state.stale')} <Time atMs={readAtMs} />
      </span>
      <Button look="plain" onClick={retry}>
        {t('state.retry')}
      </Button>
    </p>
  );
}

/** What went wrong, for a person: our words for the problem's code, else those of the API. */
export function problemText(error: unknown): string {
  if (!(error instanceof ApiError)) return t('problem.unknown');
  return textOf('problem', error.code) ?? error.message;
}
