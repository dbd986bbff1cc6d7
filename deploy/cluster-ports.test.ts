/** Ports of `make cluster`: those of the interface, moved only where two ranges would meet. */
import t from 'tap';
import { clusterPorts } from './cluster-ports.js';

const apart = { authPort: 18_080, opsPort: 19_080, apiPort: 13_000, apiOpsPort: 14_000, consoleHost: '' };

const defaults = { authPort: 8080, opsPort: 8081, apiPort: 3000, apiOpsPort: 3001, consoleHost: '' };

t.test('process n listens on the base plus 100 plus n', async (t) => {
  t.same(clusterPorts(apart, 3, 2), {
    engines: [
      { auth: 18_181, ops: 19_181, peer: 18_381 },
      { auth: 18_182, ops: 19_182, peer: 18_382 },
      { auth: 18_183, ops: 19_183, peer: 18_383 },
    ],
    apis: [
      { api: 13_101, ops: 14_101, console: null },
      { api: 13_102, ops: 14_102, console: null },
    ],
    moved: [],
  });
});

t.test('with the default ports the ops ports begin at 200, and the start says so', async (t) => {
  const { engines, apis, moved } = clusterPorts(defaults, 3, 2);
  t.same(
    engines.map(({ ops }) => ops),
    [8282, 8283, 8284],
  );
  t.same(
    apis.map(({ ops }) => ops),
    [3202, 3203],
  );
  t.match(moved, [/engines' ops ports are OPS_PORT\+200\+n/, /APIs' ops ports are API_OPS_PORT\+200\+n/]);
  t.equal(clusterPorts(defaults, 1, 1).engines[0]!.ops, 8182, 'one engine has room');
});

t.test('ports that meet, or that do not exist, are refused', async (t) => {
  t.throws(() => clusterPorts({ ...apart, apiPort: 18_081 }, 3, 2), /port 18182 would be used twice/);
  t.throws(() => clusterPorts({ ...apart, authPort: 65_300 }, 3, 2), /leave room/);
  for (let engines = 1; engines <= 10; engines++) {
    t.doesNotThrow(() => clusterPorts({ ...defaults, consoleHost: '127.0.0.1:3002' }, engines, 2));
  }
});

t.test('with CONSOLE_HOST each API has a console behind the one of nginx', async (t) => {
  const { apis } = clusterPorts({ ...defaults, consoleHost: '[::1]:3002' }, 3, 2);
  t.same(
    apis.map(({ console: own }) => own),
    [3303, 3304],
  );
  t.throws(() => clusterPorts({ ...defaults, consoleHost: '127.0.0.1:3000' }, 3, 2), /port 3000 would be used twice/);
});
