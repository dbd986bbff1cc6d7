/**
 * The architecture as a test: which folder may import what, which file alone imports a package, and a few habits that a
 * linter does not know.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  return readdirSync(from).includes('package.json') ? from : findRoot(dirname(from));
}

const folders = ['engine', 'workers', 'api', 'platform', 'sql', 'bench', 'deploy', 'web'];

/** What each folder's shipped files may import of ours, most specific folder first. Tests may import anything. */
const mayImport: readonly (readonly [folder: string, allowed: readonly string[]])[] = [
  ['engine/core', ['engine/core']],
  // Shared memory and messages between the front and its threads.
  ['engine/exchange', ['engine/core', 'engine/exchange']],
  // The way between engines knows neither lanes nor views: the ledger gives it its handlers.
  ['engine/peers', ['engine/peers', 'engine/core', 'engine/exchange', 'engine/ledger/waiter.ts', 'platform']],
  ['engine/protocols', ['engine/core', 'engine/protocols', 'platform']],
  // What every process stands on knows the core's words and nothing else of ours.
  ['platform', ['platform', 'engine/core']],
  ['engine/testing', ['']],
  ['workers/testing', ['']],
  ['deploy/testing', ['']],
  // Generated documents show what all processes have.
  ['deploy/docs', ['']],
  // The front starts its threads by URL and shares with them the core, the exchange and the protocols alone.
  ['engine', ['engine', 'platform']],
  ['workers', ['workers', 'engine/core', 'engine/exchange', 'engine/protocols', 'platform']],
  ['api/stores', ['api/stores', 'api/auth', 'api/config.ts', 'api/ids.ts', 'engine/core', 'platform', 'sql']],
  // sql has the collections of the personal store.
  ['api', ['api', 'engine/core', 'engine/protocols/reading', 'engine/feed/feed-packet.ts', 'platform', 'sql']],
  ['sql', ['sql', 'platform']],
  ['deploy', ['deploy', 'sql', 'workers', 'platform', 'engine/core']],
  ['bench', ['']],
  // Runs in browsers: of the processes it knows the shape of one answer.
  ['web', ['web', 'api/live/live-shape.ts', 'api/images/encodings.ts']],
];

/** Each outside package enters through exactly these files, so that replacing one is one file's work. */
const importersOf: Readonly<Record<string, readonly string[]>> = {
  'uWebSockets.js': ['engine/transports/http/uws.ts', 'bench/durable-echo.ts', 'bench/echo.ts', 'bench/peers/front.ts'],
  piscina: ['engine/ledger/pool.ts'],
  'prom-client': ['platform/metrics/metrics.ts'],
  pino: ['platform/log.ts'],
  postgrator: ['sql/migrate.ts'],
  'currency-codes': ['engine/core/money.ts'],
  'cli-progress': ['deploy/seed.ts', 'deploy/seed-accounts.ts'],
  'lru-cache': [
    'workers/partition/partition.ts',
    'workers/partition/rows.ts',
    'workers/partition/answer-memory.ts',
    'workers/partition/transaction-finder.ts',
    'workers/partition/shared-rules.ts',
    'api/auth/access.ts',
    'api/auth/actors.ts',
    'api/http/rate-windows.ts',
    'api/auth/failure-counters.ts',
    'api/auth/passwords.ts',
    'api/http/response-cache.ts',
    'api/http/tenant-generations.ts',
    'api/auth/tokens.ts',
    'api/cache/local-cache.ts',
  ],
  mongodb: ['api/stores/personal/mongo-connection.ts'],
  typebox: ['api/http/schemas.ts'],
  ioredis: [
    'platform/redis/client.ts',
    'platform/redis/any-node.ts',
    'platform/redis/channel.ts',
    'bench/peers/redis-lua.ts',
  ],
  'hdr-histogram-js': ['bench/load/latency.ts'],
  msgpackr: ['engine/feed/feed-packet.ts', 'platform/cache/codec.ts'],
  '@fastify/cors': ['api/http/cors.ts'],
  '@fastify/compress': ['api/http/limits.ts'],
  '@fastify/static': ['api/pages/pages.ts'],
  vite: ['web/build/build-pages.ts'],
  uplot: ['web/console/live/latency-chart.tsx'],
  'playwright-core': ['web/testing/browser.ts'],
  '@fastify/swagger-ui': ['api/http/documentation.ts'],
  jose: ['api/auth/tokens.ts'],
  nodemailer: ['api/mail/smtp-mailer.ts'],
  '@zxcvbn-ts/language-common': ['api/auth/password-rules.ts'],
  sharp: ['api/images/image-converter.ts', 'api/images/encodings.ts', 'web/build/build-art.ts'],
  otpauth: ['api/auth/operator-sign-in.ts'],
  'i18n-iso-countries/index.js': ['engine/protocols/reading/countries.ts'],
  '@node-rs/crc32': [
    'deploy/audit/audit-frames.ts',
    'workers/journal/frame-log.ts',
    'workers/journal/id-files.ts',
    'workers/journal/segment.ts',
  ],
  lithic: [],
  stripe: [],
  '@grafana/grafana-foundation-sdk/common': ['deploy/docs/dashboards.ts'],
  '@grafana/grafana-foundation-sdk/dashboard': ['deploy/docs/dashboards.ts'],
  '@grafana/grafana-foundation-sdk/prometheus': ['deploy/docs/dashboards.ts'],
  '@grafana/grafana-foundation-sdk/stat': ['deploy/docs/dashboards.ts'],
  '@grafana/grafana-foundation-sdk/timeseries': ['deploy/docs/dashboards.ts'],
  '@opentelemetry/api': ['platform/tracing/exporter.ts'],
  '@opentelemetry/exporter-trace-otlp-proto': ['platform/tracing/exporter.ts'],
  '@opentelemetry/resources': ['platform/tracing/exporter.ts'],
  '@opentelemetry/sdk-trace-base': ['platform/tracing/exporter.ts'],
  yaml: ['bench/simulate/yaml-fields.ts'],
  'fast-json-stringify': ['api/http/serializing.ts'],
  ajv: ['engine/protocols/reading/schema.ts', 'api/http/validation.ts'],
  '@node-rs/argon2': ['api/auth/passwords.ts', 'deploy/demo.ts'],
};

/**
 * The pure core reads no clock, draws no random number, waits for nothing, and shares no memory with another thread.
 */
const impure = new RegExp(
  [
    /\bDate\.(?!UTC\()|\bnew Date\b|\bperformance\b|\bprocess\b|\bMath\.random\(/,
    /\basync \w|\bawait \w|\bset(?:Timeout|Interval|Immediate)\(/,
    /\bAtomics\b|\bSharedArrayBuffer\b|\b\w*Worker\b|\bMessage(?:Port|Channel)\b/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function* sourceFiles(folder: string): Generator<SourceFile> {
  let entries: ReturnType<typeof readDirectory>;
  try {
    entries = readDirectory(join(root, folder));
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = posix.join(folder, entry.name);
    if (entry.name === 'node_modules') continue;
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.tsx?$/.test(entry.name)) {
      const text = readFileSync(join(root, path), 'utf8');
      yield { path, text, imports: importsOf(text) };
    }
  }
}

function readDirectory(path: string) {
  return readdirSync(path, { withFileTypes: true });
}

function importsOf(text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(
    /^\s*(?:import|export)\b[^;'"]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
  )) {
    found.push((match[1] ?? match[2] ?? match[3])!);
  }
  return found;
}

const isTest = (path: string) => /\.(test|slow)\.ts$/.test(path) || path.includes('/testing/');
const all = folders.flatMap((folder) => [...sourceFiles(folder)]);
const shipped = all.filter((file) => !isTest(file.path));

t.test('imports point one way', async (t) => {
  t.ok(shipped.length > 30, 'the walk finds the sources');
  for (const file of shipped) {
    const rule = mayImport.find(([folder]) => file.path.startsWith(`${folder}/`));
    t.ok(rule, `${file.path} stands in a folder with a rule`);
    for (const specifier of file.imports.filter((name) => name.startsWith('.'))) {
      const target = relative(root, join(root, dirname(file.path), specifier)).replace(/\\/g, '/');
      const allowed = rule![1].some(
        (folder) => folder === '' || target.startsWith(`${folder}/`) || target === folder.replace(/\.ts$/, '.js'),
      );
      if (!allowed) t.fail(`${file.path} must not import ${target}`);
      if (/^(bench|.*\/testing)\//.test(target) && !file.path.startsWith('bench/')) {
        t.fail(`${file.path} ships ${target}, which is for tests and benchmarks`);
      }
    }
  }
});

t.test('no shipped files import each other in a circle', async (t) => {
  const nameOf = (path: string) => path.replace(/\.(?:js|tsx?)$/, '');
  const imported = new Map(
    shipped.map(({ path, imports }) => [
      nameOf(path),
      imports.filter((name) => name.startsWith('.')).map((name) => nameOf(posix.join(dirname(path), name))),
    ]),
  );
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) t.fail([...way.slice(way.indexOf(path)), path].join(' imports '));
    if (way.includes(path) || done.has(path)) return;
    for (const target of imported.get(path) ?? []) walk(target, [...way, path]);
    done.add(path);
  };
  for (const path of imported.keys()) walk(path, []);
  t.ok(done.size >= shipped.length, 'the walk visits every shipped file');
});

t.test('each package enters through its own files', async (t) => {
  for (const file of shipped) {
    for (const specifier of file.imports) {
      const importers = importersOf[specifier];
      if (importers !== undefined && !importers.includes(file.path))
        t.fail(`${file.path} must not import ${specifier}`);
    }
  }
  t.pass('walked');
});

t.test('shipped files connect to PostgreSQL through one wrapper', async (t) => {
  const connecting = ['platform/postgres/connect.ts', 'platform/postgres/writable-host.ts'];
  // The embedded server is one server.
  const own = [...connecting, 'deploy/embedded-postgres.ts'];
  for (const { path, text } of shipped) {
    if (path.startsWith('bench/') || !/[^.\w]postgres\((?!ql)/.test(text.replace(/\/\*[\s\S]*?\*\//g, ''))) continue;
    t.ok(own.includes(path), `${path} connects with connectPostgres()`);
  }
});

t.test('a header that claims to be the only importer names a package that the table above holds', async (t) => {
  for (const file of shipped) {
    const header = /^\/\*\*[\s\S]*?\*\//.exec(file.text)?.[0] ?? '';
    if (!/only\s+(?:\*\s+)?importer/.test(header)) continue;
    const held = file.imports.some((name) => importersOf[name]?.includes(file.path) || /^node:fs/.test(name));
    t.ok(held, `${file.path} claims to be an only importer, and a rule holds it to that`);
  }
});

t.test('the core is pure and does no I/O', async (t) => {
  for (const file of shipped.filter(({ path }) => path.startsWith('engine/core/'))) {
    for (const specifier of file.imports) {
      if (specifier.startsWith('node:')) t.fail(`${file.path} must not import ${specifier}`);
    }
    const code = file.text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
    t.notMatch(code, impure, `${file.path} is pure`);
  }
});

t.test('only the storage touches the disk in the workers', async (t) => {
  for (const file of shipped.filter(({ path }) => path.startsWith('workers/'))) {
    const touches = file.imports.some((specifier) => /^node:fs/.test(specifier));
    if (touches && file.path !== 'workers/journal/storage.ts') t.fail(`${file.path} must go through storage.ts`);
  }
  t.pass('walked');
});

t.test('docs/dependencies.md says of each dependency why it is there', async (t) => {
  const table = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    t.ok(table.includes(`\`${name}\``), `${name} stands in the dependency table`);
    t.match(version, /^(npm:[a-z]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/, `${name} is pinned exactly`);
  }
});

t.test('plain English: no word in a private sense', async (t) => {
  // Assembled, so that this file does not find itself. Landed migrations stay as they are.
  const dialect = new RegExp(
    `\\b(?:${['to' + 'ld', 'nobo' + 'dy', 'somebo' + 'dy', 'whoev' + 'er', 'strang' + 'er', 'an' + 'ew'].join(
      '|',
    )})s?\\b`,
    'i',
  );
  for (const file of all.filter(({ path }) => /^(?:engine|workers|platform|bench|deploy|api|sql|web)\//.test(path))) {
    const lines = file.text.replaceAll('begin-an' + 'ew', '').split('\n');
    const found = lines.findIndex((line) => dialect.test(line));
    if (found >= 0)
      t.fail(`${file.path}:${found + 1} ${dialect.exec(lines[found]!)![0]}: name the component, with an active verb`);
  }
  t.pass('walked');
});

/** Migrations up to here stay as they landed. */
const landedMigration = 271;

t.test('no line is longer than 120 columns', async (t) => {
  const isLanded = (name: string) => Number(name.slice(0, 3)) <= landedMigration;
  const migrations = readdirSync(join(root, 'sql/migrations')).filter((name) => !isLanded(name));
  const texts = migrations.map((name) => {
    const path = `sql/migrations/${name}`;
    return { path, text: readFileSync(join(root, path), 'utf8') };
  });
  for (const { path, text } of [...all, ...texts]) {
    const long = text.split('\n').findIndex((line) => line.length > 120);
    if (long >= 0) t.fail(`${path}:${long + 1} is longer than 120 columns`);
  }
  t.pass('walked');
});

/**
 * The sentences of a file's comments, each with the line at which its paragraph begins. Indented lines and lines with
 * columns are tables or code, not sentences.
 */
function* commentSentences(text: string): Generator<readonly [line: number, sentence: string]> {
  let paragraph: string[] = [];
  let start = 0;
  let inBlock = false;
  for (const [index, line] of [...text.split('\n'), ''].entries()) {
    const [, indent = '', said = ''] = /^\s*(?:\/\*\*?|\*\/?|\/\/)( *)(.*?)(?: ?\*\/)?$/.exec(line) ?? [];
    const opens = /^\s*\/\*/.test(line);
    const isProse = (inBlock || opens || /^\s*\/\//.test(line)) && indent.length < 2 && !/\S {2,}\S/.test(said);
    if (!isProse || said === '' || opens || /^(?:- |@)/.test(said)) {
      for (const sentence of paragraph.join(' ').split(/(?<=[.!?][)"']?)\s+/)) yield [start + 1, sentence];
      paragraph = [];
    }
    if (isProse && said !== '') {
      if (paragraph.length === 0) start = index;
      paragraph.push(said);
    }
    inBlock = (inBlock || opens) && !line.includes('*/');
  }
}

t.test('no sentence of a comment has more than 30 words', (t) => {
  let count = 0;
  for (const { path, text } of all) {
    for (const [line, sentence] of commentSentences(text)) {
      count++;
      const words = sentence.split(/\s+/).filter((word) => /\w/.test(word)).length;
      if (words > 30) t.fail(`${path}:${line} a sentence of ${words} words: ${sentence.slice(0, 60)}…`);
    }
  }
  t.ok(count > 5000, 'the walk finds sentences');
  t.end();
});

/** Functions longer than 70 lines, and why each is better whole. */
const longFunctions: Readonly<Record<string, string>> = {
  'engine/core/record.ts writeRecord': 'one line a field, in the order of the layout',
  'engine/ops/telemetry.ts constructor': 'one line a metric',
  'api/routes/accounts.ts accountRoutes': 'a table of routes',
  'api/routes/cards.ts cardRoutes': 'a table of routes',
  'api/routes/invitations.ts invitationRoutes': 'a table of routes',
  'api/routes/transactions.ts transactionRoutes': 'a table of routes',
  'bench/history.ts writePart': 'one SQL statement',
  'bench/suite/scenarios/sql.ts queriesOf': 'a table of queries',
};

t.test('no function is longer than 70 lines without a reason', async (t) => {
  // Biome's format makes counting sound: a function's last line is the first that closes at the indentation of its
  // head.
  const head =
    /^( *)(?:export )?(?:(?:static|async|get|set|const) )*(?:function\*? )?(#?\w+)(?: = (?:async )?)?\((?:.*[({])?$/;
  let count = 0;
  const long = new Set<string>();
  for (const { path, text } of shipped) {
    const lines = text.split('\n');
    for (const [index, line] of lines.entries()) {
      const [, indentation, name] = head.exec(line) ?? [];
      if (name === undefined || /^(?:if|for|while|switch|catch|return|await|super)$/.test(name)) continue;
      const opens = line.endsWith('{')
        ? index
        : lines.findIndex((end, at) => at > index && end.startsWith(`${indentation})`));
      if (!lines[opens]?.endsWith('{')) continue;
      count++;
      const length = lines.findIndex((end, at) => at > opens && end.startsWith(`${indentation}}`)) - index + 1;
      if (length <= 70) continue;
      const key = `${path} ${name}`;
      long.add(key);
      if (longFunctions[key] === undefined) t.fail(`${path}:${index + 1} ${name} has ${length} lines`);
    }
  }
  t.ok(count > 1000, 'the walk finds functions');
  for (const key of Object.keys(longFunctions)) t.ok(long.has(key), `${key} is as long as its reason says`);
});

t.test('no left-over markers, no switched-off tests', async (t) => {
  const marker = new RegExp(['TO', 'DO|FIX', 'ME|\\bXX', 'X\\b|HA', 'CK\\b'].join(''));
  const narrowed = /\bt\.(?:skip|todo|only)\(|\b(?:skip|todo): ?(?:true|['"])/;
  for (const file of all) {
    t.notMatch(file.text, marker, `${file.path} has no left-over marker`);
    if (!file.path.endsWith('tidy.test.ts')) t.notMatch(file.text, narrowed, `${file.path} switches no test off`);
  }
});
