/** The generated documents: their paths in the repository, and their content. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.js';
import { configurationDocument } from './configuration.js';
import { dashboardFiles } from './dashboards.js';
import { messagesDocument, readmeDocument } from './messages.js';
import { metricsDocument } from './metrics.js';

export async function generatedDocuments(): Promise<ReadonlyMap<string, string>> {
  const read = (path: string) => readFile(join(repositoryRoot(), path), 'utf8');
  return new Map([
    ['docs/configuration.md', configurationDocument()],
    ['docs/metrics.md', metricsDocument()],
    ['docs/messages.md', messagesDocument(await read('docs/messages.md'))],
    ['README.md', readmeDocument(await read('README.md'))],
    ...dashboardFiles(),
  ]);
}
