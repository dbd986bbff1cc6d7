import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { dayOfCivil, nextPeriodDay, samePeriod, Zone } from './window.js';

/** The obvious way: ask Intl for the date, every time. */
function obviousDay(name: string): (instantMs: number) => number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short' });
  return (instantMs) => {
    const [year, month, day] = format.format(instantMs).split('-').map(Number);
    return dayOfCivil(year!, month!, day!);
  };
}

const someZones = [
  ...['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Pacific/Apia', 'America/Sao_Paulo'],
  ...['Australia/Lord_Howe', 'Pacific/Kiritimati', 'America/St_Johns', 'Antarctica/Casey', 'Africa/Cairo'],
];
/**
 * No zone has set its clock back over midnight since Newfoundland in November 2010; before, a day could be two
 * intervals.
 */
const from = Date.UTC(2011, 0, 1);
const to = Date.UTC(2060, 0, 1);

const instants = fc.array(
  fc.oneof(
    fc.integer({ min: from, max: to }),
    // Near a midnight and near the hours in which clocks are changed, where mistakes live.
    fc
      .tuple(
        fc.integer({ min: from / 86_400_000, max: to / 86_400_000 }),
        fc.integer({ min: -3, max: 27 }),
        fc.integer({ min: -2, max: 2 }),
      )
      .map(([day, hour, ms]) => day * 86_400_000 + hour * 3_600_000 + ms),
  ),
  { minLength: 1, maxLength: 12 },
);

t.test('the local day equals that of Intl for any instants in any order', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...someZones), instants, (name, list) => {
      const zone = new Zone(name);
      const obvious = obviousDay(name);
      for (const at of list) {
        if (zone.dayOf(at) !== obvious(at)) throw new Error(`${name} at ${new Date(at).toISOString()}`);
      }
    }),
    runs(150),
  );
});

t.test('the local day of an instant does not depend on earlier lookups', async () => {
  const zones = new Map(someZones.map((name) => [name, new Zone(name)]));
  fc.assert(
    fc.property(fc.constantFrom(...someZones), fc.integer({ min: from, max: to }), (name, at) => {
      const day = zones.get(name)!.dayOf(at);
      return day === new Zone(name).dayOf(at) && day === zones.get(name)!.dayOf(at);
    }),
    runs(100),
  );
});

t.test('a local day begins at its first instant', async () => {
  fc.assert(
    fc.property(fc.constantFrom(...someZones), fc.integer({ min: from, max: to }), (name, instantMs) => {
      const zone = new Zone(name);
      const day = zone.dayOf(instantMs);
      const start = zone.startOf(day);
      return start <= instantMs && zone.dayOf(start) === day && zone.dayOf(start - 1) < day;
    }),
    runs(300),
  );
});

t.test('the next period begins on the first day after the current one', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: -1000, max: 60_000 }), fc.integer({ min: 0, max: 3 }), (day, index) => {
      const next = nextPeriodDay(index, day)!;
      return next > day && !samePeriod(index, day, next) && samePeriod(index, day, next - 1);
    }),
    runs(1000),
  );
  t.equal(nextPeriodDay(4, 20_000), null, 'a lifetime has no next period');
});
