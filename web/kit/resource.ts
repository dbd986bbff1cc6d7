/** What a view reads from the API: its state, the error, and when it was read. */
import { useSignal } from '@preact/signals';
import { useCallback, useLayoutEffect } from 'preact/hooks';
import { call } from './api.js';

export interface Resource<T> {
  /** The newest that was read, also while it is read again or failed to be. */
  readonly value: T | undefined;
  readonly error: unknown;
  readonly isLoading: boolean;
  readonly readAtMs: number | null;
  reload(): void;
}

/** Reads a path of the API, again when the path changes; null reads nothing. */
export function useResource<T>(path: string | null): Resource<T> {
  const state = useSignal<Omit<Resource<T>, 'reload'>>({
    value: undefined,
    error: null,
    isLoading: true,
    readAtMs: null,
  });
  const round = useSignal(0);
  const { value: current } = round;
  // Not after the next paint, which takes a slow phone a tenth of a second.
  useLayoutEffect(() => {
    if (path === null) return;
    const stop = new AbortController();
    state.value = { ...state.value, isLoading: true };
    call<T>('GET', path, { signal: stop.signal }).then(
      (value) => {
        state.value = { value, error: null, isLoading: false, readAtMs: Date.now() };
      },
      (error: unknown) => {
        if (!stop.signal.aborted) state.value = { ...state.value, error, isLoading: false };
      },
    );
    return () => stop.abort();
  }, [path, current]);
  const reload = useCallback(() => {
    round.value++;
  }, [round]);
  return { ...state.value, reload };
}
