/**
 * The routes under `/admin/` of the ops port: books and spend windows as the engines have them now, ledger commands,
 * and which engines there are. The caller has proved that it knows the engine's token.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FieldError } from '../../platform/problems/field-error.js';
import {
  badRequestBody,
  jsonContentType,
  notFoundBody,
  problemContentType,
} from '../../platform/problems/problem-body.js';
import type { RetryOutcome } from '../exchange/shipper-messages.js';
import { EntryStatus } from '../exchange/slab.js';
import type { AccountView, Ledger } from '../ledger/ledger.js';
import type { CommandAnswer } from '../ledger/ledger-commands.js';
import type { SpendEntities } from '../lookups/database-accounts.js';
import type { EngineView } from '../ownership.js';
import type { CommandName } from '../protocols/commands/codec.js';
import { isIdentityEncoding, isJsonMediaType } from '../protocols/reading/media-type.js';
import { commandForm, HttpAnswer } from '../transports/http/answers.js';
import type { Live } from './live.js';
import { type CallFigures, healthOfCalls } from './marqeta-watch.js';
import { readBody, send, sendMethodNotAllowed, sendProblem } from './ops-http.js';

export interface AdminOptions {
  readonly ledger: Pick<Ledger, 'books' | 'windows' | 'decision'>;
  /** Those that run on the database. */
  engines(): readonly EngineView[];
  /** Marqeta's calls, of each of them. */
  calls(): Promise<readonly CallFigures[]>;
  readonly live: Pick<Live, 'answer'>;
  command(name: CommandName, account: string, body: Uint8Array): Promise<CommandAnswer>;
  /** Releases what an authorization still holds. */
  release(body: Uint8Array): Promise<CommandAnswer>;
  /** Settles a quarantined record after all, of any partition. */
  retry(partition: number, sequence: number): Promise<RetryOutcome>;
}

/** One query and one look per partition serve them all; more would keep a partition's thread from its slabs. */
const accountIdsMax = 200;
/** An id of 64 characters, or a transaction's name, which has an occurrence behind it; UTF-16 has two units at most. */
const decisionIdMax = 2 * 64 + 32;
/** Three ids of 64 characters, escaped, and spaces: some hundred bytes. */
const commandBytesMax = 4096;

const commandNames: Readonly<Record<string, CommandName>> = { deposits: 'deposit', withdrawals: 'withdrawal' };

export async function answerAdmin(
  options: AdminOptions,
  url: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path, query] = splitUrl(url);
  if (path === '/admin/accounts') {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return answerAccounts(options, query, response);
  }
  if (path === '/admin/engines') {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return send(response, 200, jsonContentType, JSON.stringify({ data: options.engines() }));
  }
  if (path === '/admin/marqeta') {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return send(response, 200, jsonContentType, JSON.stringify(healthOfCalls(await options.calls())));
  }
  if (path === '/admin/live') {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return options.live.answer(request, response);
  }
  if (path === '/admin/windows') {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return answerWindows(options, query, response);
  }
  if (path === '/admin/releases') {
    if (request.method !== 'POST') return sendMethodNotAllowed(response, 'POST');
    return answerCommand((body) => options.release(body), request, response);
  }
  const record = /^\/admin\/quarantine\/([0-9]{1,4})\/([0-9]{1,15})\/retry$/.exec(path);
  if (record !== null) {
    if (request.method !== 'POST') return sendMethodNotAllowed(response, 'POST');
    const outcome = await options.retry(Number(record[1]), Number(record[2]));
    return send(response, 200, jsonContentType, JSON.stringify(outcome));
  }
  const decision = /^\/admin\/decisions\/([^/]+)$/.exec(path);
  if (decision !== null) {
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    return answerDecision(options, decision[1]!, response);
  }
  const match = /^\/admin\/accounts\/([^/]+)(?:\/(deposits|withdrawals))?$/.exec(path);
  if (match === null) return send(response, 404, problemContentType, notFoundBody);
  const account = decodedId(match[1]!);
  if (account === null) return sendProblem(response, 400, 'invalid_request', 'the path is not valid percent-encoding');
  const name = commandNames[match[2] ?? ''];
  if (name !== undefined) {
    if (request.method !== 'POST') return sendMethodNotAllowed(response, 'POST');
    return answerCommand((body) => options.command(name, account, body), request, response);
  }
  if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
  const [view] = await lookUp(options, [account]);
  if (view === undefined) return send(response, 404, problemContentType, notFoundBody);
  return send(response, 200, jsonContentType, JSON.stringify(view));
}

function splitUrl(url: string): [path: string, query: URLSearchParams] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, new URLSearchParams()] : [url.slice(0, mark), new URLSearchParams(url.slice(mark + 1))];
}

function decodedId(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function badRequest(response: ServerResponse, error: FieldError): void {
  send(response, 400, problemContentType, badRequestBody(error));
}

/** Postgres takes no NUL in a text, so no account is named with one. */
async function lookUp(options: AdminOptions, publicIds: readonly string[]): Promise<readonly AccountView[]> {
  const asked = publicIds.filter((id) => !id.includes('\0'));
  return asked.length === 0 ? [] : options.ledger.books(asked);
}

async function answerAccounts(options: AdminOptions, query: URLSearchParams, response: ServerResponse): Promise<void> {
  const ids = [...new Set((query.get('ids') ?? '').split(',').filter((id) => id !== ''))];
  if (ids.length === 0 || ids.length > accountIdsMax) {
    const message = `must be 1 to ${accountIdsMax} ids of accounts, separated by commas`;
    return badRequest(response, { field: 'ids', message });
  }
  send(response, 200, jsonContentType, JSON.stringify({ accounts: await lookUp(options, ids) }));
}

async function answerDecision(options: AdminOptions, name: string, response: ServerResponse): Promise<void> {
  const id = decodedId(name);
  if (id === null) return sendProblem(response, 400, 'invalid_request', 'the path is not valid percent-encoding');
  const isPossible = id.length <= decisionIdMax && !id.includes('\0');
  const view = isPossible ? await options.ledger.decision(id) : null;
  if (view === null) return send(response, 404, problemContentType, notFoundBody);
  send(response, 200, jsonContentType, JSON.stringify(view));
}

async function answerWindows(options: AdminOptions, query: URLSearchParams, response: ServerResponse): Promise<void> {
  const entities = { card: null, user: null, account: null } as Record<keyof SpendEntities, number | null>;
  for (const level of ['card', 'user', 'account'] as const) {
    const text = query.get(level);
    if (text === null) continue;
    const number = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(number)) {
      return badRequest(response, { field: level, message: 'must be an internal number, an integer from 1' });
    }
    entities[level] = number;
  }
  if (Object.values(entities).every((number) => number === null)) {
    const detail =
      'name at least one of card, user and account by its internal number: /admin/windows?card=1&account=1';
    return sendProblem(response, 400, 'invalid_request', detail);
  }
  send(response, 200, jsonContentType, JSON.stringify(await options.ledger.windows(entities)));
}

async function answerCommand(
  carryOut: (body: Uint8Array) => Promise<CommandAnswer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { 'content-type': contentType = jsonContentType, 'content-encoding': encoding = '' } = request.headers;
  if (!isJsonMediaType(contentType) || !isIdentityEncoding(encoding)) {
    return sendProblem(response, 415, 'unsupported_media_type', 'send the body as application/json, not encoded');
  }
  const body = await readBody(request, commandBytesMax);
  if (body === null) {
    // The rest of the body is still on its way and is not read.
    response.setHeader('connection', 'close');
    return sendProblem(response, 413, 'body_too_large', `the body is longer than ${commandBytesMax} bytes`);
  }
  const { status, reason, bytes, isShuttingDown } = await carryOut(body);
  const answer = new HttpAnswer();
  if (status === EntryStatus.unavailable) {
    answer.setUnavailable(commandForm, reason, isShuttingDown);
    response.setHeader('retry-after', '1');
  } else answer.set(commandForm, status, 0, reason, bytes);
  send(response, answer.status, answer.contentType, answer.body);
}
