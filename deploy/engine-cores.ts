/**
 * Keeps the threads of an engine that answer on the cores that a Postgres in the background leaves free (see
 * postgres-priority.ts), and all its other threads beside Postgres.
 *
 * Linux wakes a thread on a free core where it finds one. A core that runs nothing but idle tasks counts as free. But
 * by session even an idle task keeps its core until the next tick, 4 ms at 250 a second. In a trace at 5,000
 * authorizations a second the worker waited 3 % of the time for the core that Postgres had, while the other was free.
 * The threads that compile and settle, which rank as high as those that answer, did the same for some milliseconds.
 *
 * A load that the free half cannot carry gets all cores: then speed counts, and each core is busy anyway.
 */
import { readdirSync } from 'node:fs';
import { allowedCores, setCores } from './postgres/postgres-cores.js';
import { backgroundCores, coresOf, readOrNothing } from './postgres/postgres-priority.js';

/** How often threads are looked at. */
const lookMsDefault = 1_000;
/** The first seconds of a start compile, and take what they get. */
const calmLooksMin = 3;
/**
 * Each time that the half was not enough, twice as many calm looks are asked for. Where another program uses the half,
 * threads would otherwise go to and fro every few seconds.
 */
const calmLooksMax = 60;
/**
 * Share of the half that answering may take. At 20,000 authorizations a second on one core it took 0.7, and waited less
 * than on two. In a closed loop it took 0.98, and two cores served a tenth more.
 */
const ranShareMax = 0.85;
/** From there on the half is enough again. */
const calmRanShareMax = 0.75;
/** A thread that ran or waited for a core all the time lacks one: another program is on the half. */
const wantedShareMax = 0.95;
/** A thread names itself once its modules are loaded. Until then it has the name of Node.js, as its helpers have. */
const looksUntilNamed = 60;
/** As threads of ours name themselves, and those of them that answer, but for the main thread. */
const ourName = /^afc-/;
const answeringName = /^afc-(front|worker|syncer)(-|$)/;

/** What the threads that answer took in the time between two looks. */
export interface AnsweringDemand {
  /** For how long they ran, all together, as a share of the cores of the half. */
  readonly ranShare: number;
  /** For how long the one of them that wanted most ran or waited for a core, as a share of the time. */
  readonly wantedShareMax: number;
}

/** Whether half of the cores is enough for the threads that answer. */
export class HalfOfCores {
  #calmLooks = 0;
  #calmLooksMin = calmLooksMin;
  #isEnough = false;

  look({ ranShare, wantedShareMax: wanted }: AnsweringDemand): boolean {
    const isCalm = ranShare <= (this.#isEnough ? ranShareMax : calmRanShareMax) && wanted <= wantedShareMax;
    if (this.#isEnough && !isCalm) this.#calmLooksMin = Math.min(2 * this.#calmLooksMin, calmLooksMax);
    this.#calmLooks = isCalm ? this.#calmLooks + 1 : 0;
    if (this.#calmLooks > calmLooksMax) this.#calmLooksMin = calmLooksMin;
    this.#isEnough = isCalm && (this.#isEnough || this.#calmLooks >= this.#calmLooksMin);
    return this.#isEnough;
  }
}

interface WatchedThread {
  readonly id: string;
  looks: number;
  isNamed: boolean;
  isAnswering: boolean;
  /** That it was last given; '' for a new thread, which has those of the one that made it. */
  cores: string;
  ranMs: number;
  wantedMs: number;
}

/**
 * @param enginePid null: none runs now
 * @returns ends it, and gives the threads all cores again
 */
export async function keepAnswersApart(
  enginePid: () => number | null,
  lookMs = lookMsDefault,
): Promise<() => Promise<void>> {
  const behind = await backgroundCores();
  const all = coresOf(allowedCores('self'));
  const free = all.filter((core) => !behind.includes(core));
  // Postgres is not kept to a half, or there is only one core.
  if (behind.length === 0 || free.length === 0) return async () => undefined;
  const cores = { all: all.join(','), free: free.join(','), behind: behind.join(',') };
  let watch: EngineThreads | null = null;
  const timer = setInterval(() => {
    const pid = enginePid();
    if (pid !== watch?.pid) watch = pid === null ? null : new EngineThreads(pid, cores, free.length);
    watch?.look();
  }, lookMs).unref();
  return async () => {
    clearInterval(timer);
    await watch?.end();
  };
}

const newThread = { looks: 0, isNamed: false, isAnswering: false, ranMs: 0, wantedMs: 0 } as const;

/** Lists of cores, as Linux writes them. */
interface CoreLists {
  readonly all: string;
  readonly free: string;
  readonly behind: string;
}

class EngineThreads {
  readonly pid: number;
  readonly #cores: CoreLists;
  readonly #freeCount: number;
  readonly #half = new HalfOfCores();
  #threads = new Map<string, WatchedThread>();
  #lookedAtMs = performance.now();
  #moving: Promise<void> | null = null;

  constructor(pid: number, cores: CoreLists, freeCount: number) {
    this.pid = pid;
    this.#cores = cores;
    this.#freeCount = freeCount;
  }

  look(): void {
    const nowMs = performance.now();
    const demand = this.#demand(nowMs - this.#lookedAtMs);
    this.#lookedAtMs = nowMs;
    const isEnough = this.#half.look(demand);
    this.#moving ??= this.#move(isEnough).finally(() => {
      this.#moving = null;
    });
  }

  async end(): Promise<void> {
    await this.#moving;
    await this.#move(false);
  }

  #demand(elapsedMs: number): AnsweringDemand {
    const before = this.#threads;
    const cores = before.size === 0 ? this.#cores.all : '';
    this.#threads = new Map();
    let ranMs = 0;
    let wantedMsMax = 0;
    for (const id of threadsOf(this.pid)) {
      const thread = before.get(id) ?? { ...newThread, id, cores };
      this.#threads.set(id, thread);
      const isNew = thread.looks === 0;
      if (!thread.isNamed && thread.looks < looksUntilNamed) this.#readName(thread);
      thread.looks++;
      if (!thread.isAnswering) continue;
      const { ranMs: ranBefore, wantedMs: wantedBefore } = thread;
      Object.assign(thread, timesOf(this.pid, id));
      if (isNew) continue;
      ranMs += thread.ranMs - ranBefore;
      wantedMsMax = Math.max(wantedMsMax, thread.wantedMs - wantedBefore);
    }
    // A kernel that keeps no such times: the threads may need any number of cores.
    if (this.#threads.get(String(this.pid))?.ranMs === 0) return { ranShare: 1, wantedShareMax: 1 };
    return { ranShare: ranMs / elapsedMs / this.#freeCount, wantedShareMax: wantedMsMax / elapsedMs };
  }

  #readName(thread: WatchedThread): void {
    const name = readOrNothing(`/proc/${this.pid}/task/${thread.id}/comm`);
    const isMain = thread.id === String(this.pid);
    thread.isNamed = isMain || ourName.test(name);
    thread.isAnswering = isMain || answeringName.test(name);
  }

  /** One after the other: a dozen programs at once would take the cores from the threads that answer. */
  async #move(isEnough: boolean): Promise<void> {
    const { all, free, behind } = this.#cores;
    for (const thread of this.#threads.values()) {
      const wanted = !isEnough ? all : thread.isAnswering ? free : behind;
      if (thread.cores === wanted) continue;
      // It has ended, or the machine is full: the next look tries the rest.
      if (!(await setCores(thread.id, wanted))) return;
      thread.cores = wanted;
    }
  }
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** For how long a thread ran, and ran or waited for a core, since it began, milliseconds. */
function timesOf(pid: number, id: string): Pick<WatchedThread, 'ranMs' | 'wantedMs'> {
  const [ranNs = 0, waitedNs = 0] = readOrNothing(`/proc/${pid}/task/${id}/schedstat`).split(' ').map(Number);
  return { ranMs: ranNs / 1e6, wantedMs: (ranNs + waitedNs) / 1e6 };
}
