/** Debian's Chromium for tests of the pages; where it is missing tests fail, as find-program.ts says. */
import { findProgram } from './find-program.js';

export function findChromium(): Promise<string> {
  const missing = 'tests need Chromium: install chromium';
  return findProgram({ program: 'chromium', debianPackage: 'chromium', missing });
}
