/** `make sbom`: writes sbom.cdx.json beside package-lock.json. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from './repository-root.js';
import { bomOf, type LockFile } from './sbom.js';

const root = repositoryRoot();
const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as LockFile;
const bom = bomOf(lock);
const path = join(root, 'sbom.cdx.json');
await writeFile(path, `${JSON.stringify(bom, null, 2)}\n`);
console.log(`${path}: ${bom.components.length} components`);
