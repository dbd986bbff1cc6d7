/**
 * A client whose types are made of the OpenAPI document, compiled, and run against the API that serves the document.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { seedDemo } from '../../deploy/demo.js';
import { repositoryRoot } from '../../deploy/repository-root.js';
import { startTestApi } from '../testing/api-inside.js';
import { typesOf } from '../testing/typed-client-types.js';

const root = repositoryRoot();
const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  module: 'nodenext',
  target: 'es2023',
  types: [],
  skipLibCheck: true,
};

interface Client {
  makeFrozenCard(
    baseUrl: string,
    email: string,
    password: string,
  ): Promise<{ card: { name: string; status: string }; status: string }>;
}

t.test('a typed client compiles without a cast, signs in, makes a card and freezes it', async (t) => {
  const api = await startTestApi(t, { engine: true });
  await seedDemo(api.sql);
  const { json } = await api.request('GET', '/api/openapi.json');
  // Inside the checkout, so that its packages are found.
  const folder = await mkdtemp(join(root, '.build-typed-client-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'api.ts'), await typesOf(root, json));
  await cp(join(root, 'api/testing/typed-client/client.ts'), join(folder, 'client.ts'));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['client.ts'] }));
  // Without the loaders that tap gives to every child process: the compiler does not start with them.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, tsc, '-p', folder];
  const compiled = await promisify(execFile)('env', command).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  t.equal(compiled.stdout + compiled.stderr, '', 'the client fits the document');
  const client = (await import(pathToFileURL(join(folder, 'client.js')).href)) as Client;
  const { card, status } = await client.makeFrozenCard(api.url, 'test@example.com', 'password123');
  t.match(card, { name: 'Made by a typed client', status: 'active' });
  t.equal(status, 'frozen');
});
