/** The one way to connections to PostgreSQL, for every process and tool. */
import postgres from 'postgres';
import { type Host, WritableHost } from './writable-host.js';

const portDefault = 5432;
const attribute = 'target_session_attrs';
/** Both mean a server that takes writes: every process of ours writes. */
const attributeValues = ['read-write', 'primary'];

interface ManyHosts {
  readonly hosts: readonly Host[];
  urlOf(host: Host): string;
}

/** Of this thread, by URL: what one pool finds out about the servers, all of them know. */
const choices = new Map<string, WritableHost>();

/**
 * As the driver's own function. Where the URL has several hosts, or `target_session_attrs`, every connection is to the
 * server that takes writes.
 */
export function connectPostgres<T extends Record<string, postgres.PostgresType> = Record<never, never>>(
  url: string,
  options: postgres.Options<T>,
): ReturnType<typeof postgres<T>> {
  const many = manyHosts(url);
  if (many === null) return postgres(url, options);
  const writable = writableHost(url)!;
  let isEnded = false;
  const socket = () => writable.open(() => isEnded);
  // The driver's types do not know this option, which it has for servers that it cannot connect to by itself.
  const sql = postgres(many.urlOf(many.hosts[0]!), { ...options, socket } as postgres.Options<T>);
  const { end } = sql;
  sql.end = (how) => {
    isEnded = true;
    return end(how);
  };
  return sql;
}

/** Null: the URL names one server, and the driver connects to it. */
export function writableHost(url: string): WritableHost | null {
  const many = manyHosts(url);
  if (many === null) return null;
  const known = choices.get(url);
  if (known !== undefined) return known;
  const made = new WritableHost(many.hosts, many.urlOf);
  choices.set(url, made);
  return made;
}

/** Each server of a URL with several hosts, with a URL of its own; none where the URL names one. */
export function serverUrls(url: string): readonly { readonly name: string; readonly url: string }[] {
  const many = manyHosts(url);
  if (many === null || many.hosts.length === 1) return [];
  return many.hosts.map((host) => ({ name: `${host.name}:${host.port}`, url: many.urlOf(host) }));
}

/** @returns what is wrong with the hosts of a URL, '' for nothing */
export function hostsProblem(url: string): string {
  try {
    manyHosts(url);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

function manyHosts(url: string): ManyHosts | null {
  const [, before = '', list = '', path = '', query = ''] =
    /^(\w+:\/\/(?:[^@/?]*@)?)([^/?]*)([^?]*)\??(.*)$/.exec(url) ?? [];
  const parameters = new URLSearchParams(query);
  const wanted = parameters.get(attribute);
  const names = list.split(',');
  if (names.length === 1 && wanted === null) return null;
  if (wanted !== null && !attributeValues.includes(wanted)) {
    throw new Error(`${attribute} must be ${attributeValues.join(' or ')}: every process writes`);
  }
  const hosts = names.map((text) => {
    const [, name, port] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text) ?? [];
    if (name === undefined) throw new Error('a host has no name: write host:port,host:port');
    return { name: name.replace(/^\[|\]$/g, ''), port: port === undefined ? portDefault : Number(port) };
  });
  parameters.delete(attribute);
  const rest = parameters.size === 0 ? '' : `?${parameters}`;
  const urlOf = ({ name, port }: Host) => `${before}${name.includes(':') ? `[${name}]` : name}:${port}${path}${rest}`;
  return { hosts, urlOf };
}
