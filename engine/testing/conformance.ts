/** Plays the simulator's stories in the words of every protocol, several at once, each with an account of its own. */
import type postgres from 'postgres';
import type { Test } from 'tap';
import { networkOf } from '../../bench/simulate/networks/index.js';
import type { Network } from '../../bench/simulate/networks/network.js';
import { Port } from '../../bench/simulate/networks/port.js';
import { play, refusalOf } from '../../bench/simulate/player.js';
import { protocolNames, type Story } from '../../bench/simulate/story.js';
import { loadStory, storyNames } from '../../bench/simulate/story-files.js';
import { sqlLedger } from '../../bench/testing/sql-ledger.js';
import { type EnginePlace, testPassword, testUser } from './engine-process.js';
import { testSeed } from './runs.js';
import { lithicSecret, marqetaSecret, stripeSecret } from './signing.js';

const credentials = { user: testUser, password: testPassword, marqetaSecret, lithicSecret, stripeSecret };
/** What an engine needs so that every protocol is open. */
export const protocolSecrets = {
  MARQETA_WEBHOOK_SECRET: marqetaSecret,
  LITHIC_SECRET: lithicSecret,
  STRIPE_SECRET: stripeSecret,
};
/** Stories at once: enough to fill batches, and few beside the tests that run at the same time. */
const playersAtOnce = 8;

export const conformanceStories: readonly Story[] = storyNames().map(loadStory);

/** Takes its messages to each of the engines in turn. */
class EachPort extends Port {
  readonly #ports: readonly Port[];
  #next = 0;

  constructor(urls: readonly string[]) {
    super(urls[0]!);
    this.#ports = urls.map((url) => new Port(url));
  }

  override post(...message: Parameters<Port['post']>): ReturnType<Port['post']> {
    return this.#ports[this.#next++ % this.#ports.length]!.post(...message);
  }
}

/** @param places of the engines on the database; with several, the messages of each life go to all of them in turn */
export async function playConformance(t: Test, sql: postgres.Sql, places: readonly EnginePlace[]): Promise<void> {
  const port = new EachPort(places.map(({ authPort }) => `http://127.0.0.1:${authPort}`));
  const ledger = sqlLedger(sql, places[0]!);
  const networks = protocolNames.map((protocol): Network => {
    const network = networkOf(protocol, port, credentials);
    if (typeof network === 'string') throw new Error(network);
    return network;
  });
  const todo = conformanceStories.flatMap((story) => networks.map((network) => ({ story, network })));
  const playAll = async () => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      const { story, network } = next;
      const name = `${story.name} in ${network.protocol}`;
      if (story.without[network.protocol] !== undefined) {
        t.comment(`${name}: ${refusalOf(story, network)}`);
        continue;
      }
      const trace: string[] = [];
      const { failures } = await play({ story, network, ledger, print: (line) => trace.push(line), seed: testSeed });
      if (failures.length > 0) t.comment(trace.join('\n'));
      t.same(failures, [], name);
    }
  };
  await Promise.all(Array.from({ length: playersAtOnce }, playAll));
}
