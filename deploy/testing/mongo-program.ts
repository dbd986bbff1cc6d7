/**
 * A program that speaks MongoDB's protocol, for tests: `mongod` on PATH, else deploy/dev-mongo built with Go (once,
 * about a minute; kept in .build-dev-mongo), else a MongoDB downloaded by mongodb-memory-server. Without any of them
 * this throws and says what to install: tests fail, they are never skipped.
 */
import { execFile } from 'node:child_process';
import { buildGoProgram } from './go-program.js';

export interface MongoProgram {
  readonly kind: 'mongod' | 'dev-mongo';
  readonly file: string;
}

/** Finds or makes the program. `log` reports what takes long. */
export async function findMongoProgram(log: (line: string) => void): Promise<MongoProgram> {
  if (await runs('mongod', ['--version'])) return { kind: 'mongod', file: 'mongod' };
  const refused: string[] = ['mongod is not on PATH'];
  if (await runs('go', ['version'])) {
    try {
      return { kind: 'dev-mongo', file: await buildGoProgram('deploy/dev-mongo', log) };
    } catch (error) {
      refused.push(messageOf(error));
    }
  } else {
    refused.push('go is not on PATH');
  }
  try {
    log('downloading MongoDB with mongodb-memory-server');
    const { MongoBinary } = await import('mongodb-memory-server-core');
    return { kind: 'mongod', file: await MongoBinary.getPath() };
  } catch (error) {
    refused.push(messageOf(error));
  }
  throw new Error(
    'no MongoDB-protocol server for the tests: set MONGODB_URI (deploy/compose.development.yaml starts one), or ' +
      'install mongod or Go.\n' +
      refused.join('\n'),
  );
}

/** Command line of a server on `port` of 127.0.0.1 that keeps its data in `folder`. */
export function mongoArguments(program: MongoProgram, port: number, folder: string): string[] {
  return program.kind === 'dev-mongo'
    ? [`127.0.0.1:${port}`, folder]
    : ['--bind_ip=127.0.0.1', `--port=${port}`, `--dbpath=${folder}`, '--nounixsocket', '--quiet'];
}

function runs(file: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => execFile(file, args, (error) => resolve(error === null)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
