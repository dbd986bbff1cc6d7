/** Prometheus' and Alertmanager's checkers for tests; where they are missing tests fail, as find-program.ts says. */
import { findProgram } from './find-program.js';

export function findPromtool(): Promise<string> {
  const missing = 'tests need promtool: install Prometheus';
  return findProgram({ program: 'promtool', debianPackage: 'prometheus', missing });
}

export function findAmtool(): Promise<string> {
  const missing = 'tests need amtool: install Alertmanager';
  return findProgram({ program: 'amtool', debianPackage: 'prometheus-alertmanager', missing });
}
