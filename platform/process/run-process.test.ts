/** What ends a process: a bug does, a passing want of file descriptors does not. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

/** A program that comes to `fault` after its start, and ends by itself with code 7 if that did not end it. */
function ranInto(fault: string): { readonly status: number | null; readonly log: string } {
  const script = `
    const { runProcess } = await import('${new URL('./run-process.js', import.meta.url).href}');
    const say = (fields, message) => console.log(message, JSON.stringify(fields));
    const none = (code) => Object.assign(new Error(code + ': too many open files'), { code });
    await runProcess({
      name: 'program',
      configure: () => ({}),
      createLog: () => ({ warn: say, error: say, fatal: say }),
      start: async () => ({ stop: async () => undefined }),
    });
    setTimeout(() => process.exit(7), 300);
    setTimeout(() => { ${fault} }, 10);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  return { status, log: stdout };
}

t.test('an uncaught error ends the process, unless it says that no file descriptor is free', async (t) => {
  for (const code of ['EMFILE', 'ENFILE']) {
    const thrown = ranInto(`throw none('${code}')`);
    t.equal(thrown.status, 7, `${code} thrown`);
    t.match(thrown.log, /there was no file descriptor: raise the limit/);
    const rejected = ranInto(`for (let index = 0; index < 5; index++) void Promise.reject(none('${code}'))`);
    t.equal(rejected.status, 7, `${code} rejected`);
  }
  const bug = ranInto(`throw new Error('a bug')`);
  t.equal(bug.status, 1);
  t.match(bug.log, /bug: stopping/);
});

t.test('a signal during a start ends the process by a handler, which process 1 of a container needs', async (t) => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    const script = `
      const { runProcess } = await import('${new URL('./run-process.js', import.meta.url).href}');
      const none = () => undefined;
      setInterval(none, 1000);
      await runProcess({
        name: 'program',
        configure: () => ({}),
        createLog: () => ({ warn: none, error: none, fatal: none }),
        start: () => new Promise(() => console.log('starting')),
      });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout!, 'data');
    const ended = once(child, 'exit');
    child.kill(signal);
    t.same(await ended, [code, null], signal);
  }
});
