/** What ended child processes computed, for the durations of a test run. */
import { readFileSync } from 'node:fs';

/** Linux shows processes ticks of this length, whatever its own clock does. */
const tickMs = 10;

/**
 * CPU time of this process's ended children, and of the children that these waited for, in milliseconds. Servers that
 * all test files share are not among them. NaN off Linux.
 */
export function endedChildrenCpuMs(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    // The name in parentheses may have spaces. Behind it, cutime and cstime are the 14th and 15th (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[13]) + Number(fields[14])) * tickMs;
  } catch {
    return Number.NaN;
  }
}
