/** Posts JSON to the authorization port as a processor does. */
import type { Answer } from './network.js';

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** How the simulator proves that it is the processor; an absent secret leaves its protocol out. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
  readonly marqetaSecret: string | null;
  readonly lithicSecret: string | null;
  readonly stripeSecret: string | null;
}

/** Longer than any deadline of an engine; a processor waits some seconds. */
const answerMsMax = 10_000;
/** Larger answers are a fault of the server. */
const answerCharsMax = 256 * 1024;

/** The engine did not answer at all. */
export class EngineUnreachable extends Error {
  override readonly name = 'EngineUnreachable';
}

export class Port {
  readonly #url: string;

  /** @param url of the authorization port, such as http://127.0.0.1:8080 */
  constructor(url: string) {
    this.#url = url.replace(/\/+$/, '');
  }

  /** @throws EngineUnreachable */
  async post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Reply> {
    try {
      const response = await fetch(this.#url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal: AbortSignal.timeout(answerMsMax),
      });
      const text = (await response.text()).slice(0, answerCharsMax);
      return { status: response.status, text, json: parsed(text) };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new EngineUnreachable(`${this.#url}${path} does not answer: ${(cause as Error).message}`);
    }
  }
}

export function basicHeader({ user, password }: Credentials): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** What every protocol answers where it decided nothing, or acknowledges. */
export function plainAnswer({ status, text, json }: Reply): Answer {
  const title = typeof json['title'] === 'string' ? json['title'] : '';
  const detail = typeof json['detail'] === 'string' ? ` ${json['detail']}` : '';
  return { status, words: status === 200 ? 'received' : `${title}${detail}`, repeatable: text };
}
