/** How much a first visit loads, compressed: the document and every file that its start page needs. */
import { readFileSync, statSync } from 'node:fs';
import t from 'tap';

const site = new URL('../site/', import.meta.url);
/** 60 KiB: a second on a slow phone's line. */
const bytesMax = 60 * 1024;

interface Chunk {
  readonly file: string;
  readonly css?: readonly string[];
  readonly imports?: readonly string[];
}

const manifest = JSON.parse(readFileSync(new URL('manifest.json', site), 'utf8')) as Readonly<Record<string, Chunk>>;

function filesOf(names: readonly string[]): ReadonlySet<string> {
  const files = new Set<string>();
  const seen = new Set<string>();
  const walk = (name: string): void => {
    const chunk = manifest[name];
    if (chunk === undefined) throw new Error(`${name} is not in the manifest`);
    if (seen.has(name)) return;
    seen.add(name);
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
    for (const imported of chunk.imports ?? []) walk(imported);
  };
  for (const name of names) walk(name);
  return files;
}

const firstLoads = {
  console: ['console/main.tsx', 'console/pages/live.tsx', 'console/live/latency-chart.tsx'],
  app: ['app/main.tsx', 'app/pages/home.tsx'],
};

for (const [page, entries] of Object.entries(firstLoads)) {
  for (const language of ['en', 'de']) {
    t.test(`the first load of the ${page} in ${language} is below 60 KiB`, async (t) => {
      const files = [...filesOf([...entries, `messages/${language}.ts`])];
      const bytes = files.map((file) => statSync(new URL(`${file}.br`, site)).size);
      const total = bytes.reduce((sum, size) => sum + size, statSync(new URL(`${page}.html`, site)).size);
      t.comment(`${page} ${language}: ${total} bytes in ${files.length + 1} files`);
      t.ok(total > 10_000, 'the walk finds the files');
      t.ok(total < bytesMax, `${total} bytes`);
    });
  }
}
