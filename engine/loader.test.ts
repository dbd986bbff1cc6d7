/** What the loader remembers not to be there. */
import t from 'tap';
import { EntryFlag, EntryKind, EntryStatus } from './core/slab.js';
import type { Lane, Reentry } from './lane.js';
import { Loader } from './loader.js';
import type { Loaded, Loads } from './loads.js';

t.test('what was not there is asked for again at once when the partition has a new worker', async (t) => {
  const settled = new Set<string>();
  let openings = 1;
  let nowMs = 0;
  const asked: string[][] = [];
  const loads = {
    hasNear: false,
    openingsOf: () => openings,
    async others(_target: unknown, _status: number, keys: readonly string[]): Promise<Loaded> {
      asked.push([...keys]);
      return { message: {}, found: new Set(keys.filter((key) => settled.has(key))), foreign: new Set() };
    },
  };
  const reentered: number[] = [];
  const lane = { reenter: ({ flags }: Reentry) => reentered.push(flags) } as unknown as Lane;
  const loader = new Loader(
    loads as unknown as Loads,
    () => nowMs,
    100,
    () => undefined,
  );
  const ask = async () => {
    const again: Reentry = { kind: EntryKind.native, flags: 0, arrivalMs: nowMs, bytes: Buffer.alloc(0), waiter: null };
    loader.load(lane, 0, { status: EntryStatus.needSeen, key: 'id' }, again);
    await new Promise((resolve) => setImmediate(resolve));
    return reentered.pop();
  };
  t.equal(await ask(), EntryFlag.seenAbsent);
  nowMs = 100;
  t.equal(await ask(), EntryFlag.seenAbsent);
  t.equal(asked.length, 1, 'remembered for a moment');
  // The message is decided and settled; then its worker dies.
  settled.add('id');
  openings = 2;
  t.equal(await ask(), 0, 'found: the repeat gets the first answer');
  t.equal(asked.length, 2);
});
