/** The front's side of the shipper when its thread is gone: every call is answered, and none waits for ever. */
import t from 'tap';
import { createLog } from '../../platform/log.js';
import { readEngineConfig } from '../config.js';
import { createProgress } from '../exchange/progress.js';
import { ShipperClient } from './shipper-client.js';

const config = readEngineConfig({
  DATABASE_URL: 'postgres://127.0.0.1:1/none',
  PROCESSOR_USER: 'processor',
  PROCESSOR_PASSWORD: 'a-password-of-tests',
  ENGINE_TOKEN: 'a-token-of-the-tests',
  PAN_KEY: 'a-key-of-the-tests',
});

const fence = { scope: 'ledger', epoch: 1, holder: '00000000-0000-0000-0000-000000000000' };

t.test('no call waits between the end of a shipper thread and its successor', async (t) => {
  const progress = createProgress(1);
  // No progress block: every thread dies as soon as it has started.
  const broken = Object.create(progress, { buffer: { value: new SharedArrayBuffer(8) } });
  let fences = 0;
  const client = new ShipperClient({
    config,
    progress: broken,
    journal: { directory: t.testdir(), postgres: null },
    log: createLog('silent', 'test'),
    openPosition: async () => 0,
    onQuarantined: () => undefined,
    endSettlers: async () => {
      fences++;
    },
    fenced: () => undefined,
  });
  t.equal(await client.drain(1000), true, 'before the first partition settles there is nothing to settle');
  await client.pause(0);
  t.equal(fences, 0, 'no statement could still run');
  client.resume(0, fence);
  t.equal(await client.drain(1000), false, 'the drain was requested while the thread ran');
  await client.pause(0);
  t.equal(fences, 1, 'an ended thread settles nothing, but its last statement may still run');
  client.resume(0, fence);
  t.equal(await client.drain(1000), false);
  await client.stop();
});
