/** The bill of materials names what package-lock.json installs for production, and nothing else. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from './repository-root.js';
import { bomOf, isUsed, type LockFile } from './sbom.js';

const read = async (name: string) => JSON.parse(await readFile(join(repositoryRoot(), name), 'utf8'));
const lock = (await read('package-lock.json')) as LockFile;
const manifest = (await read('package.json')) as Record<string, Record<string, string>>;

t.test('every production dependency is named with its version and hash, and no development one', async (t) => {
  const bom = bomOf(lock);
  for (const [folder, entry] of Object.entries(lock.packages)) {
    if (!isUsed(folder, entry)) continue;
    const name = entry.name ?? folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const found = bom.components.find((one) => one.name === name && one.version === entry.version);
    t.match(found, { hashes: [{ alg: 'SHA-512', content: /^[0-9a-f]{128}$/ }] }, folder);
  }
  const names = new Set(bom.components.map(({ name }) => name));
  t.notOk(names.has('tap'));
  t.notOk(names.has('@biomejs/biome'));
  t.ok(names.has('uwebsockets'), 'an alias is named by its real package');
});

t.test('the project depends on each direct dependency, and every reference names a component', async (t) => {
  const bom = bomOf(lock);
  const known = new Set([bom.metadata.component['bom-ref'], ...bom.components.map((one) => one['bom-ref'])]);
  t.equal(known.size, bom.components.length + 1, 'references are unique');
  for (const { ref, dependsOn } of bom.dependencies) for (const one of [ref, ...dependsOn]) t.ok(known.has(one), one);
  const direct = bom.dependencies.find(({ ref }) => ref === bom.metadata.component['bom-ref'])!;
  t.equal(direct.dependsOn.length, Object.keys(manifest['dependencies']!).length);
});

t.test('the same lock file gives the same bytes', async (t) => {
  t.equal(JSON.stringify(bomOf(lock)), JSON.stringify(bomOf(structuredClone(lock))));
});
