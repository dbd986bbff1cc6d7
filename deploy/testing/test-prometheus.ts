/** Prometheus, Alertmanager and their checkers for tests; where one is missing, tests fail as find-program.ts says. */
import { findProgram } from './find-program.js';

export function findPromtool(): Promise<string> {
  const missing = 'tests need promtool: install Prometheus';
  return findProgram({ program: 'promtool', debianPackage: 'prometheus', missing });
}

export function findAmtool(): Promise<string> {
  const missing = 'tests need amtool: install Alertmanager';
  return findProgram({ program: 'amtool', debianPackage: 'prometheus-alertmanager', missing });
}

export function findPrometheus(): Promise<string> {
  const missing = 'tests need Prometheus: install it';
  return findProgram({ program: 'prometheus', debianPackage: 'prometheus', missing });
}

export function findAlertmanager(): Promise<string> {
  const missing = 'tests need Alertmanager: install it';
  return findProgram({ program: 'prometheus-alertmanager', debianPackage: 'prometheus-alertmanager', missing });
}
