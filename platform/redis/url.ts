/**
 * REDIS_URL taken apart. One variable names every kind of deployment:
 *
 *   redis://user:password@host:6379/0                       one server; rediss:// with TLS
 *   redis+sentinel://:password@h1:26379,h2:26379/mymaster/0  Sentinel; ?sentinelPassword=… when it has one
 *   redis+cluster://:password@h1:6379,h2:6379                Cluster; rediss+sentinel, rediss+cluster with TLS
 */
export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly isTls: boolean;
  readonly hosts: readonly RedisHost[];
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  /** Sentinel's name of the master. */
  readonly master?: string;
  readonly sentinelPassword?: string;
}

export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError';
}

const schemePattern = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(.*)$/s;
const portDefault = { single: 6379, sentinel: 26379, cluster: 6379 };

/** Throws RedisUrlError with a line for a person; it never repeats the URL, which holds the password. */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme, mode, rest] = schemePattern.exec(url) ?? [];
  if (scheme === undefined || rest === undefined) {
    throw new RedisUrlError('REDIS_URL must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://');
  }
  const kind = (mode ?? 'single') as RedisTarget['kind'];
  const [beforeQuery, query = ''] = split(rest, '?');
  const [authority, path = ''] = split(beforeQuery, '/');
  // The last @: a password may hold one, although it should be escaped.
  const at = authority.lastIndexOf('@');
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((text) => parseHost(text, portDefault[kind]));
  if (kind === 'single' && hosts.length > 1) {
    throw new RedisUrlError('REDIS_URL names several hosts: use redis+sentinel:// or redis+cluster://');
  }
  const parts = path.split('/').filter((part) => part !== '');
  const master = kind === 'sentinel' ? parts.shift() : undefined;
  if (kind === 'sentinel' && master === undefined) {
    throw new RedisUrlError('REDIS_URL must name the master behind Sentinel: redis+sentinel://host:26379/mymaster');
  }
  const db = Number(parts[0] ?? 0);
  if (!Number.isInteger(db) || db < 0 || parts.length > 1) {
    throw new RedisUrlError('the path of REDIS_URL must be the number of a database');
  }
  if (kind === 'cluster' && db !== 0) throw new RedisUrlError('a Redis Cluster has database 0 only');
  const sentinelPassword = new URLSearchParams(query).get('sentinelPassword');
  return {
    kind,
    isTls: scheme === 'rediss',
    hosts,
    db,
    ...credentials(at < 0 ? '' : authority.slice(0, at)),
    ...(master === undefined ? {} : { master: decode(master) }),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
  };
}

function split(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function credentials(text: string): { username?: string; password?: string } {
  if (text === '') return {};
  const [username, password] = split(text, ':');
  if (password === undefined) throw new RedisUrlError('REDIS_URL has a user without a password: write user:password@');
  return { ...(username === '' ? {} : { username: decode(username) }), password: decode(password) };
}

function parseHost(text: string, portUsual: number): RedisHost {
  const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = v6 ?? name;
  const number = port === undefined ? portUsual : Number(port);
  if (host === undefined || number < 1 || number > 65535) {
    throw new RedisUrlError('REDIS_URL has a host that cannot be read: write host:port');
  }
  return { host, port: number };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RedisUrlError('REDIS_URL has a % that escapes nothing: write %25');
  }
}
