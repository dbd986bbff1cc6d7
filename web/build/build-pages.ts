/**
 * `npm run build`, second step: bundles the console and the app by Vite, compresses every file as far as it goes, and
 * writes the two documents. The build is skipped while none of its inputs changed. The only importer of vite.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, type Manifest, type ManifestChunk } from 'vite';
import { drawIcons, drawPictures, type Icon } from './build-art.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const sources = join(root, 'web');
const site = join(root, 'dist/web/site');
const stampFile = join(site, '.inputs');
const compressedTypes = /\.(?:js|css|svg|html|webmanifest)$/;

/** Each page: its folder has `main.tsx` and `<name>.html`, whose `<!-- assets -->` becomes the links to the bundles. */
const pages = ['console', 'app'] as const;

const stamp = await stampOfInputs();
if ((await readFile(stampFile, 'utf8').catch(() => '')) !== stamp) {
  await drawPictures(join(sources, 'art/entrance.svg'), join(root, 'dist/web/art'));
  await bundle();
  const icons = await drawIcons(join(sources, 'kit/icon.svg'), site);
  for (const page of pages) await writeDocument(page, icons);
  await writeAppManifest(icons);
  await bundleServiceWorker();
  await compressAll();
  await writeFile(stampFile, stamp);
}

async function stampOfInputs(): Promise<string> {
  const hash = createHash('sha256');
  const names = await readdir(sources, { recursive: true, withFileTypes: true });
  const paths = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of [...paths.sort(), join(root, 'package-lock.json')]) {
    hash
      .update(path.slice(root.length))
      .update('\0')
      .update(await readFile(path));
  }
  return hash.digest('hex');
}

async function bundle(): Promise<void> {
  await build({
    configFile: false,
    root: sources,
    // Chunks find each other beside themselves, wherever ASSET_ORIGIN puts them.
    base: './',
    logLevel: 'warn',
    publicDir: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: site,
      emptyOutDir: true,
      assetsDir: 'assets',
      // A small file as a data: URL would need a hole in the policy.
      assetsInlineLimit: 0,
      modulePreload: false,
      manifest: 'manifest.json',
      target: 'es2022',
      rolldownOptions: {
        input: Object.fromEntries(pages.map((page) => [page, join(sources, page, 'main.tsx')])),
        output: {
          // What changes rarely has a file of its own, which returning visitors have.
          codeSplitting: {
            groups: [
              { name: 'vendor', test: /node_modules[\\/]@?preact/ },
              { name: 'kit', test: /web[\\/]kit[\\/]/ },
            ],
          },
        },
      },
    },
  });
}

/** The document of a page, with `{assets}` where the API puts the origin of the assets. */
async function writeDocument(page: string, icons: readonly Icon[]): Promise<void> {
  const manifest = JSON.parse(await readFile(join(site, 'manifest.json'), 'utf8')) as Manifest;
  const entry = manifest[`${page}/main.tsx`];
  if (entry === undefined) throw new Error(`the bundle of web/${page}/main.tsx is missing in the manifest`);
  const imported = (entry.imports ?? []).map((name) => manifest[name]!);
  const icon = await readFile(join(sources, 'kit/icon.svg'));
  const iconFile = `assets/icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8)}.svg`;
  await writeFile(join(site, iconFile), icon);
  // The page's own styles come last, so that they win.
  const styles = [...imported, entry].flatMap(({ css = [] }) => css);
  const touchIcon = icons.find(({ size }) => size === 180)!.file;
  const lines = [
    `<script type="importmap">${await hashesOf(chunksOf(manifest, page))}</script>`,
    `<link rel="apple-touch-icon" href="{assets}/${touchIcon}">`,
    `<link rel="icon" type="image/svg+xml" href="{assets}/${iconFile}">`,
    ...(await Promise.all(styles.map((file) => tag('link rel="stylesheet"', 'href', file)))),
    ...(await Promise.all(imported.map(({ file }) => tag('link rel="modulepreload"', 'href', file)))),
    `${await tag('script type="module"', 'src', entry.file)}</script>`,
  ];
  const template = await readFile(join(sources, page, `${page}.html`), 'utf8');
  await writeFile(join(site, `${page}.html`), template.replace('<!-- assets -->', lines.join('\n    ')));
}

async function writeAppManifest(icons: readonly Icon[]): Promise<void> {
  const manifest = {
    id: '/app',
    name: 'Atlantic',
    short_name: 'Atlantic',
    start_url: '/app',
    scope: '/app',
    display: 'standalone',
    background_color: '#ffffff',
    theme_color: '#2457d6',
    icons: icons.map(({ file, size, purpose }) => ({
      src: `{assets}/${file}`,
      sizes: `${size}x${size}`,
      type: 'image/png',
      purpose,
    })),
  };
  await writeFile(join(site, 'app.webmanifest'), JSON.stringify(manifest));
}

/** The worker has the name of this build and of every script and style of the app. */
async function bundleServiceWorker(): Promise<void> {
  const manifest = JSON.parse(await readFile(join(site, 'manifest.json'), 'utf8')) as Manifest;
  const files = chunksOf(manifest, 'app')
    .flatMap(({ file, css = [] }) => [file, ...css])
    .sort();
  const document = await readFile(join(site, 'app.html'));
  const buildName = createHash('sha256').update(document).update(files.join()).digest('hex').slice(0, 12);
  await build({
    configFile: false,
    root: sources,
    logLevel: 'warn',
    publicDir: false,
    define: {
      buildName: JSON.stringify(buildName),
      buildFiles: JSON.stringify(files.map((file) => `{assets}/${file}`)),
    },
    build: {
      outDir: site,
      emptyOutDir: false,
      modulePreload: false,
      target: 'es2022',
      rolldownOptions: {
        input: join(sources, 'service-worker.ts'),
        output: { entryFileNames: 'service-worker.js' },
      },
    },
  });
}

/** Every chunk that a page may load, now or later. */
function chunksOf(manifest: Manifest, page: string): ManifestChunk[] {
  const names = new Set<string>();
  const walk = (name: string): void => {
    if (names.has(name)) return;
    names.add(name);
    for (const next of [...(manifest[name]!.imports ?? []), ...(manifest[name]!.dynamicImports ?? [])]) walk(next);
  };
  walk(`${page}/main.tsx`);
  return [...names].map((name) => manifest[name]!);
}

/** An import map with the hash of each script: a file of a CDN that was changed does not run, whenever it is loaded. */
async function hashesOf(chunks: readonly ManifestChunk[]): Promise<string> {
  const integrity: Record<string, string> = {};
  for (const { file } of chunks) integrity[`{assets}/${file}`] = await hashOf(file);
  return JSON.stringify({ integrity });
}

async function hashOf(file: string): Promise<string> {
  const bytes = await readFile(join(site, file));
  return `sha384-${createHash('sha384').update(bytes).digest('base64')}`;
}

async function tag(start: string, attribute: string, file: string): Promise<string> {
  return `<${start} ${attribute}="{assets}/${file}" crossorigin integrity="${await hashOf(file)}">`;
}

async function compressAll(): Promise<void> {
  const names = await readdir(join(site, 'assets'));
  const compressed = names.filter((name) => compressedTypes.test(name)).map((name) => join(site, 'assets', name));
  await Promise.all(
    compressed.map(async (path) => {
      const bytes = await readFile(path);
      const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
      await writeFile(`${path}.br`, await promisify(brotliCompress)(bytes, { params }));
      await writeFile(`${path}.gz`, await promisify(gzip)(bytes, { level: 9 }));
    }),
  );
}
