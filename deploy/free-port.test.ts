/** Ports that several processes look for at once. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { findFreePort, isPortFree } from './free-port.js';

const run = promisify(execFile);
const module = new URL('./free-port.js', import.meta.url).href;

/** Ports that a process finds which begins where this one begins, and ends at once. */
async function found(count: number, after: number): Promise<number[]> {
  const script = `
    Object.defineProperty(process, 'pid', { value: ${process.pid} });
    const { findFreePort } = await import(${JSON.stringify(module)});
    Object.defineProperty(process, 'pid', { value: ${after} });
    const ports = [];
    for (let index = 0; index < ${count}; index++) ports.push(await findFreePort());
    console.log(JSON.stringify(ports));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout) as number[];
}

t.test('ports are free, distinct, and outside the range of outgoing connections', async (t) => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => findFreePort()));
  t.equal(new Set(ports).size, 50);
  t.ok(ports.every((port) => port < 32_768));
  t.equal(await isPortFree(ports[0]!), true);
});

t.test('a port is found by one living process alone', async (t) => {
  const ours: number[] = [];
  for (let index = 0; index < 20; index++) ours.push(await findFreePort());
  const theirs = await found(20, process.ppid);
  t.equal(new Set([...ours, ...theirs]).size, 40);
});

t.test('a port of a process that has ended is found again', async (t) => {
  const theirs = await found(100, process.ppid);
  const again: number[] = [];
  for (let index = 0; index < 30; index++) again.push(await findFreePort());
  t.ok(
    again.some((port) => theirs.includes(port)),
    'its ports are free again',
  );
});
