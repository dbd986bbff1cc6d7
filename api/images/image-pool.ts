/**
 * Makes the files of an upload, in a process of its own and one at a time. How many uploads may be under way is bounded
 * before their bodies are read, because each may hold as many bytes as an upload may have.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FastifyReply } from 'fastify';
import type { Log } from '../../platform/log.js';
import { Problem, unavailable } from '../http/problem.js';
import type { ImageFile } from '../stores/images.js';

export const uploadBytesMax = 5 * 1024 * 1024;
/** One is converted, within a second as a rule, and the others wait: 40 MiB in all. */
export const uploadsMax = 8;
/** A conversion that takes longer is given up, and the process with it. */
const deadlineMs = 20_000;
/** The process needs 60 MB: it ends when no upload came for this long. */
const idleMs = 60_000;

/** What the process answers. `fault` completes a sentence that begins with "the image". */
export type Converted = { readonly files: readonly ImageFile[] } | { readonly fault: string };

export class ImagePool {
  readonly #log: Log;
  #child: ChildProcess | null = null;
  #idle: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  /** Read by the metrics, as the three below. */
  underWay = 0;
  converted = 0;
  refused = 0;
  overruns = 0;
  /** The process has an image. */
  isConverting = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Counts an upload until its answer has left, or its connection is gone. Throws 503. */
  admit(reply: FastifyReply): void {
    if (reply.raw.closed) return;
    if (this.underWay >= uploadsMax) throw this.#overrun();
    this.underWay++;
    reply.raw.once('close', () => {
      this.underWay--;
    });
  }

  /** The files of an upload. Throws 415 or 422 when it is no image that we take, 503 when too many wait. */
  async convert(body: unknown): Promise<readonly ImageFile[]> {
    if (!(body instanceof Uint8Array) || !isImage(body)) {
      this.refused++;
      throw new Problem(415, 'unsupported_media_type', 'send the bytes of a JPEG, PNG, WebP or AVIF image');
    }
    // Also of uploads whose client has gone: their conversion is still due.
    if (this.#waiting >= uploadsMax) throw this.#overrun();
    this.#waiting++;
    const turn = this.#last.then(() => this.#ask(body));
    this.#last = turn.catch(() => undefined);
    const converted = await turn.finally(() => this.#waiting--);
    if ('fault' in converted) {
      this.refused++;
      throw new Problem(422, 'image_refused', `the image ${converted.fault}`);
    }
    this.converted++;
    return converted.files;
  }

  stop(): void {
    clearTimeout(this.#idle);
    this.#child?.kill('SIGKILL');
  }

  #overrun(): Problem {
    this.overruns++;
    return unavailable('too many uploads at once; try again', 2, 'overloaded');
  }

  #ask(bytes: Uint8Array): Promise<Converted> {
    clearTimeout(this.#idle);
    const child = this.#child ?? this.#start();
    return new Promise<Converted>((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
      const settle = (): void => {
        clearTimeout(timer);
        child.removeAllListeners('message').off('exit', died).off('error', failed);
        this.isConverting = false;
        this.#idle = setTimeout(() => child.kill('SIGKILL'), idleMs).unref();
      };
      // Whether the image or a lack of memory ended the process: a repeat would end it again.
      const died = (): void => {
        settle();
        resolve({ fault: 'cannot be read: it needs too much time or memory' });
      };
      const failed = (error: Error): void => {
        settle();
        reject(error);
      };
      child.once('message', (converted: Converted) => {
        settle();
        resolve(converted);
      });
      child.once('exit', died);
      child.once('error', failed);
      child.send(bytes as never, () => undefined);
      this.isConverting = true;
    });
  }

  #start(): ChildProcess {
    const child = fork(fileURLToPath(new URL('image-converter.js', import.meta.url)), [], {
      serialization: 'advanced',
      env: {},
      execArgv: ['--max-old-space-size=128'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.once('exit', (code, signal) => {
      if (this.#child === child) this.#child = null;
      this.#log.debug({ code, signal }, 'the process that reads images ended');
    });
    this.#child = child;
    child.unref();
    child.channel?.unref();
    return child;
  }
}

/** The first bytes of the formats that we take. The header that names a type is not believed. */
function isImage(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 12)).toString('latin1');
  return /^(?:\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF[\s\S]{4}WEBP|[\s\S]{4}ftyp(?:avif|avis|mif1))/.test(start);
}
