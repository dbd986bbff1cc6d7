/** Reads the TAP of one test file line by line: its totals, and each failure with its diagnostics. */
import { join } from 'node:path';
import { sourceStack } from '../../platform/process/source-stack.js';
import { repositoryRoot } from '../repository-root.js';

export interface TestFile {
  readonly file: string;
  readonly durationMs: number;
  /** CPU time of its process and of that one's ended children; NaN where the system does not say. */
  readonly cpuMs: number;
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly TestFailure[];
}

/** How the process of a test file ended. */
export interface FileEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly durationMs: number;
  readonly cpuMs: number;
}

export interface TestFailure {
  readonly file: string;
  /** Names of the tests around the assertion, then the assertion's own. */
  readonly path: readonly string[];
  /** What tap says about it, without excerpts of the source. */
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
const diagnosticsLeftOut = /^(?:source|handles|requests):/;

export class TapReader {
  readonly #file: string;
  readonly #open: Open[] = [];
  readonly #failures: TestFailure[] = [];
  /** The failure whose diagnostics may follow; they decide nothing but are worth showing. */
  #diagnosed: TestFailure | null = null;
  #diagnosticIndent = -1;
  #isLeftOut = false;
  #totals: { readonly passed: number; readonly failed: number } | null = null;

  constructor(file: string) {
    this.#file = file;
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
    if (indent === 0 && text.startsWith('# { total:')) this.#totals = totalsOf(text);
    const begun = /^# Subtest: (.*)$/.exec(text)?.[1];
    if (begun !== undefined) {
      this.#open.push({ name: unescaped(begun), depth: indent / indentWidth, hasFailed: false });
      return;
    }
    const result = /^(not )?ok \d+(?: - (.*))?$/.exec(text);
    if (result !== null) this.#readResult(indent / indentWidth, result[1] !== undefined, result[2] ?? '');
  }

  /** The end of the process. A file that no assertion failed fails when it broke off or proved nothing. */
  end({ code, signal, durationMs, cpuMs }: FileEnd): TestFile {
    const { passed, failed } = this.#totals ?? { passed: 0, failed: 0 };
    const reasons: string[] = [];
    if (this.#totals === null) reasons.push('it ended without totals');
    else if (passed === 0) reasons.push('no assertion passed');
    if (code !== 0) reasons.push(signal === null ? `exit code ${code}` : `it ended by ${signal}`);
    if (failed > 0) reasons.push(`${failed} failed`);
    if (reasons.length > 0 && (this.#failures.length === 0 || this.#totals === null)) {
      this.#failures.push({ file: this.#file, path: [], diagnostics: reasons });
    }
    const failures = this.#failures;
    return { file: this.#file, durationMs, cpuMs, passed, failed: Math.max(failed, failures.length), failures };
  }

  #readResult(depth: number, isNotOk: boolean, description: string): void {
    this.#diagnosed = null;
    const text = description.replace(/ # time=[\d.]+ms$/, '');
    // In this project no test is skipped or left to do.
    const isLeftOut = leftOut.test(text);
    const hasFailed = isNotOk || isLeftOut;
    // A test that began deeper and has no result of its own was cut off: the result of the test around it counts.
    while (this.#open.length > 0 && this.#open.at(-1)!.depth > depth) this.#open.pop();
    const own = this.#open.at(-1)?.depth === depth ? this.#open.pop()! : null;
    const name = own === null || isLeftOut ? unescaped(text) : own.name;
    if (hasFailed) {
      const around = this.#open.at(-1);
      if (around !== undefined) around.hasFailed = true;
      // The failed assertions inside say why a test failed.
      if (own?.hasFailed !== true) {
        const path = [...this.#open.map((test) => test.name), name];
        this.#diagnosed = { file: this.#file, path, diagnostics: [] };
        this.#failures.push(this.#diagnosed);
      }
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
}

function totalsOf(line: string): { passed: number; failed: number } {
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

/** A failure as it is shown: where it is, then what tap says, with places in the sources. */
export function failureText({ file, path, diagnostics }: TestFailure): string {
  return [[file, ...path].join(' > '), ...diagnostics.map((line) => `    ${inSources(line)}`)].join('\n');
}

/** tap names files from the root on. */
function inSources(line: string): string {
  const root = repositoryRoot();
  const whole = line.replace(/(?<![\w/.])dist\/[\w./-]+\.js(?=:\d)/g, (path) => join(root, path));
  return whole === line ? line : sourceStack(whole).replaceAll(`${root}/`, '');
}
