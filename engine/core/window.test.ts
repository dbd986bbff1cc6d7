import t from 'tap';
import { Accounts } from './accounts.js';
import { dayOfCivil, monthOf, samePeriod, weekOf, yearOf, Zone, zoneNamed } from './window.js';

const dayMs = 86_400_000;
const instant = (text: string): number => Date.parse(text);

t.test('months and years agree with Date for every day of 400 years', async (t) => {
  const wrong: number[] = [];
  for (let day = dayOfCivil(1770, 1, 1); day <= dayOfCivil(2170, 12, 31); day++) {
    const date = new Date(day * dayMs);
    const year = date.getUTCFullYear();
    const month = date.getUTCMonth();
    if (monthOf(day) !== year * 12 + month || yearOf(day) !== year) wrong.push(day);
    if (dayOfCivil(year, month + 1, date.getUTCDate()) !== day) wrong.push(day);
  }
  t.same(wrong, []);
});

t.test('weeks start on Monday', async (t) => {
  const wrong: number[] = [];
  for (let day = -80_000; day < 80_000; day++) {
    const startsWeek = new Date(day * dayMs).getUTCDay() === 1;
    if (weekOf(day) - weekOf(day - 1) !== (startsWeek ? 1 : 0)) wrong.push(day);
  }
  t.same(wrong, []);
});

t.test('a period differs from its neighbours at its edges', async (t) => {
  const day = dayOfCivil;
  const edges: ReadonlyArray<readonly [number, number, number]> = [
    [0, day(2026, 11, 23), day(2026, 11, 24)],
    [1, day(2026, 11, 22), day(2026, 11, 23)],
    [1, day(2027, 1, 3), day(2027, 1, 4)],
    [2, day(2026, 2, 28), day(2026, 3, 1)],
    [2, day(2024, 2, 29), day(2024, 3, 1)],
    [3, day(2026, 12, 31), day(2027, 1, 1)],
  ];
  for (const [window, last, first] of edges) {
    t.equal(first - last, 1);
    t.equal(samePeriod(window, last, first), false);
    t.equal(samePeriod(window, last, last), true);
  }
  // A week does not end with the year, a month of another year is another month, and a lifetime has no edge.
  t.equal(samePeriod(1, day(2026, 12, 31), day(2027, 1, 1)), true);
  t.equal(samePeriod(2, day(2026, 12, 31), day(2027, 12, 31)), false);
  t.equal(samePeriod(4, day(1970, 1, 1), day(2970, 1, 1)), true);
});

/** Local midnights that are worth knowing: [zone, first instant of the day, the day, hours it lasts]. */
const days: ReadonlyArray<readonly [string, string, string, number]> = [
  ['UTC', '2026-11-23T00:00:00Z', '2026-11-23', 24],
  ['Europe/Berlin', '2026-03-28T23:00:00Z', '2026-03-29', 23],
  ['Europe/Berlin', '2026-10-24T22:00:00Z', '2026-10-25', 25],
  ['America/New_York', '2026-03-08T05:00:00Z', '2026-03-08', 23],
  ['America/New_York', '2026-11-01T04:00:00Z', '2026-11-01', 25],
  ['Asia/Kolkata', '2026-11-22T18:30:00Z', '2026-11-23', 24],
  ['Australia/Lord_Howe', '2026-04-04T13:00:00Z', '2026-04-05', 24.5],
  ['Australia/Lord_Howe', '2026-10-03T13:30:00Z', '2026-10-04', 23.5],
  // Clocks go forward at midnight: the day starts at 01:00. They go back at midnight: 23:00 comes twice.
  ['America/Sao_Paulo', '2018-11-04T03:00:00Z', '2018-11-04', 23],
  ['America/Sao_Paulo', '2018-02-17T02:00:00Z', '2018-02-17', 25],
  // The day before Samoa changed sides of the date line; the 30th never was.
  ['Pacific/Apia', '2011-12-29T10:00:00Z', '2011-12-29', 24],
  ['Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-31', 24],
  // The longest days there are.
  ['Antarctica/Casey', '2020-03-07T13:00:00Z', '2020-03-08', 27],
];

t.test('a local day begins and ends to the millisecond through every change of clocks', async (t) => {
  for (const [name, start, date, hours] of days) {
    const first = instant(start);
    const last = first + hours * 3_600_000 - 1;
    const day = dayOfCivil(...(date.split('-').map(Number) as [number, number, number]));
    // Every order of asking: the cached interval must not depend on what was asked first.
    for (const order of [
      [first, last],
      [last, first],
      [(first + last) / 2, first, last],
    ]) {
      const zone = new Zone(name);
      for (const at of order) t.equal(zone.dayOf(at), day, `${name} ${date}`);
      t.not(zone.dayOf(first - 1), day, `${name} before ${date}`);
      t.equal(zone.dayOf(first), day);
      t.not(zone.dayOf(last + 1), day, `${name} after ${date}`);
      t.equal(zone.dayOf(last), day);
    }
  }
});

t.test('the day that Samoa skipped does not exist', async (t) => {
  const zone = new Zone('Pacific/Apia');
  const before = zone.dayOf(instant('2011-12-30T09:59:59.999Z'));
  const after = zone.dayOf(instant('2011-12-30T10:00:00Z'));
  t.equal(before, dayOfCivil(2011, 12, 29));
  t.equal(after, dayOfCivil(2011, 12, 31));
});

t.test('a fraction of a millisecond belongs to the local day of its instant', async (t) => {
  const zone = new Zone('Europe/Berlin');
  const midnight = instant('2026-11-22T23:00:00Z');
  t.equal(zone.dayOf(midnight - 0.25), dayOfCivil(2026, 11, 22));
  t.equal(zone.dayOf(midnight + 0.25), dayOfCivil(2026, 11, 23));
});

t.test('a zone is created once, and an unknown zone counts as UTC however many are requested', async (t) => {
  t.equal(zoneNamed('Europe/Berlin'), zoneNamed('Europe/Berlin'));
  t.throws(() => new Zone('Mars/Olympus'), RangeError);
  const accounts = new Accounts(1);
  const slot = accounts.open(1, 0, 0, 0, 0);
  accounts.describe(slot, 1, 0, 'Mars/Olympus', false, null);
  const midnight = instant('2026-11-23T00:00:00Z');
  t.equal(accounts.zone(slot).dayOf(midnight) - accounts.zone(slot).dayOf(midnight - 1), 1);
  // More names than there is room for, as a corrupt database might have: none of them may end the process.
  for (let index = 0; index < 1100; index++) t.equal(zoneNamed(`Mars/${index}`).name, 'UTC');
  t.equal(zoneNamed('UTC').name, 'UTC');
});
