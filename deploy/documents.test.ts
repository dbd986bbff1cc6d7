/** The documents say what the code says: files, functions and names that they mention exist. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writePacket } from '../engine/feed/feed-packet.js';
import { repositoryRoot } from './repository-root.js';

const root = repositoryRoot();

/** Documents whose words in code font are held to the sources. */
const documents = [
  'docs/glossary.md',
  'docs/architecture.md',
  'docs/journal-format.md',
  'docs/feed-protocol.md',
  'docs/runbook.md',
  'docs/benchmarks.md',
  'docs/messages.md',
  'docs/limits.md',
  'docs/scale.md',
  'docs/deployment.md',
  'docs/dependencies.md',
  'docs/account-api.md',
  'docs/security.md',
  'docs/audit.md',
  'docs/simulator.md',
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...markdownIn('docs/protocols'),
  ...markdownIn('docs/adr'),
].filter((path) => existsSync(join(root, path)));

/** Folders that a command makes. */
const madeFolders = new Set(['bench/results/']);

/** Words of other programs, and of packages that we chose against. */
const foreignWords = new Set([
  'AUTH_STREAM_ACCESS',
  'keepalive_timeout',
  'pg_basebackup',
  'pg_restore',
  'nodejs_eventloop_lag_p99_seconds',
]);

function markdownIn(folder: string): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** The text without blocks of code, which show commands and bytes. */
function proseOf(path: string): string {
  return read(path).replace(/^```[\s\S]*?^```/gm, '');
}

const sources = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((path) => /\.(ts|sql|json|ya?ml|sh)$|^Makefile$/.test(path) && path !== 'package-lock.json')
  .filter((path) => existsSync(join(root, path)));

t.test('every file and folder that a document names exists', async (t) => {
  for (const document of documents) {
    for (const [, path = ''] of proseOf(document).matchAll(
      /`((?:engine|workers|api|platform|sql|bench|deploy|docs)\/[\w./-]*)`/g,
    )) {
      if (madeFolders.has(path)) continue;
      if (!existsSync(join(root, path))) t.fail(`${document} names ${path}, which does not exist`);
    }
  }
  t.ok(documents.length > 0, 'the walk finds the documents');
});

t.test('a function that a document names after a file is in that file', async (t) => {
  for (const document of documents) {
    for (const [, path = '', name = ''] of proseOf(document).matchAll(/`([\w/.-]+\.(?:ts|sql))`\s+`(\w+)\(\)`/g)) {
      const isThere = existsSync(join(root, path)) && new RegExp(`\\b${name}\\s*[(<]`).test(read(path));
      if (!isThere) t.fail(`${document} names ${name}() of ${path}, which is not there`);
    }
  }
  t.pass('walked');
});

t.test('every name in code font is a name in the sources', async (t) => {
  // The lists of metrics and variables are themselves held to the code.
  const lists = ['docs/metrics.md', 'docs/configuration.md'];
  const words = new Set([...sources, ...lists].flatMap((path) => read(path).match(/[A-Za-z_]\w+/g) ?? []));
  for (const document of documents) {
    // Names with an inner capital or an underscore: no plain word has one.
    for (const [, name = ''] of proseOf(document).matchAll(/`#?(\w*(?:_\w|[a-z][A-Z])\w*)(?:\(\))?`/g)) {
      if (!words.has(name) && !foreignWords.has(name)) t.fail(`${document} names ${name}, which no source has`);
    }
  }
  t.pass('walked');
});

t.test('every quote of a log, error or health line in the runbook is in the sources', async (t) => {
  // Long texts are put together from several literals.
  const texts = sources
    .filter((path) => path.endsWith('.ts') && !/\.(test|slow)\.ts$/.test(path))
    .map((path) => read(path).replace(/['`]\s*\+\s*['`]/g, ''))
    .join('\n');
  const prose = proseOf('docs/runbook.md').replace(/`[^`]*`/g, '');
  const quotes = [...prose.matchAll(/(?<!\*)\*([^*]+)\*(?!\*)/g)].map(([, quote]) => quote!);
  t.ok(quotes.length > 10, 'the runbook has quotes');
  for (const quote of quotes) {
    // An ellipsis or a number stands for what differs.
    for (const part of quote.replace(/\s+/g, ' ').split(/ ?…,? ?| N |: /)) {
      if (!texts.includes(part.trim())) t.fail(`the runbook quotes "${part.trim()}", which no source has`);
    }
  }
});

t.test('the documents use no word in a private sense, and the glossary stays short', async (t) => {
  // Assembled, so that the rule for the sources does not find this file.
  const dialect = new RegExp(
    `\\b(?:${['to' + 'ld', 'nobo' + 'dy', 'somebo' + 'dy', 'whoev' + 'er', 'strang' + 'er', 'an' + 'ew'].join(
      '|',
    )})s?\\b`,
    'i',
  );
  for (const document of documents) {
    // The file that an operator makes has that name.
    const found = dialect.exec(proseOf(document).replace(/begin[- ]an.w/gi, ''));
    t.equal(found?.[0], undefined, `${document}: name the component, with an active verb`);
  }
  t.ok(read('docs/glossary.md').split('\n').length <= 141, 'the glossary has at most 140 lines');
});

t.test('the heartbeat in the feed protocol is the one that the code writes', async (t) => {
  const shown = /```hex\n([\da-f ]+)\n```/.exec(read('docs/feed-protocol.md'))?.[1];
  const heartbeat = writePacket({ newest: 41, entries: [] });
  t.equal(shown, heartbeat.toString('hex').replace(/(..)(?=.)/g, '$1 '));
});

t.test('every decision is in the list and has each part of the template', async (t) => {
  const list = read('docs/adr/README.md');
  for (const path of markdownIn('docs/adr').filter((path) => !path.endsWith('README.md'))) {
    const text = read(path);
    const number = /(\d{4})-[^/]+\.md$/.exec(path)?.[1];
    t.match(text, new RegExp(`^# ${number} `), `${path} begins with its number`);
    t.ok(list.includes(`(${path.slice('docs/adr/'.length)})`), `${path} is in the list`);
    for (const part of ['Context', 'Options', 'Decision', 'Consequences', 'Reopen when', 'Guarded by']) {
      t.ok(text.includes(`\n## ${part}\n`), `${path} has the part ${part}`);
    }
  }
});
