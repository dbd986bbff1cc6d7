/** What a scenario gets to work with, and the shapes that scenarios are written in. */

import type { OwnRedis } from '../../deploy/testing/test-redis.js';
import { lifeCycleTraffic } from '../load/life-cycle.js';
import { newIdPrefix } from '../load/load.js';
import type { LoadOptions, Pace } from '../load/options.js';
import type { TrafficPlan } from '../load/traffic.js';
import { type UniformOptions, uniformTraffic } from '../load/uniform.js';
import { type Measurement, measureLoad, type Target } from '../measure.js';
import type { RunningPeer } from '../peers/peers.js';
import type { Ends } from '../scratch.js';
import type { Stack } from '../stack.js';
import { alone } from './alone.js';
import { type Goal, isClean, type Sample, type ScenarioOutcome, type Series } from './figures.js';
import { sampleOf } from './sample.js';
import { untilSettled, untilWritten, withSettlingHeld } from './settled.js';

/** How large everything is. */
export interface Scale {
  /** `full` measures; `quick` is `make bench-quick`; `smoke` proves in a second or two that a scenario still runs. */
  readonly name: 'full' | 'quick' | 'smoke';
  readonly roundCount: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Accounts with one card each in the database. */
  readonly accountCount: number;
  readonly connectionCountMax: number;
}

export const scales: Readonly<Record<Scale['name'], Scale>> = {
  full: {
    name: 'full',
    roundCount: 3,
    warmUpMs: 800,
    durationMs: 3000,
    accountCount: 10_000,
    connectionCountMax: 10_000,
  },
  // All of it must end within two minutes, the starts included.
  quick: {
    name: 'quick',
    roundCount: 3,
    warmUpMs: 500,
    durationMs: 1800,
    accountCount: 10_000,
    connectionCountMax: 256,
  },
  smoke: { name: 'smoke', roundCount: 1, warmUpMs: 30, durationMs: 120, accountCount: 300, connectionCountMax: 64 },
};

/** So that no account runs dry: declines for funds would be another, shorter path. */
export const balanceMinor = 1_000_000_000_000;

export interface Bench {
  readonly scale: Scale;
  readonly stack: Stack;
  readonly log: (line: string) => void;
  /** What lives until the whole run is over. */
  readonly ends: Ends;
  /**
   * An engine with these variables beside its own, in a process of its own; a smoke run goes on with the one that runs
   * where it has them.
   */
  engineWith(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Both are started once, for the first scenario that asks. Null: there is no redis-server here. */
  redis(): Promise<OwnRedis | null>;
  peers(): Promise<readonly RunningPeer[]>;
}

/** One scenario: a small file with a name, run alone or with all others. */
export interface Scenario {
  readonly name: string;
  /** The question that it answers. */
  readonly title: string;
  /** How long it takes at full scale, about; for the remaining time. */
  readonly seconds: number;
  /** `warm`: it gets an engine that knows all cards. `any`: it starts the engines that it needs, or needs none. */
  readonly engine: 'warm' | 'any';
  run(bench: Bench): Promise<ScenarioOutcome>;
}

/** Fixed, so that every run sends the same cards and amounts at the same instants. */
const seed = 20_261_124;
export const path = '/v1/authorizations';

export interface LoadPlan {
  readonly pace: Pace;
  readonly connectionCount: number;
  readonly traffic: TrafficPlan;
  readonly durationMs?: number;
  readonly warmUpMs?: number;
  readonly requestCountMax?: number;
  readonly lagMsMax?: number;
}

/** Runs one load of a scenario against a server. */
export function measure(bench: Bench, target: Target, plan: LoadPlan): Promise<Measurement> {
  const { scale } = bench;
  const options: Omit<LoadOptions, 'host' | 'port'> = {
    threadCount: 1,
    warmUpMs: scale.warmUpMs,
    durationMs: scale.durationMs,
    requestCountMax: null,
    // Longer than every deadline: a timeout means that no answer came at all.
    timeoutMs: 5000,
    seed,
    ...plan,
    // A run that only proves that it can run may be late.
    ...(scale.name === 'smoke' ? { lagMsMax: 60_000 } : {}),
    connectionCount: Math.min(plan.connectionCount, scale.connectionCountMax),
  };
  return measureLoad(target, options);
}

/** Plain authorizations, cards all alike. */
export function plainTraffic(bench: Bench, options: Partial<UniformOptions> = {}): TrafficPlan {
  return uniformTraffic({
    path,
    credentials: bench.stack.credentials,
    kind: 'authorization',
    idPrefix: newIdPrefix('suite'),
    cardFirst: 1,
    cardCount: bench.scale.accountCount,
    cardsPerAccount: 1,
    cardOrder: 'random',
    amountMinorMin: 1000,
    amountMinorMax: 9999,
    answers: 'decision',
    ...options,
  });
}

/** Skewed cards and shops, amounts as people spend them; `all`: with clearings, reversals and the rest. */
export function realTraffic(bench: Bench, mix: 'all' | 'authorizations'): TrafficPlan {
  return lifeCycleTraffic({
    path,
    credentials: bench.stack.credentials,
    idPrefix: newIdPrefix('suite'),
    cardFirst: 1,
    cardCount: bench.scale.accountCount,
    cardSkew: 0.8,
    mix,
    unaffordableMinor: balanceMinor * 2,
  });
}

/** Of the card of account `number`, as `make seed` names it. */
export function cardToken(number: number): string {
  return `card_${String(number).padStart(6, '0')}_1`;
}

/** Asks about each of these cards once, as fast as answers come: the engine knows them afterwards. */
export function askOnce(
  bench: Bench,
  options: Partial<UniformOptions> = {},
  connectionCount = 64,
): Promise<Measurement> {
  const { cardCount = bench.scale.accountCount } = options;
  return measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench, { kind: 'balance_inquiry', cardOrder: 'sequence', ...options }),
    warmUpMs: 0,
    // The number of cards ends it.
    durationMs: askOnceMsMax,
    requestCountMax: cardCount,
  });
}

/** 10,000,000 cards, at 100 µs each and more than half as long again. */
const askOnceMsMax = 1_800_000;

/**
 * Makes an engine what it is after its first minute: every card known, its code compiled. To be called after each
 * start; what a start costs is asked by scenarios of its own.
 */
export async function warmUp(bench: Bench): Promise<void> {
  await askOnce(bench);
  if (bench.scale.name === 'smoke') return;
  // Twice: what was loaded too late for its deadline is known the second time.
  await askOnce(bench);
  await measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount: 64,
    traffic: plainTraffic(bench),
    warmUpMs: 0,
  });
}

/** Rates that a smoke run can serve beside a test suite. */
export function rate(bench: Bench, perSecond: number): Pace {
  return {
    kind: 'open',
    ratePerSecond: bench.scale.name === 'smoke' ? Math.min(perSecond, 500) : perSecond,
    arrivals: 'poisson',
  };
}

export interface Contender {
  readonly name: string;
  readonly control: boolean;
  /** False: the engine is frozen meanwhile, so that its settling does not slow down what stands beside it. */
  readonly needsEngine: boolean;
  run(): Promise<Sample>;
}

/** The engine under a load; `plan` is called each round, because ids must be new. */
export function engineContender(bench: Bench, name: string, plan: () => LoadPlan): Contender {
  const run = async () => sampleOf(await measure(bench, bench.stack.engine, plan()));
  return { name, control: false, needsEngine: true, run };
}

/** The bare echo under a load, with the engine frozen meanwhile. */
export function echoContender(bench: Bench, name: string, plan: () => LoadPlan): Contender {
  const run = async () => sampleOf(await measure(bench, bench.stack.echo, plan()));
  return { name, control: true, needsEngine: false, run };
}

/** The echo that syncs each message before it answers, with the engine frozen meanwhile. */
export function durableEchoContender(bench: Bench, name: string, plan: () => LoadPlan): Contender {
  const run = async () => sampleOf(await measure(bench, bench.stack.durableEcho, plan()));
  return { name, control: true, needsEngine: false, run };
}

/**
 * At a fixed rate: both echoes, and the engine with real authorizations while it settles and while settling is held
 * back. Each round of the engine begins with nothing to settle but what it decides itself: how long a backlog takes,
 * and what it costs, other scenarios ask.
 */
export function paced(bench: Bench, perSecond: number, connectionCount: number): Contender[] {
  const pace = rate(bench, perSecond);
  const echoed = () => ({ pace, connectionCount, traffic: plainTraffic(bench, { answers: 'echo' }) });
  const engine = engineContender(bench, pacedNames.engine, () => ({
    pace,
    connectionCount,
    traffic: realTraffic(bench, 'authorizations'),
  }));
  const settled = async () => {
    if (bench.scale.name === 'full') await untilSettled(bench.stack, bench.log);
  };
  return [
    echoContender(bench, pacedNames.echo, echoed),
    durableEchoContender(bench, pacedNames.durableEcho, echoed),
    {
      ...engine,
      async run() {
        await settled();
        return engine.run();
      },
    },
    {
      ...engine,
      name: pacedNames.engineHeldBack,
      async run() {
        await settled();
        if (bench.scale.name === 'full') await untilWritten();
        return withSettlingHeld(bench.stack, engine.run);
      },
    },
  ];
}

/** The series of `paced`. */
export const pacedNames = {
  echo: 'echo',
  durableEcho: 'durable echo',
  engine: 'engine',
  engineHeldBack: 'engine, settling held back',
} as const;

/** Round after round, all contenders in turn, so that a drifting machine hurts all alike. */
export async function alternate(
  bench: Bench,
  contenders: readonly Contender[],
  roundCount = bench.scale.roundCount,
): Promise<Series[]> {
  const samples = contenders.map(() => [] as Sample[]);
  for (let round = 1; round <= roundCount; round++) {
    for (const [index, contender] of contenders.entries()) {
      // A smoke run's figures are not read: it need not wait for a quiet machine.
      const sample =
        contender.needsEngine || bench.scale.name === 'smoke'
          ? await contender.run()
          : await alone(bench.stack, bench.log, () => contender.run());
      samples[index]!.push(sample);
      bench.log(`round ${round} of ${roundCount}, ${contender.name}: ${describe(sample)}`);
    }
  }
  return contenders.map(({ name, control }, index) => ({ name, control, samples: samples[index]! }));
}

export function describe({ figures, faults, invalid }: Sample): string {
  const { perSecond, p99Ms } = figures;
  return [
    perSecond === undefined ? '' : `${Math.round(perSecond)}/s`,
    p99Ms === undefined ? '' : `p99 ${p99Ms.toFixed(2)} ms`,
    ...faults,
    invalid === null ? '' : `INVALID: ${invalid}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/**
 * In how many rounds the engine did what is asked. A round that is invalid did not, nor one with faults: who turns half
 * of the callers away serves the others fast.
 */
export function goal(
  text: string,
  samples: readonly Sample[],
  isMet: (figures: Sample['figures'], round: number) => boolean,
): Goal {
  const metCount = samples.filter((sample, round) => isClean(sample) && isMet(sample.figures, round)).length;
  return { text, metCount, roundCount: samples.length };
}
