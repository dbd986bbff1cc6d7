/** What the main thread of the generator and its sending threads tell each other. */
import type { LoadOptions } from './options.js';
import type { ThreadReport } from './tally.js';

/** What a thread needs to know. */
export interface ThreadPlan {
  readonly options: LoadOptions;
  readonly threadNumber: number;
  readonly connectionCount: number;
  readonly requestCountMax: number | null;
}

/** `measure` starts sending too when there was no warm-up, so that not even the first answer is missed. */
export type ThreadCommand = 'start' | 'measure' | 'stop';
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly answerCount: number }
  /** All requests of `requestCountMax` are answered; the thread waits for `stop`. */
  | { readonly kind: 'exhausted' }
  | { readonly kind: 'report'; readonly report: ThreadReport };
