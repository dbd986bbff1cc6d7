/** The generated documents: their paths in the repository, and what should stand in them. */
import { configurationDocument } from './configuration.js';
import { metricsDocument } from './metrics.js';

export async function generatedDocuments(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ['docs/configuration.md', configurationDocument()],
    ['docs/metrics.md', await metricsDocument()],
  ]);
}
