/** What documents point to is there: files, sections, commands; and the README stays short. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../repository-root.js';

const root = repositoryRoot();
const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root })
  .toString()
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const texts = new Map(documents.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
const withoutBlocks = (text: string) => text.replace(/^ *```[\s\S]*?^ *```/gm, '');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of withoutBlocks(text).matchAll(/^#{1,6} (.*)$/gm)) {
    const plain = title!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const anchor = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    let unique = anchor;
    for (let number = 1; anchors.has(unique); number++) unique = `${anchor}-${number}`;
    anchors.add(unique);
  }
  return anchors;
}

t.test('every relative link and every anchor has a target', async (t) => {
  t.ok(documents.length > 10, 'the walk finds the documents');
  for (const [document, text] of texts) {
    for (const [, target = ''] of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : normalize(join(dirname(document), path));
      if (!existsSync(join(root, file))) t.fail(`${document} links to ${target}: there is no ${file}`);
      else if (anchor !== undefined && !anchorsOf(texts.get(file) ?? '').has(anchor)) {
        t.fail(`${document} links to ${target}: ${file} has no such section`);
      }
    }
  }
});

t.test('every source file that a comment names exists', async (t) => {
  const sources = execFileSync('git', ['ls-files', '*.ts'], { cwd: root }).toString().split('\n').filter(Boolean);
  const isThere = (name: string) => sources.some((path) => path === name || path.endsWith(`/${name}`));
  for (const path of sources.filter((path) => existsSync(join(root, path)))) {
    const comments = readFileSync(join(root, path), 'utf8').match(/\/\*\*?[\s\S]*?\*\/|\/\/ .*$/gm) ?? [];
    for (const [, name = ''] of comments.join('\n').matchAll(/(?<![\w/.@-])((?:[\w-]+\/)*[\w.-]+\.ts)\b/g)) {
      if (!isThere(name)) t.fail(`${path} names ${name}`);
    }
  }
  t.pass('walked');
});

t.test('every command that a document names exists', async (t) => {
  const targets = new Set(readFileSync(join(root, 'Makefile'), 'utf8').match(/^[a-z-]+(?=:)/gm));
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
  for (const [document, text] of texts) {
    for (const [, target = ''] of text.matchAll(/(?:`|^)make ([a-z-]+)/gm)) {
      if (!targets.has(target)) t.fail(`${document} names make ${target}`);
    }
    for (const [, script = ''] of text.matchAll(/(?:`|^)npm run ([a-z-]+)/gm)) {
      if (!(script in scripts)) t.fail(`${document} names npm run ${script}`);
    }
  }
  t.pass('walked');
});

t.test('the README has fewer than 150 lines', async (t) => {
  t.ok(texts.get('README.md')!.split('\n').length < 150);
});
