/** The files for Docker compose keep its schema, and configure our processes with what they understand. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { readApiConfig } from '../../api/config.js';
import { readEngineConfig } from '../../engine/config.js';
import { readNginxArguments } from '../nginx/read-nginx-arguments.js';
import { repositoryRoot } from '../repository-root.js';
import { parseDockerfile } from '../testing/dockerfile.js';

const root = repositoryRoot();
const folder = join(root, 'deploy');

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly stop_grace_period?: string;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly read_only?: boolean;
  readonly deploy?: { readonly resources: { readonly limits: { readonly cpus: string; readonly memory: string } } };
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>> | readonly string[];
}

const read = (name: string) => parse(readFileSync(join(folder, name), 'utf8'), { merge: true });
const { services, volumes } = read('compose.yaml') as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: object;
};
const entries = Object.entries(services);
const engines = Object.keys(services).filter((name) => name.startsWith('engine-'));
const ours = entries.filter(([, { image }]) => image?.startsWith('atlanticfrewaycard'));

/** The secrets that write-env.sh makes. */
function secrets(t: Test): Record<string, string> {
  const place = mkdtempSync(join(tmpdir(), 'compose-'));
  t.teardown(() => rmSync(place, { recursive: true, force: true }));
  const file = join(place, '.env');
  const script = join(folder, 'compose/write-env.sh');
  execFileSync('sh', [script, file]);
  t.equal(statSync(file).mode & 0o777, 0o600, 'for its owner alone');
  t.throws(() => execFileSync('sh', [script, file], { stdio: 'pipe' }), 'secrets in use are not replaced');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split('=', 2) as [string, string]));
}

/** As compose fills `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    const value = values[name] ?? (kind === '-' ? rest : undefined);
    if (value === undefined) throw new Error(`write-env.sh makes no ${name}`);
    return value;
  });
}

const nginxSettings = (values: Readonly<Record<string, string>> = {}) =>
  readNginxArguments(services['nginx-config']!.command!.slice(1).map((text) => filled(text, values)));

t.test('both files keep the schema of compose', async (t) => {
  const schema = JSON.parse(readFileSync(join(folder, 'testing/schemas/compose-spec.json'), 'utf8'));
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  for (const name of ['compose.yaml', 'compose.development.yaml']) {
    t.ok(validate(read(name)), `${name}: ${JSON.stringify(validate.errors)}`);
  }
  t.notOk(validate({ services: { one: { imgae: 'x' } } }), 'a wrong word is noticed');
});

t.test('each variable that is filled in has a secret, and none of them is in the file', async (t) => {
  const values = secrets(t);
  const text = readFileSync(join(folder, 'compose.yaml'), 'utf8');
  const used = new Set([...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name!));
  for (const name of Object.keys(values)) t.ok(used.has(name), `${name} is used`);
  filled(text, values);
  t.equal(new Set(Object.values(values)).size, Object.keys(values).length, 'no two are the same');
});

t.test('engine and API start with what they are given', async (t) => {
  const values = secrets(t);
  const stages = parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
  const image: Record<string, string> = {};
  for (const one of stages.at(-1)!.instructions) if (one.kind === 'env') image[one.name] = one.value;
  const documented = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
  for (const [name, { command = [], environment = {} }] of ours) {
    const script = command[0]!;
    t.ok(existsSync(join(root, script)), `${name}: ${script}`);
    for (const variable of Object.keys(environment)) {
      t.ok(documented.includes(`### \`${variable}\``), `${name}: ${variable} is a variable`);
    }
    const pairs = Object.entries(environment).map(([key, value]) => [key, filled(value, values)]);
    const given = { ...image, ...Object.fromEntries(pairs) };
    if (script.includes('engine/main')) {
      const { journal, partitionCount, threads, peer } = readEngineConfig(given);
      t.match({ journal, partitionCount, threads }, { journal: 'postgres', partitionCount: 12, threads: 2 }, name);
      t.same(peer, { port: 8082, address: `${name}:8082`, keys: [values['PEER_KEY']] }, 'the others reach it by name');
    }
    if (script.includes('api/main')) t.equal(readApiConfig(given).trustedProxies, '172.31.240.10');
  }
});

t.test('nginx reaches engines and APIs where they are, and the APIs trust nginx alone', async (t) => {
  const addressOf = (name: string) => Object.values(services[name]!.networks!)[0]!.ipv4_address as string;
  const settings = nginxSettings();
  t.equal(engines.length, 3);
  t.same(
    settings.engines,
    engines.map((name) => ({ auth: `${addressOf(name)}:8080`, ops: `${addressOf(name)}:8081`, weight: 1 })),
  );
  t.same(
    settings.apis.map(({ api }) => api),
    [`${addressOf('api-1')}:3000`, `${addressOf('api-2')}:3000`],
  );
  t.equal(services['api-1']!.environment!['TRUSTED_PROXIES'], addressOf('nginx'));
});

t.test('nginx waits as long as the engines do', async (t) => {
  for (const [given, deadlineMs] of [[{}, 100] as const, [{ DEADLINE_MS: '250' }, 250] as const]) {
    t.equal(nginxSettings(given).deadlineMs, deadlineMs);
    const deadlines = engines.map((name) => filled(services[name]!.environment!['DEADLINE_MS']!, given));
    t.same(
      deadlines,
      engines.map(() => String(deadlineMs)),
    );
  }
});

t.test('the loss of an engine takes no other service with it', async (t) => {
  const settings = nginxSettings();
  const { port } = settings.admin!;
  t.equal(
    services['api-1']!.environment!['ENGINE_URL'],
    `http://nginx:${port}`,
    'nginx chooses an engine that answers',
  );
  for (const published of services['nginx']!.ports!) t.notMatch(published, `:${port}`, 'it stays in the network');
  for (const [name, { depends_on = {} }] of entries) {
    for (const engine of engines.filter((one) => one in depends_on)) {
      t.equal(depends_on[engine]!.condition, 'service_started', `${name} starts without ${engine}`);
    }
  }
  const prometheus = parse(readFileSync(join(folder, 'prometheus/prometheus.yml'), 'utf8'));
  const scraped = prometheus.scrape_configs.find(({ job_name }: { job_name: string }) => job_name === 'engine');
  t.same(
    scraped.static_configs[0].targets,
    engines.map((name) => `${name}:8081`),
  );
});

t.test('an engine has a disk for its copies, and the time to hand its partitions over', async (t) => {
  for (const name of engines) {
    const { volumes, tmpfs, stop_grace_period = '' } = services[name]!;
    t.same(volumes, ['/tmp'], 'of this container alone');
    t.same(tmpfs, [], 'the copies take none of its memory');
    // Handover, release of the rest, the longest DEADLINE_MS with its second, settling.
    t.ok(Number.parseInt(stop_grace_period, 10) > 10 + 15 + 4 + 5, stop_grace_period);
  }
});

t.test('every service has bounds, a health check and files that are there', async (t) => {
  for (const [name, service] of entries) {
    t.ok(service.deploy?.resources.limits.cpus && service.deploy.resources.limits.memory, `${name} has limits`);
    const isChecked = service.healthcheck !== undefined || ours.some(([own]) => own === name);
    t.ok(isChecked, `${name} has a health check, or the image's`);
    for (const port of service.ports ?? []) t.match(port, /^(127\.0\.0\.1|\$\{PUBLISH:-127\.0\.0\.1\}):/, name);
    for (const [source = '', target] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
      if (target === undefined) continue;
      t.ok(source.startsWith('.') ? existsSync(join(folder, source)) : source in volumes, `${name}: ${source}`);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      t.ok(other in services, `${name} waits for ${other}`);
      t.equal(condition === 'service_completed_successfully', /^(migrate|nginx-config)$/.test(other), other);
    }
  }
  for (const [name, service] of ours) t.equal(service.read_only, true, `${name} cannot write its root`);
});
