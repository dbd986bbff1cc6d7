/** What a start says on a platform that the front's library has no build for, or that is past its end of life. */
import t from 'tap';
import { runtimeWarning } from '../../../platform/process/runtime.js';
import { loadUws, whyNotLoaded } from './uws.js';

const debian12 = { node: '24.11.0', system: 'linux', processor: 'x64', glibc: '2.36' };
const noModule = "Cannot find module './uws_linux_x64_147.node'";

t.test('when the addon does not load, the start error says what to do', async (t) => {
  const oldLibrary =
    "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by uws_linux_x64_137.node)";
  t.match(
    whyNotLoaded(oldLibrary, debian12),
    /Node\.js 24\.11\.0 .*needs glibc 2\.38, .* has 2\.36; use Node\.js 24 .*Debian 13/,
  );
  t.match(whyNotLoaded(noModule, { ...debian12, node: '26.0.0' }), /no build for it; use Node\.js 24/);
  t.match(whyNotLoaded('Error loading shared library', { ...debian12, glibc: '' }), /musl \(Alpine\)/);
  t.match(whyNotLoaded('first line\nlast line', debian12), /: last line; use Node\.js 24/);
  t.type(loadUws().App, 'function', 'the addon loads here');
});

t.test('a Node.js version past its end of life is logged as a warning', async (t) => {
  t.match(runtimeWarning('20.20.2'), /past its end of life/);
  t.equal(runtimeWarning('22.1.0'), '');
  t.equal(runtimeWarning('24.11.0'), '');
});
