/** Uploads of images, good and hostile, on a real API, and the files that come of them. */
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { crc32, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { testSeed } from '../../engine/testing/runs.js';
import { uploadBytesMax, uploadsMax } from '../images/image-pool.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { createCompany, createPerson } from '../testing/tenants.js';

type Bytes = Uint8Array<ArrayBuffer>;

async function fixture(t: Test) {
  const api = await startTestApi(t);
  const ada = await createPerson(api.sql, 'ada');
  const token = await api.tokenOf(ada.user('personal').id);
  const upload = (raw: Bytes, headers: Record<string, string> = { 'content-type': 'image/png' }) =>
    api.request('PUT', '/api/me/picture', { token, raw, headers });
  return { api, token, upload };
}

function picture(options: { width?: number; height?: number; alpha?: number } = {}) {
  const { width = 60, height = 40, alpha = 1 } = options;
  return sharp({ create: { width, height, channels: 4, background: { r: 200, g: 40, b: 10, alpha } } });
}

const bytesOf = async (image: Sharp): Promise<Bytes> => new Uint8Array(await image.toBuffer());
const joined = (...parts: (string | Uint8Array)[]): Bytes =>
  new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))));

/** A grey PNG, its pixels all zero: bytes of the header, the data and further chunks as given. */
function greyPng(width: number, height: number, rows: number, extra: readonly Bytes[] = []): Bytes {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const data = deflateSync(Buffer.alloc((width + 1) * rows));
  return joined(
    '\x89PNG\r\n\x1a\n',
    pngChunk('IHDR', header),
    ...extra,
    pngChunk('IDAT', data),
    pngChunk('IEND', Buffer.alloc(0)),
  );
}

function pngChunk(name: string, data: Uint8Array): Bytes {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return new Uint8Array(chunk);
}

async function fileAt(api: TestApi, url: string): Promise<{ headers: Headers; status: number; bytes: Buffer }> {
  const response = await fetch(api.url + url);
  return { headers: response.headers, status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

t.test('an upload becomes nine square files without metadata, served to be kept for ever', async (t) => {
  const { api, token, upload } = await fixture(t);
  const exif = { IFD0: { Artist: 'someone private', Orientation: '6' } };
  const original = await bytesOf(picture({ width: 800, height: 300 }).jpeg().withExif(exif));
  t.ok(Buffer.from(original).includes('someone private'));
  const { status, json } = await upload(original, { 'content-type': 'text/plain' });
  t.equal(status, 200);
  t.equal(json.sources.length, 9);
  t.same((await api.request('GET', '/api/me', { token })).json.picture, json);
  for (const { url, type, width } of json.sources) {
    const file = await fileAt(api, url);
    t.equal(file.status, 200, url);
    t.equal(file.headers.get('content-type'), type);
    t.equal(file.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    t.equal(file.headers.get('x-content-type-options'), 'nosniff');
    t.match(file.headers.get('content-security-policy'), /default-src 'none'.*sandbox/);
    t.notOk(file.bytes.includes('someone private'), 'no EXIF');
    const read = await sharp(file.bytes).metadata();
    t.match(read, { width, height: width, format: type === 'image/avif' ? 'heif' : type.slice(6) }, url);
    t.equal(read.orientation, undefined);
    if (type === 'image/jpeg') t.ok(read.isProgressive);
  }
  t.equal((await api.request('DELETE', '/api/me/picture', { token })).status, 204);
  t.equal((await api.request('GET', '/api/me', { token })).json.picture, undefined);
  const trail = await api.sql<{ after: unknown }[]>`
    select after from audit_fresh where action = 'user.changed'
    union all select after from audit_trail where action = 'user.changed'`;
  t.same(
    trail.map(({ after }) => after),
    [{ picture: '(changed)' }, { picture: '(changed)' }],
    'both changes are in the audit trail',
  );
});

t.test('the content says what an upload is, whatever its header says', async (t) => {
  const { upload } = await fixture(t);
  for (const format of ['jpeg', 'png', 'webp', 'avif'] as const) {
    const bytes = await bytesOf(picture({ alpha: 0.5 }).toFormat(format));
    for (const type of ['image/svg+xml', 'application/octet-stream', 'text/html']) {
      t.equal((await upload(bytes, { 'content-type': type })).status, 200, `${format} as ${type}`);
    }
  }
  const svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>';
  const others: [string, Bytes][] = [
    ['SVG with script', joined(svg)],
    ['SVG after a byte order mark', joined('\xef\xbb\xbf', svg)],
    ['HTML', joined('<!doctype html><script>alert(1)</script>')],
    ['GIF that is a script', joined('GIF89a/*', Buffer.alloc(20), '*/=1;alert(1)')],
    ['GIF', await bytesOf(picture().gif())],
    ['TIFF', await bytesOf(picture().tiff())],
    ['PDF', joined('%PDF-1.7\n')],
    ['nothing', joined('')],
    ['an image after spaces', joined('  ', await bytesOf(picture().png()))],
  ];
  for (const [what, bytes] of others) {
    const { status, json } = await upload(bytes);
    t.match({ status, json }, { status: 415, json: { title: 'unsupported_media_type' } }, what);
  }
  t.equal((await upload(joined('{}'), { 'content-type': 'application/json' })).status, 415);
});

t.test('an image that is cut off, damaged or too large is refused, and the next one is taken', async (t) => {
  const { upload } = await fixture(t);
  const noisy = sharp({
    create: {
      width: 300,
      height: 200,
      channels: 3,
      background: 'red',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  });
  for (const format of ['jpeg', 'png', 'webp', 'avif'] as const) {
    const whole = await bytesOf(noisy.clone().toFormat(format));
    for (const part of [0.1, 0.5, 0.9]) {
      const { status, json } = await upload(whole.slice(0, Math.floor(whole.length * part)));
      t.match({ status, json }, { status: 422, json: { title: 'image_refused' } }, `${part} of a ${format}`);
    }
  }
  const bombs: [string, Bytes, RegExp][] = [
    ['60,000 pixels square, without data', greyPng(60_000, 60_000, 1), /megapixels|cannot be read/],
    ['49 megapixels in 50 KB', greyPng(7000, 7000, 7000), /40 megapixels/],
    ['a text chunk of 64 MB', greyPng(8, 8, 8, [textBomb()]), /./],
    ['JPEG that claims 65,000 pixels square', await hugeJpeg(), /40 megapixels/],
  ];
  for (const [what, bytes, detail] of bombs) {
    const { status, json } = await upload(bytes);
    if (what.startsWith('a text chunk')) t.ok(status === 200 || status === 422, `${what}: ${status}`);
    else t.match({ status, json }, { status: 422, json: { title: 'image_refused', detail } }, what);
  }
  t.equal((await upload(greyPng(6300, 6300, 6300))).status, 200, '39.7 megapixels');
  const tooLong = await upload(new Uint8Array(uploadBytesMax + 1));
  t.match(tooLong, { status: 413, json: { title: 'body_too_large' } });
});

/** A compressed text of 64 MB. */
function textBomb(): Bytes {
  return pngChunk('zTXt', joined('Comment\0\0', deflateSync(Buffer.alloc(64_000_000))));
}

async function hugeJpeg(): Promise<Bytes> {
  const bytes = Buffer.from(await bytesOf(picture().jpeg()));
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes.writeUInt16BE(65_000, frame + 5);
  bytes.writeUInt16BE(65_000, frame + 7);
  return new Uint8Array(bytes);
}

t.test('nothing but pixels leaves an image that is also something else', async (t) => {
  const { api, upload } = await fixture(t);
  const script = '<script>alert(document.domain)</script>';
  const jpeg = Buffer.from(await bytesOf(picture().jpeg()));
  const comment = joined('\xff\xfe', Buffer.from([0, script.length + 2]), script);
  const polyglots = [
    joined(jpeg, script, 'PK\x05\x06', Buffer.alloc(18)),
    joined(jpeg.subarray(0, 2), comment, jpeg.subarray(2)),
    greyPng(8, 8, 8, [pngChunk('tEXt', joined('Comment\0', script))]),
  ];
  for (const bytes of polyglots) {
    const { status, json } = await upload(bytes);
    t.equal(status, 200);
    for (const { url } of json.sources) t.notOk((await fileAt(api, url)).bytes.includes('script'), url);
  }
});

t.test('no damage to an image is a fault of ours', async (t) => {
  const { upload } = await fixture(t);
  const originals = await Promise.all(
    (['jpeg', 'png', 'webp', 'avif'] as const).map((format) => bytesOf(picture().toFormat(format))),
  );
  const damage = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...originals), damage, async (original, changes) => {
      const bytes = original.slice();
      for (const [at, value] of changes) bytes[Math.floor(at * (bytes.length - 1))] = value;
      const { status } = await upload(bytes);
      return status === 200 || status === 415 || status === 422;
    }),
    { numRuns: 60, seed: testSeed },
  );
});

t.test(
  'uploads beyond the bound are answered before their bytes are read, and there is room again later',
  async (t) => {
    const { api, token, upload } = await fixture(t);
    const { imagePool } = api.api.services;
    const slow = Array.from({ length: uploadsMax }, () => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'image/png', 'content-length': 1000 };
      const request = httpRequest(`${api.url}/api/me/picture`, { method: 'PUT', headers });
      request.on('error', () => undefined);
      request.write('x');
      return request;
    });
    await until('all of them are under way', () => imagePool.underWay === uploadsMax);
    const refused = await upload(await bytesOf(picture().png()));
    t.match(refused, { status: 503, json: { title: 'overloaded' } });
    t.equal(refused.headers.get('retry-after'), '2');
    for (const request of slow) request.destroy();
    await until('all of them are gone', () => imagePool.underWay === 0);
    const many = await Promise.all(
      Array.from({ length: uploadsMax }, async () => upload(await bytesOf(picture().png()))),
    );
    t.same(
      many.map(({ status }) => status),
      many.map(() => 200),
    );
  },
);

t.test('an image that ends the process that reads it is refused, and the next one has a new process', async (t) => {
  const { api, upload } = await fixture(t);
  const children = () => readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim();
  const { imagePool } = api.api.services;
  t.equal((await upload(await bytesOf(picture().png()))).status, 200);
  const converters = children()
    .split(' ')
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('image-converter'))
    .map(Number);
  // Stopped first: otherwise the image may be done before its process is killed.
  for (const pid of converters) process.kill(pid, 'SIGSTOP');
  const under = upload(greyPng(6300, 6300, 6300));
  await until('its process has it', () => imagePool.isConverting);
  for (const pid of converters) process.kill(pid, 'SIGKILL');
  t.match(await under, { status: 422, json: { detail: /time or memory/ } });
  t.equal((await upload(await bytesOf(picture().png()))).status, 200);
});

t.test('a logo is its company’s alone: set by owners and admins, shown to all of its people', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const bolt = await createCompany(api.sql, 'bolt');
  const raw = await bytesOf(picture().png());
  const send = async (tenant: typeof acme, role: 'owner' | 'admin' | 'member', companyId: string) =>
    api.request('PUT', `/api/companies/${companyId}/logo`, { token: await api.tokenOf(tenant.user(role).id), raw });
  t.equal((await send(acme, 'member', 'co_acme')).status, 403);
  t.equal((await send(bolt, 'owner', 'co_acme')).status, 404);
  t.equal((await send(bolt, 'owner', 'co_bolt')).status, 200);
  const { status, json } = await send(acme, 'admin', 'co_acme');
  t.equal(status, 200);
  const member = await api.request('GET', '/api/companies/co_acme', {
    token: await api.tokenOf(acme.user('member').id),
  });
  t.same(member.json.logo, json);
  const token = await api.tokenOf(acme.user('owner').id);
  t.equal((await api.request('DELETE', '/api/companies/co_acme/logo', { token })).status, 204);
  const [other] = await api.sql<{ logo: string | null }[]>`select logo from companies where public_id = 'co_bolt'`;
  t.ok(other!.logo, 'the same image stays with the other company');
});

t.test('an image that no row uses is removed minutes later, and one that a second row uses stays', async (t) => {
  const { api, token, upload } = await fixture(t);
  const bob = await createPerson(api.sql, 'bob');
  const one = await bytesOf(picture().png());
  const other = await bytesOf(picture({ alpha: 0 }).png());
  const [shared] = (await upload(one)).json.sources;
  await api.request('PUT', '/api/me/picture', { token: await api.tokenOf(bob.user('personal').id), raw: one });
  const [alone] = (await upload(other)).json.sources;
  await upload(one);
  await api.request('DELETE', '/api/me/picture', { token });
  const { housekeeping } = api.api.services;
  await housekeeping.run();
  t.equal((await fileAt(api, alone.url)).status, 200, 'pages that were read before still show it');
  await api.sql`update images set unused_since = unused_since - interval '11 minutes'`;
  await housekeeping.run();
  t.equal((await fileAt(api, alone.url)).status, 404);
  t.equal((await fileAt(api, shared.url)).status, 200);
  const [{ count } = { count: -1 }] = await api.sql<{ count: number }[]>`
    select count(*)::integer as count from images where unused_since is not null`;
  t.equal(count, 0, 'the housekeeping looks at it no more');
});
