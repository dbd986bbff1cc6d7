/** Reads a Dockerfile into its instructions: as much of the format as ours uses, and a refusal of the rest. */

export interface Stage {
  readonly name: string;
  /** The image, or the name of an earlier stage. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

export type Instruction =
  | { readonly kind: 'run'; readonly command: string }
  /** @property stage whose files are copied; null: those of the build context */
  | { readonly kind: 'copy'; readonly stage: string | null; readonly sources: readonly string[]; readonly to: string }
  | OneWord<'workdir'>
  | OneWord<'user'>
  | OneWord<'volume'>
  | OneWord<'stopsignal'>
  | { readonly kind: 'expose'; readonly ports: readonly number[] }
  | { readonly kind: 'env'; readonly name: string; readonly value: string }
  | Program<'entrypoint'>
  | Program<'cmd'>
  | Program<'healthcheck'>;

interface OneWord<K> {
  readonly kind: K;
  readonly value: string;
}

interface Program<K> {
  readonly kind: K;
  readonly argv: readonly string[];
}

/** Throws for an instruction that it does not know, so that no step is left out in silence. */
export function parseDockerfile(text: string): Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  for (const line of lines
    .join('\n')
    .replace(/\\\n\s*/g, '')
    .split('\n')) {
    if (line.trim() === '') continue;
    const [, word = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (word === 'FROM') {
      const [, from = '', name = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      if (name === '') throw new Error(`a stage needs a name: ${line}`);
      stages.push({ name, from, instructions: [] });
      continue;
    }
    const stage = stages.at(-1);
    if (stage === undefined) throw new Error(`before the first FROM: ${line}`);
    stage.instructions.push(instructionOf(word, rest, line));
  }
  return stages;
}

function instructionOf(word: string, rest: string, line: string): Instruction {
  switch (word) {
    case 'RUN':
      return { kind: 'run', command: rest };
    case 'COPY': {
      const [, stage = null, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
      const words = paths.split(/\s+/);
      return { kind: 'copy', stage, sources: words.slice(0, -1), to: words.at(-1)! };
    }
    case 'ENV': {
      const [, name = '', value = ''] = /^([A-Z_]+)=(\S*)$/.exec(rest) ?? [];
      if (name === '') throw new Error(`one variable a line, without spaces: ${line}`);
      return { kind: 'env', name, value };
    }
    case 'EXPOSE':
      return { kind: 'expose', ports: rest.split(/\s+/).map(Number) };
    case 'WORKDIR':
    case 'USER':
    case 'VOLUME':
    case 'STOPSIGNAL':
      return { kind: word.toLowerCase() as 'workdir', value: rest };
    case 'ENTRYPOINT':
    case 'CMD':
      return { kind: word.toLowerCase() as 'cmd', argv: argvOf(rest, line) };
    case 'HEALTHCHECK':
      return { kind: 'healthcheck', argv: argvOf(rest.replace(/^.* CMD /, ''), line) };
    default:
      throw new Error(`an instruction that image-check does not know: ${line}`);
  }
}

/** The form without a shell alone: a shell as process 1 would keep signals from the program. */
function argvOf(text: string, line: string): string[] {
  if (!text.startsWith('[')) throw new Error(`write it as a JSON array, without a shell: ${line}`);
  return JSON.parse(text) as string[];
}
