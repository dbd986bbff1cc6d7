/**
 * Every error that a port of ours answers with: the code for programs, which is the `title` of the problem, and what it
 * means. The account API serves this table at `/api/docs/problems`, where the `type` of each problem leads.
 */

const codes = {
  invalid_request:
    'An input is wrong. `errors` names every field at fault and says what would be right; `field` is the first of ' +
    'them.',
  unauthorized: 'No credentials came. Sign in, then send `Authorization: Bearer <token>`.',
  invalid_token:
    'The token has expired, was ended, or is not one of ours. Trade the refresh token for a new one, or sign in.',
  invalid_credentials: 'The e-mail address, the password or the code is wrong. The answer does not say which.',
  invalid_refresh_token: 'The refresh token was used, has expired, or was ended. Sign in.',
  forbidden: 'The credentials are good, and do not allow this.',
  csrf_failed:
    'The request came with the cookie of a page of ours, without the token that the page has. Read the session again.',
  not_found: 'There is nothing at this path, or no such object of yours.',
  method_not_allowed: 'The path exists, and does not take this method. `Allow` lists those that it takes.',
  request_timeout: 'The request did not arrive whole in time. Send it again.',
  duplicate_conflict: 'This id was used with other content. Nothing was done; send a new id.',
  idempotency_key_reused: 'This `Idempotency-Key` was used with another request. Send a new key.',
  request_in_progress:
    'The first request with this `Idempotency-Key` still runs. Send the request again after `Retry-After`.',
  version_changed: 'The object is another version than `If-Match` names. Read it again, then change it.',
  email_taken: 'This e-mail address is registered.',
  wrong_password: 'The password is not the one of this user.',
  customer_not_verified: 'The identity of the customer is not verified, so there are no new cards.',
  too_many_invitations: 'There are as many open invitations as allowed. Withdraw some first.',
  too_many_users: 'The company has as many users as allowed, with those that are invited.',
  too_many_cards: 'There are as many cards as allowed. Close one first.',
  too_many_changes: 'Many requests changed this object at once. Send the request again after `Retry-After`.',
  mail_unavailable: 'This server sends no mail. Its operator must configure it.',
  last_owner: 'A company keeps at least one active owner.',
  user_closed: 'A closed user stays closed.',
  card_closed: 'A closed card stays closed.',
  account_closed: 'The account is closed.',
  account_inactive: 'The account is not active.',
  insufficient_funds: 'Less is available than the request asks for.',
  amount_invalid: 'The amount is more than an account can hold.',
  funding_decided: 'Another operator has decided about this movement, or it has expired.',
  too_many_fundings: 'As many movements as allowed wait for a second operator. Decide about some first.',
  nothing_held: 'The transaction holds nothing that could be released.',
  refused: 'The request was understood and refused; `detail` says why.',
  body_too_large: 'The body is longer than this port takes.',
  uri_too_long: 'The URL is longer than 8 KiB.',
  headers_too_large: 'The headers are longer than 16 KiB together.',
  unsupported_media_type:
    'The body is not of a type that the path takes: JSON in UTF-8, or the bytes of an image. Or it is encoded.',
  image_refused: 'The image cannot be used; `detail` says why. Send another one.',
  expectation_failed: 'The request expects something that this server does not do.',
  too_many_requests: 'More requests came than allowed. `Retry-After` says when to come back.',
  too_many_at_once: 'Too many of your requests are under way. Wait for an answer before the next request.',
  too_many_failures: 'Too many tries failed. `Retry-After` says when to come back.',
  too_many_keys: 'There are as many API keys as allowed. Revoke one first.',
  internal_error: 'A fault of ours. Quote the request id to support.',
  unavailable: 'A part that this request needs does not answer. Send the request again after `Retry-After`.',
  engine_unavailable: 'The engine does not answer. Send the request again after `Retry-After`.',
  overloaded: 'Too much at once. Send the request again after `Retry-After`.',
  shutting_down: 'This engine is starting or stopping. Send the request to another one, or again.',
  system_error: 'No answer could be given in time. Nothing was approved; the same id may be sent again.',
} as const;

export type ProblemCode = keyof typeof codes;

export const problemCodes: Readonly<Record<string, string>> = codes;

/** Where the table is served. */
export const problemsPath = '/api/docs/problems';

/** The `type` of a problem: a reference that the account API resolves. */
export function problemType(code: ProblemCode): string {
  return `${problemsPath}/${code}`;
}
