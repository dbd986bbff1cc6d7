/**
 * Loads uWebSockets.js, which is a compiled addon with one build for each version of Node.js, system and processor.
 * Loaded here instead of imported, so that a start can say in one line what to do where there is no build.
 */

import type * as Uws from 'uWebSockets.js';
import { createRequire } from 'node:module';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from 'uWebSockets.js';

const require = createRequire(import.meta.url);

/** @throws Error with one line for a person */
export function loadUws(): typeof Uws {
  try {
    return require('uWebSockets.js') as typeof Uws;
  } catch (error) {
    throw new Error(whyNotLoaded((error as Error).message, thisPlatform()));
  }
}

export interface Platform {
  /** Of Node.js, without the v. */
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  /** '' where the C library is another one. */
  readonly glibc: string;
}

function thisPlatform(): Platform {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const { platform: system, arch: processor, versions } = process;
  return { node: versions.node, system, processor, glibc: header.glibcVersionRuntime ?? '' };
}

const right = 'use Node.js 24 on a Linux with glibc 2.38 or newer (Debian 13, Ubuntu 24.04)';

/** What to do where the addon does not load. */
export function whyNotLoaded(error: string, { node, system, processor, glibc }: Platform): string {
  const place = `uWebSockets.js does not load in Node.js ${node} on ${system} ${processor}`;
  if (system === 'linux' && glibc === '') return `${place}: it needs glibc, and musl (Alpine) has none; ${right}`;
  const needed = /GLIBC_([\d.]+)' not found/.exec(error)?.[1];
  if (needed !== undefined) {
    return `${place}: its build needs glibc ${needed}, and this system has ${glibc}; ${right}, or Node.js 20 here`;
  }
  if (/Cannot find module/.test(error)) return `${place}: there is no build for it; ${right}`;
  return `${place}: ${error.split('\n').at(-1)}; ${right}`;
}
