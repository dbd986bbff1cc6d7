/** `npm run docs`: writes the generated documents. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.js';
import { generatedDocuments } from './documents.js';

for (const [path, text] of await generatedDocuments()) await writeFile(join(repositoryRoot(), path), text);
// The parts of an API whose metrics were read keep timers.
process.exit(0);
