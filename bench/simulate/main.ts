#!/usr/bin/env node
/** `atlantic-simulate`: plays a card network against an engine. The exit code tells. */
import { SettingError } from '../../deploy/settings.js';
import { reasonTable } from '../../engine/core/reasons.js';
import { PanKeys } from '../../platform/masking/hidden-ids.js';
import { ApiLedger, GivenLedger } from './api-ledger.js';
import { type Command, help, readCommand, type SendCommand, UsageError } from './command-line.js';
import { playLoad } from './load.js';
import { networkOf } from './networks/index.js';
import type { Network } from './networks/network.js';
import { CredentialsRefused, EngineUnreachable, Port } from './networks/port.js';
import { type Places, readPlaces } from './places.js';
import { play } from './player.js';
import { type ProtocolName, StoryError } from './story.js';
import { loadStory, storyNames } from './story-files.js';
import { messageLine } from './trace.js';
import { explain, listStories } from './words.js';

const exitCodes = { asExpected: 0, unexpected: 1, wrong: 2, unreachable: 3 } as const;
/** The card of the demo data, for single messages. */
const demoCard = 'card_demo';

const print = (line: string) => process.stdout.write(`${line}\n`);

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(readCommand(args));
  } catch (error) {
    if (error instanceof EngineUnreachable) {
      process.stderr.write(`${error.message}; start a stack (make run), or name its URLs (--help)\n`);
      return exitCodes.unreachable;
    }
    if (error instanceof CredentialsRefused) {
      process.stderr.write(
        `${error.message}: give it the passwords and secrets of the engine, by the environment or DATA_DIR (--help)\n`,
      );
      return exitCodes.wrong;
    }
    if (error instanceof UsageError || error instanceof StoryError || error instanceof SettingError) {
      process.stderr.write(`${error.message}\n`);
      return exitCodes.wrong;
    }
    throw error;
  }
}

async function run(command: Command): Promise<number> {
  switch (command.kind) {
    case 'help':
      print(help);
      return exitCodes.asExpected;
    case 'list':
      for (const line of listStories()) print(line);
      return exitCodes.asExpected;
    case 'explain':
      for (const line of explain(command.what)) print(line);
      return exitCodes.asExpected;
    case 'story':
      return playStories(command, command.stories);
    case 'send':
      return send(command);
    case 'load':
      return load(command);
  }
}

function network(protocol: ProtocolName, command: Command, { authUrl, credentials, panKeys }: Places): Network {
  const tokenOf = (pan: string) => (panKeys.length === 0 ? '' : new PanKeys(panKeys).panTokens(pan)[0]!);
  const links = command.isoPort === null ? null : { ports: [command.isoPort], tokenOf };
  const made = networkOf(protocol, new Port(authUrl), credentials, links);
  if (typeof made === 'string') throw new UsageError(`${protocol} cannot be played: ${made}`);
  return made;
}

/** By what messages name the given card: on an ISO 8583 link its number, which no argument may show. */
function cardOf({ card, protocols }: Command): string | null {
  if (!protocols.includes('iso8583')) return card;
  const { CARD_NUMBER } = process.env;
  if (!/^[0-9]{12,19}$/.test(CARD_NUMBER ?? '')) {
    throw new UsageError(
      'iso8583 needs a card whose token comes from its number: npm run pan-tokens prints it (PAN_KEY as the engine ' +
        'has it), and update cards set token = … gives it to a card of the account API. Then set CARD_NUMBER and ' +
        '--account (docs/simulator.md#a-card-for-iso-8583)',
    );
  }
  return CARD_NUMBER!;
}

function ledgerOf(command: Command, places: Places): ApiLedger {
  const { account } = command;
  const card = cardOf(command);
  if (card === null && account === null) return new ApiLedger(places);
  if (card === null || account === null) throw new UsageError('--card and --account go together');
  return new GivenLedger(places, account, card);
}

async function playStories(command: Command, names: readonly string[]): Promise<number> {
  const places = readPlaces(command, process.env);
  // Every story is read before the first message.
  const stories = names.flatMap((name) => (name === 'all' ? storyNames() : [name])).map(loadStory);
  const networks = command.protocols.map((protocol) => network(protocol, command, places));
  const ledger = ledgerOf(command, places);
  const failures: string[] = [];
  let playedCount = 0;
  for (const story of stories) {
    for (const by of networks) {
      const played = await play({ story, network: by, ledger, print, seed: command.seed });
      for (const failure of played.failures) failures.push(`${story.name} in ${by.protocol}: ${failure}`);
      print(played.failures.length === 0 ? '  as expected\n' : `  ${played.failures.length} not as expected\n`);
      playedCount++;
    }
  }
  for (const by of networks) await by.close?.();
  for (const failure of failures) print(`✗ ${failure}`);
  print(`${playedCount} played, ${failures.length} not as expected (--seed ${command.seed})`);
  return failures.length === 0 ? exitCodes.asExpected : exitCodes.unexpected;
}

async function send(command: Command & SendCommand): Promise<number> {
  const places = readPlaces(command, process.env);
  let isExpected = true;
  for (const protocol of command.protocols) {
    const by = network(protocol, command, places);
    const refusal = by.refuses(command.say);
    if (refusal !== null) throw new StoryError(refusal);
    const life = by.open({
      ...{ card: cardOf(command) ?? demoCard, channel: 'chip', currency: 'USD', id: command.of ?? undefined },
      merchant: { id: 'SHOP00000000042', name: 'Corner Grocer', mcc: '5411', country: 'US' },
    });
    const startedMs = performance.now();
    const answer = await life.play(command.say, async (message) => {
      const sentMs = performance.now();
      const answer = await message.send();
      const durationMs = performance.now() - sentMs;
      print(messageLine({ atMs: sentMs - startedMs, durationMs, life: '', message, answer, times: 1 }));
      if (!message.isQuestion && answer.status !== 200) isExpected = false;
      return answer;
    });
    await by.close?.();
    print(`  go on with --of ${life.id}`);
    if (answer === null || command.expect === null) continue;
    const { expect } = command;
    const isReason = reasonTable.some(({ name }) => name === expect && name !== 'approved');
    if (!isReason && expect !== 'approved' && expect !== 'declined') {
      throw new UsageError(`--expect must be approved, declined or a reason, not ${expect}`);
    }
    if (isReason ? !by.isReason(answer, expect) : answer.approved !== (expect === 'approved')) {
      print(`✗ expected ${expect}: the answer was ${answer.status} ${answer.words}`);
      isExpected = false;
    }
  }
  return isExpected ? exitCodes.asExpected : exitCodes.unexpected;
}

async function load(command: Command & { kind: 'load' }): Promise<number> {
  const places = readPlaces(command, process.env);
  if (cardOf(command) !== null) throw new UsageError('load makes its own cards, by their tokens: leave --card out');
  let isExpected = true;
  for (const protocol of command.protocols) {
    const result = await playLoad(network(protocol, command, places), new ApiLedger(places), command.plan);
    for (const line of result.lines) print(line);
    print(`repeat it with --seed ${command.seed}\n`);
    if (result.failures.length > 0) isExpected = false;
  }
  return isExpected ? exitCodes.asExpected : exitCodes.unexpected;
}
