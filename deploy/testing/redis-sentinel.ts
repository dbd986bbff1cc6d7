/** A primary and two replicas behind three Sentinels, as tests want them: two failovers, a few seconds each. */
import { tell, untilSays } from './redis-admin.js';
import { OwnRedis } from './test-redis.js';

export const sentinelMaster = 'mymaster';
const replicaCount = 2;
const sentinelCount = 3;
/** Two of three agree that the primary is gone, and elect who promotes the replica. */
const quorum = 2;
/** Silent for so long it is taken for dead: long enough for a busy machine, and it may be wrong all the same. */
const downAfterMs = 1000;
const failoverMs = 3000;

export class RedisSentinel {
  readonly servers: readonly OwnRedis[];
  readonly sentinels: readonly OwnRedis[];
  readonly #password: string;

  private constructor(servers: readonly OwnRedis[], sentinels: readonly OwnRedis[], password: string) {
    this.servers = servers;
    this.sentinels = sentinels;
    this.#password = password;
  }

  /** @param password of the servers; the Sentinels have none */
  static async start(password: string): Promise<RedisSentinel> {
    const secret = ['--requirepass', password, '--masterauth', password, '--repl-diskless-sync-delay', '0'];
    const primary = await OwnRedis.start(secret);
    const servers = [primary];
    for (let count = 0; count < replicaCount; count++) {
      const replica = await OwnRedis.start([...secret, '--replicaof', `127.0.0.1 ${primary.port}`]);
      await untilSays(replica, ['INFO', 'replication'], /master_link_status:up/, password);
      servers.push(replica);
    }
    const config = [
      `sentinel monitor ${sentinelMaster} 127.0.0.1 ${primary.port} ${quorum}`,
      `sentinel auth-pass ${sentinelMaster} ${password}`,
      `sentinel down-after-milliseconds ${sentinelMaster} ${downAfterMs}`,
      `sentinel failover-timeout ${sentinelMaster} ${failoverMs}`,
    ];
    const sentinels: OwnRedis[] = [];
    for (let count = 0; count < sentinelCount; count++)
      sentinels.push(await OwnRedis.start(['--sentinel'], { config }));
    const known = new RegExp(`num-slaves,${replicaCount},.*num-other-sentinels,${sentinelCount - 1},`);
    for (const sentinel of sentinels) await untilSays(sentinel, ['SENTINEL', 'MASTER', sentinelMaster], known);
    return new RedisSentinel(servers, sentinels, password);
  }

  get url(): string {
    const hosts = this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
    return `redis+sentinel://:${this.#password}@${hosts}/${sentinelMaster}`;
  }

  /** The server that a Sentinel takes for the primary. */
  async primary(asked = this.sentinels[0]!): Promise<OwnRedis> {
    const [, port] = (await tell(asked, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', sentinelMaster])) as string[];
    return this.servers.find((server) => server.port === Number(port))!;
  }

  /** Waits until these Sentinels agree that another server is the primary now, and nothing is wrong with it. */
  async failedOver(from: OwnRedis, sentinels = this.sentinels): Promise<void> {
    const agreed = new RegExp(`^name,${sentinelMaster},ip,127.0.0.1,port,(?!${from.port},).*,flags,master,`);
    for (const sentinel of sentinels) await untilSays(sentinel, ['SENTINEL', 'MASTER', sentinelMaster], agreed);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
  }
}
