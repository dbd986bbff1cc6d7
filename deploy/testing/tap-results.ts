/** Reads tap's output line by line: the totals, each test file's duration, and each failure with its diagnostics. */

export interface TapTotals {
  readonly passed: number;
  readonly failed: number;
}

export interface TestFile {
  readonly file: string;
  readonly durationMs: number;
  readonly failures: readonly TestFailure[];
}

export interface TestFailure {
  readonly file: string;
  /** Names of the tests around the assertion, then the assertion's own. */
  readonly path: readonly string[];
  /** What tap says about it, without excerpts of the source and how tap started the file. */
  readonly diagnostics: string[];
}

/** A test that has begun. */
interface Open {
  readonly name: string;
  readonly depth: number;
  hasFailed: boolean;
}

const indentWidth = 4;
const diagnosticLinesMax = 40;
/** A test that is skipped or left to do. The class keeps this file free of the marker itself. */
const leftOut = / # (?:SKIP|TOD[O])\b/i;
const diagnosticsLeftOut = /^(?:source|handles|requests|stdio|cwd|externalID|command|args|jobId):/;

export class TapReader {
  readonly files: TestFile[] = [];
  readonly #onFile: (file: TestFile) => void;
  readonly #open: Open[] = [];
  #failures: TestFailure[] = [];
  /** The failure or file whose diagnostics may follow; they decide nothing but are worth showing. */
  #diagnosed: TestFailure | null = null;
  #diagnosticIndent = -1;
  #isLeftOut = false;
  #finished: { readonly file: string; readonly durationMs: number } | null = null;
  /** Duration inside the file that is being read: tap gives none with the result of a file that it ended itself. */
  #insideMs = 0;
  #totals: TapTotals | null = null;

  /** @param onFile called with each test file as soon as it has ended */
  constructor(onFile: (file: TestFile) => void = () => undefined) {
    this.#onFile = onFile;
  }

  /** Takes the next line, without its line end. */
  read(line: string): void {
    if (this.#diagnosticIndent >= 0) {
      this.#readDiagnostic(line);
      return;
    }
    const indent = line.length - line.trimStart().length;
    const text = line.slice(indent);
    if (text === '---') {
      this.#diagnosticIndent = indent;
      this.#isLeftOut = false;
      return;
    }
    if (text !== '') this.#endFile();
    if (indent === 0 && text.startsWith('# { total:')) this.#totals = totalsOf(text);
    const inside = indent === indentWidth ? /^# time=([\d.]+)ms$/.exec(text)?.[1] : undefined;
    if (inside !== undefined) this.#insideMs = Number(inside);
    const begun = /^# Subtest: (.*)$/.exec(text)?.[1];
    if (begun !== undefined) {
      this.#open.push({ name: unescaped(begun), depth: indent / indentWidth, hasFailed: false });
      return;
    }
    const result = /^(not )?ok \d+(?: - (.*))?$/.exec(text);
    if (result !== null) this.#readResult(indent / indentWidth, result[1] !== undefined, result[2] ?? '');
  }

  /** The end of the output. Throws when tap ended before it wrote its totals. */
  end(): TapTotals {
    this.#endFile();
    if (this.#totals === null) throw new Error('the test run ended without totals');
    return this.#totals;
  }

  #readResult(depth: number, isNotOk: boolean, description: string): void {
    this.#diagnosed = null;
    const [, text = '', durationMs] = /^(.*?)(?: # time=([\d.]+)ms)?$/.exec(description)!;
    // In this project no test is skipped or left to do.
    const isLeftOut = leftOut.test(text);
    const hasFailed = isNotOk || isLeftOut;
    // A test that began deeper and has no result of its own was cut off: its file's result counts.
    while (this.#open.length > 0 && this.#open.at(-1)!.depth > depth) this.#open.pop();
    const own = this.#open.at(-1)?.depth === depth ? this.#open.pop()! : null;
    const name = own === null || isLeftOut ? unescaped(text) : own.name;
    if (hasFailed) {
      const around = this.#open.at(-1);
      if (around !== undefined) around.hasFailed = true;
      // The failed assertions inside say why a test failed.
      if (own?.hasFailed !== true) {
        // tap puts the time-out of a file in the place of another one's result.
        const isElsewhere = depth === 0 && text === 'timeout!';
        const [file, ...tests] = [...this.#open.map((test) => test.name), isElsewhere ? text : name];
        this.#diagnosed = { file: file!, path: tests, diagnostics: [] };
        this.#failures.push(this.#diagnosed);
      }
    }
    if (depth === 0) {
      this.#finished = { file: own?.name ?? name, durationMs: Number(durationMs ?? this.#insideMs) };
      this.#insideMs = 0;
    }
  }

  #readDiagnostic(line: string): void {
    const text = line.slice(this.#diagnosticIndent);
    if (text === '...') {
      this.#diagnosticIndent = -1;
      return;
    }
    if (/^\w/.test(text)) this.#isLeftOut = diagnosticsLeftOut.test(text);
    const lines = this.#diagnosed?.diagnostics;
    if (lines === undefined || this.#isLeftOut || text === '') return;
    if (lines.length < diagnosticLinesMax) lines.push(text);
    else if (lines.length === diagnosticLinesMax) lines.push('(more in the TAP file)');
  }

  /** After the diagnostics of the file itself, which follow its result. */
  #endFile(): void {
    const finished = this.#finished;
    if (finished === null) return;
    this.#finished = null;
    const file = { ...finished, failures: this.#failures };
    this.#failures = [];
    this.files.push(file);
    this.#onFile(file);
  }
}

function totalsOf(line: string): TapTotals {
  const number = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(line)?.[1] ?? 0);
  const total = number('total');
  const passed = number('pass');
  // What did not pass failed, was skipped or was left to do: in this project each of them is a failure.
  return { passed, failed: total - passed };
}

/** tap escapes what TAP gives a meaning to. */
function unescaped(text: string): string {
  return text.replace(/\\([\\#])/g, '$1');
}

/** A failure as it is shown: where it is, then what tap says. */
export function failureText({ file, path, diagnostics }: TestFailure): string {
  return [[file, ...path].join(' > '), ...diagnostics.map((line) => `    ${line}`)].join('\n');
}
