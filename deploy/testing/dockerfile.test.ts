/** The Dockerfile copies what is there, and leaves an image that needs no rights. `make image-check` runs its steps. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../repository-root.js';
import { type Instruction, parseDockerfile } from './dockerfile.js';

const root = repositoryRoot();
const stages = parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'));
const runtime = stages.at(-1)!;
const only = <K extends Instruction['kind']>(kind: K) =>
  runtime.instructions.filter((one): one is Extract<Instruction, { kind: K }> => one.kind === kind);
const ignored = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

t.test('every path that the Dockerfile copies is in the repository, and not ignored', async (t) => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n');
  let count = 0;
  for (const { instructions } of stages) {
    for (const one of instructions) {
      if (one.kind !== 'copy' || one.stage !== null) continue;
      for (const source of one.sources.filter((path) => path !== '.')) {
        count++;
        t.ok(
          tracked.some((path) => path === source || path.startsWith(`${source}/`)),
          source,
        );
        t.notOk(
          ignored.some((path) => source === path || source.startsWith(`${path}/`)),
          `${source} is not ignored`,
        );
      }
    }
  }
  t.ok(count >= 4, 'the walk finds copies');
});

t.test('what the compiled code reads beside itself is in the image', async (t) => {
  const sources = execFileSync('git', ['ls-files', 'sql', 'api', 'engine', 'workers', 'platform'], { cwd: root })
    .toString()
    .split('\n')
    .filter((path) => /(?<!\.(?:test|slow))\.ts$/.test(path) && !path.includes('/testing/'));
  const copied = only('copy').flatMap(({ sources: paths }) => paths);
  let count = 0;
  for (const path of sources) {
    for (const [, names = ''] of readFileSync(join(root, path), 'utf8').matchAll(
      /join\(repositoryRoot\(\), ([^)]*)\)/g,
    )) {
      count++;
      const folder = names.replaceAll("'", '').replaceAll(', ', '/');
      t.ok(copied.includes(folder), `${path} reads ${folder}`);
    }
  }
  t.ok(count >= 2, 'the walk finds readers');
});

t.test('the image runs as no one in particular, on the ports and programs that there are', async (t) => {
  t.equal(only('user').at(-1)?.value, '1000:1000');
  t.same(only('expose')[0]?.ports, [8080, 8081, 8082, 3000, 3001], 'the default ports of engine and API');
  t.same(only('entrypoint')[0]?.argv, ['node'], 'no shell and no wrapper is process 1');
  for (const [script = ''] of [only('cmd')[0]!.argv, only('healthcheck')[0]!.argv.slice(1)]) {
    t.ok(existsSync(join(root, script)), `${script} is compiled`);
    t.ok(existsSync(join(root, script.replace(/^dist\//, '').replace(/\.js$/, '.ts'))), script);
  }
  const documented = readFileSync(join(root, 'docs/configuration.md'), 'utf8');
  for (const { name } of only('env').filter(({ name }) => name !== 'NODE_ENV')) {
    t.ok(documented.includes(`### \`${name}\``), `${name} is a variable`);
  }
});

t.test('a step that image-check could not run is refused', async (t) => {
  for (const [text, message] of [
    ['FROM a AS b\nSHELL ["bash"]', /does not know: SHELL/],
    ['FROM a AS b\nCMD node x', /without a shell/],
    ['FROM a', /needs a name/],
    ['RUN x', /before the first FROM/],
  ] as const) {
    t.throws(() => parseDockerfile(text), { message });
  }
});
