import t from 'tap';
import { findFreePort, isPortFree } from './free-port.js';

t.test('ports are free, distinct, and outside the range of outgoing connections', async (t) => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => findFreePort()));
  t.equal(new Set(ports).size, 50);
  t.ok(ports.every((port) => port < 32_768));
  t.equal(await isPortFree(ports[0]!), true);
});
