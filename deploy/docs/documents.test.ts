/** Generated documents are what the code says, and the words beside it are complete. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readApiConfig } from '../../api/config.js';
import { readEngineConfig } from '../../engine/config.js';
import { reasonTable } from '../../engine/core/reasons.js';
import { repositoryRoot } from '../repository-root.js';
import { apiRules, engineRules } from './configuration.js';
import { generatedDocuments } from './documents.js';
import { apiMetrics, engineMetrics } from './metrics.js';
import { reasonWords } from './reason-words.js';
import { completeSets, variableGroups } from './variable-words.js';

const read = (path: string) => readFileSync(join(repositoryRoot(), path), 'utf8');
const words = Object.assign(
  {},
  ...variableGroups.map(({ variables }) => variables),
) as (typeof variableGroups)[0]['variables'];

t.test('the committed documents are what npm run docs writes', async (t) => {
  for (const [path, text] of await generatedDocuments()) t.equal(read(path), text, `${path}: run npm run docs`);
});

t.test('every variable that the code reads is documented, and no other', async (t) => {
  const ofTools = readdirSync(join(repositoryRoot(), 'deploy'))
    .filter((name) => name.endsWith('.ts') && !/\.(test|slow)\.ts$/.test(name))
    .flatMap((name) => variablesIn(read(join('deploy', name))));
  t.ok(ofTools.includes('DEMO') && ofTools.includes('ACCOUNTS'), 'the walk finds the variables of tools');
  const inCode = new Set([...engineRules().keys(), ...apiRules().keys(), ...ofTools]);
  t.same(Object.keys(words).sort(), [...inCode].sort());
});

/** Names that a tool takes from its environment. */
function variablesIn(text: string): string[] {
  const patterns = [
    /\b(?:environment|env)\['([A-Z][A-Z_]+)'\]/g,
    /\b(?:environment|env), '([A-Z][A-Z_]+)'/g,
    /const \{([^}]+)\} = (?:environment|process\.env)\b/g,
  ];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].flatMap(([, names]) => names!.match(/\b[A-Z][A-Z_]+\b/g) ?? []),
  );
}

t.test('every reason is described', async (t) => {
  t.same(Object.keys(reasonWords).sort(), reasonTable.map(({ name }) => name).sort());
});

t.test('every metric that a variable names exists', async (t) => {
  const metrics = new Set([...engineMetrics(), ...apiMetrics()].map(({ name }) => name));
  for (const [name, { seen = [] }] of Object.entries(words)) {
    for (const metric of seen) t.ok(metrics.has(metric), `${name}: ${metric}`);
  }
});

t.test('the complete sets of variables start their processes', async (t) => {
  for (const { title, process, lines } of completeSets) {
    const environment = Object.fromEntries(
      lines
        .trim()
        .replaceAll('…', 'a-secret-of-at-least-thirty-two-bytes')
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    if (process === 'engine') readEngineConfig(environment, 2, 2 ** 16);
    else readApiConfig(environment, 2 ** 16);
    for (const name of Object.keys(environment)) t.ok(name in words, `${title}: ${name}`);
  }
});
