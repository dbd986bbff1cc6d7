/**
 * Calls of the account API from a page. The cookie of the session is the browser's own, so no code of a page can read
 * it. Writes carry the session's token against forged requests.
 */
import { signal } from '@preact/signals';

export type PageName = 'console' | 'app';

/** A refusal of the API, or its absence. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** 0: no answer came. */
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  /** What is wrong with which field of the body. */
  readonly fields: Readonly<Record<string, string>>;

  constructor(status: number, { title = 'unknown', detail = '', requestId = null, errors = [] }: ProblemBody) {
    super(detail);
    this.status = status;
    this.code = title;
    this.requestId = requestId;
    this.fields = Object.fromEntries(errors.map(({ field, detail: fault }) => [field, fault]));
  }
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly requestId?: string | null;
  readonly errors?: readonly { readonly field: string; readonly detail: string }[];
}

interface SessionBody {
  /** Sent back with each write. */
  readonly csrf: string;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly file?: Blob;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

let page: PageName = 'console';
let csrf = '';
/** Of the signed-in person; null: signed out; undefined: not known yet. */
export const session = signal<(SessionBody & Readonly<Record<string, unknown>>) | null | undefined>(undefined);

/** When the app's service worker kept the newest answer; null: that answer is from the server. */
export const keptAtMs = signal<number | null>(null);

/** Longer than the slowest answer that the API still gives. */
const timeoutMs = 30_000;

export async function startSession(name: PageName): Promise<void> {
  page = name;
  await readSession();
}

/** Reads the session again: it may have ended. @returns whether a person is signed in */
export async function readSession(): Promise<boolean> {
  const body = await send<SessionBody | undefined>('GET', sessionPath(), {});
  if (body === undefined) session.value = null;
  else opened(body);
  return body !== undefined;
}

export async function signIn(credentials: unknown): Promise<void> {
  opened(await send<SessionBody>('POST', sessionPath(), { body: credentials }));
}

export async function signOut(): Promise<void> {
  await send('DELETE', sessionPath(), {}).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  });
  session.value = null;
}

/**
 * Calls the API. A session that lapsed, or the same person's newer one of another tab, is read again once. What one
 * person has ordered is not sent in the name of another who has signed in since.
 * @throws ApiError
 */
export async function call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const person = personId();
  try {
    return await send<T>(method, path, options);
  } catch (error) {
    const isLapsed = error instanceof ApiError && (error.status === 401 || error.code === 'csrf_failed');
    if (!isLapsed || !(await readSession()) || personId() !== person) throw error;
    return send<T>(method, path, options);
  }
}

/** Fetches and returns the answer itself: for files. @throws ApiError */
export async function fetchAnswer(method: string, path: string, options: CallOptions): Promise<Response> {
  const { body, file, signal: aborted, headers } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      'x-afc-page': page,
      ...(method === 'GET' ? {} : { 'x-csrf-token': csrf }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: aborted === undefined ? limit : AbortSignal.any([aborted, limit]),
    ...(file === undefined ? {} : { body: file }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    if (aborted?.aborted) throw error;
    throw new ApiError(0, { title: 'no_answer' });
  });
  if (response.ok) {
    const keptAt = response.headers.get('x-kept-at');
    keptAtMs.value = keptAt === null ? null : Number(keptAt);
    return response;
  }
  const problem = (await response.json().catch(() => ({}))) as ProblemBody;
  throw new ApiError(response.status, problem);
}

async function send<T>(method: string, path: string, options: CallOptions): Promise<T> {
  const response = await fetchAnswer(method, path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

function personId(): string | undefined {
  const { user, operator } = (session.value ?? {}) as Readonly<Record<string, { readonly id: string } | undefined>>;
  return (user ?? operator)?.id;
}

function sessionPath(): string {
  return `/api/${page}/session`;
}

function opened(body: SessionBody): void {
  csrf = body.csrf;
  session.value = body as SessionBody & Readonly<Record<string, unknown>>;
}
