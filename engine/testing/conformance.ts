/** Plays the simulator's stories in the words of every protocol, several at once, each with an account of its own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type postgres from 'postgres';
import type { Test } from 'tap';
import { networkOf } from '../../bench/simulate/networks/index.js';
import type { Network } from '../../bench/simulate/networks/network.js';
import { Port } from '../../bench/simulate/networks/port.js';
import { play, refusalOf } from '../../bench/simulate/player.js';
import { protocolNames, type Story } from '../../bench/simulate/story.js';
import { loadStory, storyNames } from '../../bench/simulate/story-files.js';
import { type NamedCard, sqlLedger } from '../../bench/testing/sql-ledger.js';
import { type EnginePlace, testPassword, testUser } from './engine-process.js';
import { testFraming, testPackager, testPanToken } from './iso-client.js';
import { testSeed } from './runs.js';
import { lithicSecret, marqetaSecret, stripeSecret } from './signing.js';

const credentials = { user: testUser, password: testPassword, marqetaSecret, lithicSecret, stripeSecret };
/** What an engine needs so that every protocol is open. */
export const protocolSecrets = {
  MARQETA_WEBHOOK_SECRET: marqetaSecret,
  LITHIC_SECRET: lithicSecret,
  STRIPE_SECRET: stripeSecret,
};
/** Writes the settings of one link. @returns the variable that names them */
export function linkSettings(folder: string, port: number): { ISO8583_LINKS: string } {
  const file = join(folder, `links-${port}.json`);
  const partialApproval = { field: 60, position: 10, value: '1' };
  const link = { name: 'network', port, packager: testPackager, framing: testFraming, partialApproval };
  writeFileSync(file, JSON.stringify([link]));
  return { ISO8583_LINKS: file };
}

/** Messages of ISO 8583 name a card by its number, of a range that no network has. */
export function numberedCard(number: number): NamedCard {
  const said = `999999${String(number).padStart(10, '0')}`;
  return { token: testPanToken(said), said };
}

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
export async function playConformance(
  t: Test,
  sql: postgres.Sql,
  places: readonly EnginePlace[],
  linkPorts: readonly number[],
): Promise<void> {
  const port = new EachPort(places.map(({ authPort }) => `http://127.0.0.1:${authPort}`));
  const [ledger, numbered] = [sqlLedger(sql, places[0]!), sqlLedger(sql, places[0]!, numberedCard)];
  const links = { ports: linkPorts, tokenOf: testPanToken };
  const networks = protocolNames.map((protocol): Network => {
    const network = networkOf(protocol, port, credentials, links);
    if (typeof network === 'string') throw new Error(network);
    t.teardown(() => network.close?.());
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
      const books = network.protocol === 'iso8583' ? numbered : ledger;
      const { failures } = await play({
        story,
        network,
        ledger: books,
        print: (line) => trace.push(line),
        seed: testSeed,
      });
      if (failures.length > 0) t.comment(trace.join('\n'));
      t.same(failures, [], name);
    }
  };
  await Promise.all(Array.from({ length: playersAtOnce }, playAll));
}
