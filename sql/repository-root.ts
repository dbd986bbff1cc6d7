/**
 * Where the checkout is. Compiled code runs one level below the root in `dist/` (or another output folder). So files
 * that the compiler does not copy (SQL, package.json) are found by walking up, not by a fixed number of steps.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds package.json, absolute. Throws when there is none above this file. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('no package.json above the compiled code: run it from a checkout');
    folder = parent;
  }
  return folder;
}
