/** The stories that ship with the simulator: bench/simulate/stories, one file each. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { repositoryRoot } from '../../sql/repository-root.js';
import { type Story, StoryError } from './story.js';
import { readStory } from './story-reader.js';
import { suggestion } from './yaml-fields.js';

const folder = () => join(repositoryRoot(), 'bench', 'simulate', 'stories');

export function storyNames(): string[] {
  return readdirSync(folder())
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** A shipped story by its name, or one of a file by its path. @throws StoryError */
export function loadStory(nameOrPath: string): Story {
  const isPath = /[/\\]|\.ya?ml$/.test(nameOrPath);
  const names = storyNames();
  if (!isPath && !names.includes(nameOrPath)) {
    throw new StoryError(`no story is named ${nameOrPath}: ${suggestion(nameOrPath, names)}`);
  }
  const path = isPath ? nameOrPath : join(folder(), `${nameOrPath}.yaml`);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new StoryError(`${path} cannot be read: ${(error as Error).message}`);
  }
  const shown = relative(process.cwd(), path);
  return readStory(shown.startsWith('..') ? path : shown, basename(path).replace(/\.ya?ml$/, ''), text);
}
