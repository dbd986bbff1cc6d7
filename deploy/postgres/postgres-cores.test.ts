import t from 'tap';
import { CoreDemand } from './postgres-cores.js';

/** @returns what a process that wants so much of a core for so long is found to be, second by second */
function looks() {
  let wantedMs = 0;
  const demand = new CoreDemand(wantedMs);
  return (share: number, seconds: number): boolean => {
    let isBusy = false;
    for (let second = 0; second < seconds; second++) {
      wantedMs += share * 1000;
      isBusy = demand.look(wantedMs, 1000);
    }
    return isBusy;
  };
}

t.test('a process that settles ordinary load and what a burst left keeps to half of the cores', async (t) => {
  const look = looks();
  t.equal(look(0.3, 60), false);
  t.equal(look(0.85, 12), false);
  t.equal(look(0.3, 60), false);
});

t.test('a process that lacks its core for long is busy until it wants less', async (t) => {
  const look = looks();
  t.equal(look(0.3, 60), false);
  t.equal(look(0.85, 40), true);
  t.equal(look(0.6, 60), true, 'on all cores it waits less');
  t.equal(look(0.3, 40), false);
});
