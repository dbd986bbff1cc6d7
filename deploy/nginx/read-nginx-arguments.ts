/** The command line of `npm run nginx-config`, checked: nothing in it can end a line of the configuration. */
import { parseArgs } from 'node:util';
import type { NginxSettings } from './nginx-config.js';

const nginxUsage = `usage:
  npm run nginx-config --silent -- --engine AUTH,OPS[,WEIGHT] --api ADDRESS[,WEIGHT] [options] > nginx.conf
  --engine 10.0.0.1:8080,10.0.0.1:8081   an engine: its authorization port and its ops port (may be repeated)
  --api 10.0.0.2:3000,2                  an API, here with twice the share of others (may be repeated)
  --host 0.0.0.0 --auth-port 8080 --api-port 3000   where nginx listens; default 127.0.0.1, 8080 and 3000
  --admin 10.0.0.1:8081                  where /admin/ of all engines answers, for APIs alone; default: nowhere
  --deadline-ms 100                      DEADLINE_MS of the engines; default 100
  --certificate FILE --key FILE          TLS on both ports
  --assets FOLDER                        serve /assets/ from this folder, not from the API
  --state FOLDER                         process id and temporary files; default /tmp
  --access-log FILE                      default /dev/stdout
  --into FILE                            where to write the configuration; default: the output`;

export interface NginxArguments extends NginxSettings {
  readonly into: string | null;
}

const address = /^(?:[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/;
const path = /^\/[\w./+@-]*$/;
const host = /^[0-9a-fA-F.:]+$/;

/** Throws with one line for a person. */
export function readNginxArguments(args: readonly string[]): NginxArguments {
  const one = { type: 'string' } as const;
  const many = { type: 'string', multiple: true } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      engine: many,
      api: many,
      admin: one,
      'deadline-ms': one,
      host: one,
      'auth-port': one,
      'api-port': one,
      certificate: one,
      key: one,
      assets: one,
      state: one,
      'access-log': one,
      into: one,
    },
  });
  const { engine = [], api = [], certificate, key } = values;
  if (engine.length === 0 || api.length === 0)
    throw new Error(`give at least one --engine and one --api\n${nginxUsage}`);
  if ((certificate === undefined) !== (key === undefined)) throw new Error('--certificate and --key belong together');
  return {
    host: checked('--host', values.host ?? '127.0.0.1', host),
    authPort: portOf('--auth-port', values['auth-port'] ?? '8080'),
    apiPort: portOf('--api-port', values['api-port'] ?? '3000'),
    engines: engine.map((text) => {
      const [auth = '', ops = '', weight = '1'] = text.split(',');
      return {
        auth: addressOf('--engine', auth),
        ops: addressOf('--engine', ops),
        weight: weightOf('--engine', weight),
      };
    }),
    apis: api.map((text) => {
      const [at = '', weight = '1'] = text.split(',');
      return { api: addressOf('--api', at), weight: weightOf('--api', weight) };
    }),
    tls:
      certificate === undefined || key === undefined
        ? null
        : { certificate: checked('--certificate', certificate, path), key: checked('--key', key, path) },
    assetsRoot: values.assets === undefined ? null : checked('--assets', values.assets, path),
    stateFolder: checked('--state', values.state ?? '/tmp', path),
    into: values.into ?? null,
    deadlineMs: deadlineOf('--deadline-ms', values['deadline-ms'] ?? '100'),
    console: null,
    admin: values.admin === undefined ? null : placeOf('--admin', values.admin),
    accessLog: checked('--access-log', values['access-log'] ?? '/dev/stdout', path),
  };
}

function checked(option: string, value: string, pattern: RegExp): string {
  if (!pattern.test(value)) throw new Error(`${option} cannot be ${JSON.stringify(value)}`);
  return value;
}

function portOf(option: string, text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new Error(`${option} must be a port, not ${text}`);
  return port;
}

function deadlineOf(option: string, text: string): number {
  const deadlineMs = Number(text);
  if (!/^\d+$/.test(text) || deadlineMs < 1 || deadlineMs > 3000) {
    throw new Error(`${option} must be an integer from 1 to 3000, not ${JSON.stringify(text)}`);
  }
  return deadlineMs;
}

function addressOf(option: string, text: string): string {
  const port = address.exec(text)?.[1];
  if (port === undefined) throw new Error(`${option} takes host:port, not ${JSON.stringify(text)}`);
  portOf(option, port);
  return text;
}

function placeOf(option: string, text: string): { host: string; port: number } {
  const [, of = '', port = ''] = /^(.*):(\d+)$/.exec(addressOf(option, text))!;
  return { host: checked(option, of.replace(/^\[|\]$/g, ''), host), port: Number(port) };
}

function weightOf(option: string, text: string): number {
  const weight = Number(text);
  if (!/^\d+$/.test(text) || weight < 1 || weight > 1000) {
    throw new Error(`a weight of ${option} must be an integer from 1 to 1000, not ${JSON.stringify(text)}`);
  }
  return weight;
}
