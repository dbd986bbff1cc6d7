/**
 * The configuration of nginx in front of engines and APIs, from their addresses: one form for compose, for a machine of
 * your own and for the tests, which run it. docs/deployment.md says what any other proxy must do too.
 */
import { bodyBytesMax } from '../../engine/core/limits.js';
import { jsonContentType, problemBody, problemContentType } from '../../platform/problems/problem-body.js';
import type { ProblemCode } from '../../platform/problems/problem-codes.js';

export interface EngineAddress {
  /** `host:port` of the authorization port. */
  readonly auth: string;
  /** `host:port` of the ops port, where the proxy asks whether the engine is ready. */
  readonly ops: string;
  readonly weight: number;
}

export interface ApiAddress {
  /** `host:port` */
  readonly api: string;
  readonly weight: number;
}

export interface NginxSettings {
  /** Address on which nginx listens. */
  readonly host: string;
  readonly authPort: number;
  readonly apiPort: number;
  readonly engines: readonly EngineAddress[];
  readonly apis: readonly ApiAddress[];
  /** Files in PEM; null: plain HTTP, behind something else that ends TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  /** Folder that has `assets/`; null: the API serves `/assets/`. */
  readonly assetsRoot: string | null;
  /** Folder for the process id and for bodies that do not fit into memory. */
  readonly stateFolder: string;
  /**
   * File of the access log; null: none. Under systemd not `/dev/stdout`: that is a socket there, which cannot be
   * opened.
   */
  readonly accessLog: string | null;
  /** DEADLINE_MS of the engines. */
  readonly deadlineMs: number;
  /** Where the console of the APIs answers, whose CONSOLE_HOST are `apis`; null: at the API's port. */
  readonly console: { readonly host: string; readonly port: number; readonly apis: readonly string[] } | null;
  /** Where `/admin/` of all engines answers, for APIs alone; null: nowhere. */
  readonly admin: { readonly host: string; readonly port: number } | null;
}

/** The whole nginx.conf. Values are checked before (read-nginx-arguments.ts): none has a space, quote or semicolon. */
export function nginxConfig(settings: NginxSettings): string {
  const { stateFolder, accessLog, engines, apis } = settings;
  return `# Written by \`npm run nginx-config\`.
worker_processes auto;
worker_rlimit_nofile 16384;
pid ${stateFolder}/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }

http {
  server_tokens off;
  # Without arguments: a query may hold what no log should.
  log_format line escape=json
    '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","path":"$uri",'
    '"status":$status,"seconds":$request_time,"upstream":"$upstream_addr","upstreamStatus":"$upstream_status",'
    '"upstreamSeconds":"$upstream_response_time"}';
  access_log ${accessLog === null ? 'off' : `${accessLog} line`};
  client_body_temp_path ${stateFolder}/client;
  proxy_temp_path ${stateFolder}/proxy;
  fastcgi_temp_path ${stateFolder}/fastcgi;
  uwsgi_temp_path ${stateFolder}/uwsgi;
  scgi_temp_path ${stateFolder}/scgi;

  types { text/html html; text/css css; text/javascript js mjs; application/json json map; image/svg+xml svg;
    image/png png; image/webp webp; image/avif avif; image/jpeg jpg jpeg; font/woff2 woff2; text/plain txt; }
  default_type application/octet-stream;
  charset utf-8;
  sendfile on;

  # What the upstream has not compressed itself. Answers of the authorization port are shorter than this.
  gzip on;
  gzip_comp_level 6;
  gzip_min_length 1024;
  gzip_vary on;
  gzip_proxied any;
  gzip_types application/json application/problem+json text/css text/javascript text/plain text/csv image/svg+xml;

  client_max_body_size ${bodyBytesMax};
  # A whole body in memory: none waits for a disk.
  client_body_buffer_size ${bodyBytesMax};
  client_header_timeout 10s;
  client_body_timeout 10s;
  send_timeout 10s;
  # The second value tells clients to close first.
  keepalive_timeout 75s 60s;
  keepalive_requests 100000;

${upstream(
  'engines',
  256,
  engines.map(({ auth, weight }) => server(auth, weight)),
)}
${upstream(
  'engines_ops',
  16,
  engines.map(({ ops }) => server(ops, 1)),
)}
${upstream(
  'apis',
  64,
  apis.map(({ api, weight }) => server(api, weight)),
)}
${consoleUpstream(settings)}

${proxied}

${authServer(settings)}
${apiServers(settings)}
${settings.admin === null ? '' : adminServer(settings.admin)}
}
`;
}

const proxied = `  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  # Appended: the API takes the last address that is not one of its TRUSTED_PROXIES.
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  # No answer is written to a disk on its way.
  proxy_max_temp_file_size 0;
  # Ids and idempotency keys make a second try safe. A 503 is an answer: to ask the next one would multiply an overload.
  proxy_next_upstream error timeout non_idempotent;
  proxy_next_upstream_tries 2;`;

/** @param kept idle connections that each nginx worker keeps */
function upstream(name: string, kept: number, servers: readonly string[]): string {
  return `  upstream ${name} {
    # Without shared memory each worker would count connections and failures for itself.
    zone ${name} 64k;
    least_conn;
${servers.join('\n')}
    keepalive ${kept};
    keepalive_requests 100000;
    # uWebSockets.js closes idle connections after 8 to 12 s: nginx must close first.
    keepalive_timeout 5s;
  }`;
}

function consoleUpstream({ console: place }: NginxSettings): string {
  if (place === null) return '';
  return upstream(
    'consoles',
    16,
    place.apis.map((api) => server(api, 1)),
  );
}

/** Passive health check: after three failures within 5 s a server gets nothing for 5 s, unless all are out. */
function server(address: string, weight: number): string {
  return `    server ${address} weight=${weight} max_fails=3 fail_timeout=5s;`;
}

const ownErrors: readonly (readonly [status: number, code: ProblemCode, detail: string])[] = [
  [413, 'body_too_large', `the body is longer than ${bodyBytesMax} bytes`],
  [414, 'uri_too_long', 'the URL is too long'],
  [502, 'unavailable', 'no server behind this proxy could be reached; the same id may be sent again'],
  [504, 'unavailable', 'no server behind this proxy answered in time; the same id may be sent again'],
];

/**
 * nginx itself refuses in our form. 502 and 504 stay what they are: the outcome is unknown, as with a lost connection.
 */
const errorPages = ownErrors.map(([status]) => `    error_page ${status} @problem_${status};`).join('\n');

/** Named locations belong to a server, so each server has its own. */
const problemLocations = ownErrors
  .map(([status, code, detail]) => {
    const body = Buffer.from(problemBody(status, code, detail)).toString('utf8');
    return `    location @problem_${status} {
      internal;
      default_type ${problemContentType};
      return ${status} '${body}';
    }`;
  })
  .join('\n');

function addressOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listen({ host, tls }: NginxSettings, port: number): string {
  const address = addressOf(host, port);
  if (tls === null) return `    listen ${address};`;
  return `    listen ${address} ssl;
    ssl_certificate ${tls.certificate};
    ssl_certificate_key ${tls.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1h;
    ssl_session_tickets off;`;
}

/** Whether nginx runs, and whether one server behind it can serve. */
function healthLocations(readyUpstream: string): string {
  return `    location = /livez { access_log off; default_type ${jsonContentType}; return 200 '{"status":"alive"}'; }
    location = /readyz {
      access_log off;
      proxy_pass http://${readyUpstream};
      proxy_connect_timeout 1s;
      proxy_read_timeout 2s;
      # Here a 503 means only that this one is not ready.
      proxy_next_upstream error timeout http_503;
      proxy_next_upstream_tries 0;
    }`;
}

/** The engine's own 503 arrives before nginx gives up, also from a busy machine. */
const answerMarginMs = 900;

function authServer(settings: NginxSettings): string {
  const answerMs = settings.deadlineMs + answerMarginMs;
  return `  server {
${listen(settings, settings.authPort)}
${errorPages}
${healthLocations('engines_ops')}
    location / {
      proxy_pass http://engines;
      # An engine that hangs answers nothing. Another one is asked then: the id makes that safe.
      proxy_connect_timeout 1s;
      proxy_send_timeout 1s;
      proxy_read_timeout ${answerMs}ms;
      # A second try begins after the first one was given up, so this must be longer.
      proxy_next_upstream_timeout ${answerMs + 1500}ms;
    }
${problemLocations}
  }`;
}

/**
 * Any engine answers for all. Where one hangs, another one is asked while the API still waits. It gives up a look after
 * 2 s, and a movement of money after 5 s, whose id makes a second try safe.
 */
function adminServer({ host, port }: NonNullable<NginxSettings['admin']>): string {
  const engine = (answerTimeout: string) => `
      proxy_pass http://engines_ops;
      proxy_connect_timeout 1s;
      proxy_send_timeout 1s;
      proxy_read_timeout ${answerTimeout};`;
  return `  server {
    listen ${addressOf(host, port)};
${errorPages}
${healthLocations('engines_ops')}
    location /admin/ {${engine('1s')}
    }
    location ~ ^/admin/accounts/[^/]+/(?:deposits|withdrawals)$ {${engine('2s')}
    }
    location / { return 404; }
${problemLocations}
  }`;
}

function apiServers(settings: NginxSettings): string {
  const { console: place, apiPort } = settings;
  const servers = [apiServer(settings, listen(settings, apiPort), 'apis')];
  if (place !== null)
    servers.push(apiServer(settings, listen({ ...settings, host: place.host }, place.port), 'consoles'));
  return servers.join('\n');
}

function apiServer({ assetsRoot }: NginxSettings, listening: string, apis: 'apis' | 'consoles'): string {
  const source = assetsRoot === null ? `proxy_pass http://${apis};` : `root ${assetsRoot};`;
  return `  server {
${listening}
${errorPages}
    error_page 418 = @events;
${healthLocations(apis)}
    location /assets/ {
      ${source}
      # Names hold a hash of the content. Errors have no such header.
      proxy_hide_header Cache-Control;
      add_header Cache-Control "public, max-age=31536000, immutable";
      add_header X-Content-Type-Options nosniff;
    }
    location / {
      # A stream of events is not buffered, and may be silent for a while.
      if ($http_accept ~ "text/event-stream") { return 418; }
      if ($http_x_no_compression) { gzip off; }
      proxy_pass http://${apis};
      proxy_connect_timeout 5s;
      proxy_send_timeout 10s;
      proxy_read_timeout 10s;
    }
    location @events {
      gzip off;
      proxy_buffering off;
      proxy_pass http://${apis};
      proxy_connect_timeout 5s;
      proxy_send_timeout 10s;
      proxy_read_timeout 1h;
    }
${problemLocations}
  }`;
}
