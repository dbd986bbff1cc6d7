/**
 * A Redis Cluster of three primaries and one replica, as tests want it: the first primary has one, the others do not.
 */
import { findFreePort } from '../free-port.js';
import { tell, untilSays } from './redis-admin.js';
import { OwnRedis } from './test-redis.js';

/** Slots of each primary, from and to. */
const slots = [
  [0, 5460],
  [5461, 10922],
  [10923, 16383],
] as const;
/** Silent for so long a node is taken for dead: long enough for a busy machine. */
const nodeTimeoutMs = 2000;

export class RedisCluster {
  /** Primaries; the last one is the replica of the first. */
  readonly nodes: readonly OwnRedis[];
  readonly #password: string;

  private constructor(nodes: readonly OwnRedis[], password: string) {
    this.nodes = nodes;
    this.#password = password;
  }

  static async start(password: string): Promise<RedisCluster> {
    const nodes: OwnRedis[] = [];
    for (let count = 0; count <= slots.length; count++) {
      nodes.push(
        await OwnRedis.start([
          ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)],
          // Ten thousand above its port, as is usual, there may be no port.
          ...['--cluster-port', String(await findFreePort())],
          ...['--requirepass', password, '--masterauth', password, '--repl-diskless-sync-delay', '0'],
          ...['--cluster-allow-replica-migration', 'no'],
        ]),
      );
    }
    const cluster = new RedisCluster(nodes, password);
    await cluster.#meet();
    return cluster;
  }

  async #meet(): Promise<void> {
    const [first, ...others] = this.nodes as [OwnRedis, ...OwnRedis[]];
    const replica = others.at(-1)!;
    const ask = (node: OwnRedis, ...words: [string, ...string[]]) => tell(node, ['CLUSTER', ...words], this.#password);
    for (const [index, [from, to]] of slots.entries()) {
      await ask(this.nodes[index]!, 'ADDSLOTSRANGE', String(from), String(to));
      await ask(this.nodes[index]!, 'SET-CONFIG-EPOCH', String(index + 1));
    }
    const busOf = async (node: OwnRedis) => /:\d+@(\d+)/.exec(String(await ask(node, 'NODES')))![1]!;
    for (const node of others) await ask(first, 'MEET', '127.0.0.1', String(node.port), await busOf(node));
    for (const node of this.nodes) await this.#untilInfo(node, `cluster_known_nodes:${this.nodes.length}`);
    await ask(replica, 'REPLICATE', String(await ask(first, 'MYID')));
    await untilSays(replica, ['INFO', 'replication'], /master_link_status:up/, this.#password);
    for (const node of this.nodes) await this.#untilInfo(node, 'cluster_state:ok');
    // A primary that does not know its replica yet cannot announce it.
    for (const node of this.nodes) await untilSays(node, ['CLUSTER', 'NODES'], / (myself,)?slave /, this.#password);
  }

  get replica(): OwnRedis {
    return this.nodes.at(-1)!;
  }

  /** Waits until the replica has taken the place of the first primary, and the cluster answers for all slots again. */
  async failedOver(): Promise<void> {
    await untilSays(this.replica, ['INFO', 'replication'], /role:master/, this.#password);
    for (const node of this.nodes.slice(1)) await this.#untilInfo(node, 'cluster_state:ok');
  }

  /** Waits until the nodes that are left know that slots are missing. */
  async down(nodes: readonly OwnRedis[]): Promise<void> {
    for (const node of nodes) await this.#untilInfo(node, 'cluster_state:fail');
  }

  #untilInfo(node: OwnRedis, line: string): Promise<void> {
    return untilSays(node, ['CLUSTER', 'INFO'], new RegExp(line), this.#password);
  }

  get url(): string {
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',');
    return `redis+cluster://:${this.#password}@${hosts}`;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}
