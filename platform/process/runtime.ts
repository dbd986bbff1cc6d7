/** What is to be said of the Node.js that a process runs on. */

/** Versions below this get no security fixes any more (20 ended in April 2026). */
const supportedMajorMin = 22;

/** '' for a version that is supported. */
export function runtimeWarning(nodeVersion: string): string {
  if (Number.parseInt(nodeVersion, 10) >= supportedMajorMin) return '';
  return (
    `Node.js ${nodeVersion} is past its end of life and gets no security fixes: use Node.js 24 on a Linux with glibc ` +
    '2.38 or newer (Debian 13, Ubuntu 24.04)'
  );
}
