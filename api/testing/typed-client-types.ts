/** The types of the API's clients, made of its OpenAPI document by openapi-typescript. */
import { createRequire } from 'node:module';
import { join } from 'node:path';

interface Generator {
  default(document: object): Promise<unknown>;
  astToString(ast: unknown): string;
}

/** openapi-typescript needs TypeScript 5, which is installed beside it alone: it is found from its own package. */
export async function typesOf(root: string, document: object): Promise<string> {
  const require = createRequire(join(root, 'api/testing/typed-client/package.json'));
  const generator = require('openapi-typescript') as Generator;
  return generator.astToString(await generator.default(document));
}
