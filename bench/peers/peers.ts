/**
 * The peers: other ways to authorize a card, small and as fair as we can make them, so that the engine's figures stand
 * beside something. Every one reads the same message, checks the same password, repeats an answer, and refuses an id of
 * another message. It never overspends, keeps merchant and amount, and passes the same conformance test.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findFreePort } from '../../deploy/free-port.js';
import { OwnRedis } from '../../deploy/testing/test-redis.js';
import { type ServerProcess, startServerProcess } from '../server-process.js';
import { FunctionPeer } from './postgres-function.js';
import { connectPeer, createPeerTables, postgresSyncPolicy } from './postgres-schema.js';
import { RedisPeer } from './redis-lua.js';

export const peerNames = ['fastify-postgres', 'postgres-function', 'redis-always', 'redis-everysec'] as const;
export type PeerName = (typeof peerNames)[number];

/** What a reader must know to weigh a peer's figure. */
export const peerDescriptions: Record<PeerName, { readonly work: string; readonly durability: string }> = {
  'fastify-postgres': {
    work: 'Fastify; one transaction per authorization: lock the row, look for the id, update, insert, commit',
    durability: 'equal: commits are synced before the answer',
  },
  'postgres-function': {
    work: 'uWebSockets.js; one PL/pgSQL function call per authorization',
    durability: 'equal: commits are synced before the answer',
  },
  'redis-always': {
    work: 'uWebSockets.js; one Lua script per authorization, pipelined',
    durability: 'equal: appendfsync always, synced before the answer',
  },
  'redis-everysec': {
    work: 'uWebSockets.js; one Lua script per authorization, pipelined',
    durability: 'less: appendfsync everysec, a crash of the machine loses up to a second of approvals',
  },
};

export interface RunningPeer extends ServerProcess {
  readonly name: PeerName;
  readonly port: number;
  /** Of the database behind it, for its CPU; null when it is not ours. */
  readonly storePid: number | null;
}

export interface PeerOptions {
  /** A folder on a real disk, for logs and Redis's file. */
  readonly dataDir: string;
  /** A durable Postgres that does not run at low priority; the peers make a schema of their own in it. */
  readonly databaseUrl: string;
  readonly databasePid: number | null;
  /** The peer's own schema; emptied at the start. Default: `peer`. */
  readonly schema?: string;
  readonly cardCount: number;
  readonly balanceMinor: number;
  readonly credentials: { readonly user: string; readonly password: string };
}

const schemaDefault = 'peer';

export async function startPeer(name: PeerName, options: PeerOptions): Promise<RunningPeer> {
  const store = await startStore(name, options);
  try {
    const port = await findFreePort();
    const server = await startServerProcess({
      name,
      module: new URL('./serve.js', import.meta.url),
      args: [name === 'fastify-postgres' ? 'fastify' : name === 'postgres-function' ? 'function' : 'redis'],
      env: {
        PEER_PORT: String(port),
        PEER_USER: options.credentials.user,
        PEER_PASSWORD: options.credentials.password,
        PEER_STORE_URL: store.url,
        PEER_SCHEMA: options.schema ?? schemaDefault,
      },
      logFile: join(options.dataDir, `${name}.log`),
      isReady: async (logged) => logged.includes('listening'),
    });
    const stop = async () => {
      await server.stop();
      await store.stop();
    };
    return { ...server, name, port, storePid: store.pid, stop };
  } catch (error) {
    await store.stop();
    throw error;
  }
}

/**
 * A peer that syncs less than its description says would make every comparison a lie: ask the store, do not believe.
 */
function expectDurability(name: PeerName, actual: string, expected: string): void {
  if (actual !== expected)
    throw new Error(`${name} must be as durable as "${expected}", and its store says "${actual}"`);
}

interface Store {
  readonly url: string;
  readonly pid: number | null;
  stop(): Promise<void>;
}

async function startStore(name: PeerName, options: PeerOptions): Promise<Store> {
  const { cardCount, balanceMinor, databaseUrl, schema = schemaDefault } = options;
  if (name === 'redis-always' || name === 'redis-everysec') {
    const dir = join(options.dataDir, name);
    await mkdir(dir, { recursive: true });
    const fsync = name === 'redis-always' ? 'always' : 'everysec';
    const redis = await OwnRedis.start(['--appendonly', 'yes', '--appendfsync', fsync, '--dir', dir]);
    const peer = new RedisPeer(redis.url);
    try {
      expectDurability(name, await peer.syncPolicy(), fsync);
      await peer.prepare(cardCount, balanceMinor);
    } catch (error) {
      await redis.stop();
      throw error;
    } finally {
      await peer.close();
    }
    return { url: redis.url, pid: redis.pid, stop: () => redis.stop() };
  }
  const sql = connectPeer(databaseUrl, schema);
  try {
    // A database that is not ours is a test's, which does not sync.
    if (options.databasePid !== null) expectDurability(name, await postgresSyncPolicy(sql), 'fsync on, commit on');
    await createPeerTables(sql, schema, cardCount, balanceMinor);
  } finally {
    await sql.end({ timeout: 5 });
  }
  if (name === 'postgres-function') {
    const peer = new FunctionPeer(databaseUrl, schema);
    await peer.prepare();
    await peer.close();
  }
  return { url: databaseUrl, pid: options.databasePid, stop: async () => undefined };
}
