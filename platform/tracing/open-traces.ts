/** Opens the traces of a process, by the variables that engine and API share. */
import type { Variables } from '../config/variables.js';
import { Traces } from './traces.js';

export interface TraceSettings {
  /** Where spans go by OTLP over HTTP; '': nowhere. */
  readonly url: string;
  /** One of so many requests is traced. */
  readonly every: number;
}

export function readTraceSettings(variables: Variables): TraceSettings {
  return Object.freeze({
    url: variables.text('TRACE_URL', { fallback: '', lengthMax: 500, pattern: /^https?:\/\/[^\s?#]+$/ }),
    every: variables.integer('TRACE_EVERY', { fallback: 1000, min: 1, max: 1_000_000 }),
  });
}

/**
 * @param service names the kind of process
 * @param instance names this one
 * @returns null: TRACE_URL is not set, and nothing is loaded
 */
export async function openTraces(
  { url, every }: TraceSettings,
  service: string,
  instance: string,
): Promise<Traces | null> {
  if (url === '') return null;
  const { SpanThread } = await import('./span-thread.js');
  return new Traces(new SpanThread({ url, service, instance }), every);
}
