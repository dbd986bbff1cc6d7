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

/** The engine or the account API does not take the simulator for who it says it is: nothing else can be tried. */
export class CredentialsRefused extends Error {
  override readonly name = 'CredentialsRefused';
}

export class Port {
  readonly #url: string;

  /** @param url of the authorization port, such as http://127.0.0.1:8080 */
  constructor(url: string) {
    this.#url = url.replace(/\/+$/, '');
  }

  /** @throws EngineUnreachable; CredentialsRefused with a 401 */
  async post(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Reply> {
    const { status, text } = await this.#send(path, body, headers);
    if (status === 401) throw new CredentialsRefused(`${this.#url}${path} answers 401`);
    return { status, text, json: parsed(text) };
  }

  async #send(path: string, body: string, headers: Readonly<Record<string, string>>): Promise<Omit<Reply, 'json'>> {
    try {
      const response = await fetch(this.#url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal: AbortSignal.timeout(answerMsMax),
      });
      return { status: response.status, text: (await response.text()).slice(0, answerCharsMax) };
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
