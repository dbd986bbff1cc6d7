/** Collections of the personal store with their validators and indexes: the JSON files in sql/mongo. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from './repository-root.js';

export interface MongoIndex {
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly name: string;
  readonly unique?: boolean;
  readonly sparse?: boolean;
}

export interface MongoSchema {
  readonly collection: string;
  readonly indexes: readonly MongoIndex[];
  readonly validator: Readonly<Record<string, unknown>>;
}

export async function readMongoSchemas(): Promise<MongoSchema[]> {
  const folder = join(repositoryRoot(), 'sql', 'mongo');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as MongoSchema));
}
