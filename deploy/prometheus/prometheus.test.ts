/** Prometheus and Alertmanager take their files, and each alert leads a person somewhere. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { parse } from 'yaml';
import { repositoryRoot } from '../repository-root.js';
import { findAmtool, findPromtool } from '../testing/test-prometheus.js';

const root = repositoryRoot();
const testFiles = ['rules.test.yml', 'rules-of-days.test.yml'];
const folder = join(root, 'deploy/prometheus');
const run = promisify(execFile);

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly runbook: string };
}

const text = readFileSync(join(folder, 'rules.yml'), 'utf8');
const all = (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules: own }) => own);
const rules = all.filter((rule): rule is Rule & { readonly alert: string } => rule.alert !== undefined);
const records = new Set(all.flatMap(({ record }) => record ?? []));

t.test('the files are valid, and the rules raise what their tests say', async (t) => {
  const promtool = await findPromtool();
  for (const args of [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'rules.yml'],
    ['test', 'rules', ...testFiles],
  ]) {
    const { stdout } = await run(promtool, args, { cwd: folder });
    t.match(stdout, 'SUCCESS', args.join(' '));
  }
  for (const file of ['alertmanager.yml', 'alertmanager.example.yml']) {
    const { stdout } = await run(await findAmtool(), ['check-config', file], { cwd: folder });
    t.match(stdout, 'SUCCESS', file);
  }
});

t.test('each alert measures what we have, and leads to a section of the runbook', async (t) => {
  const metrics = readFileSync(join(root, 'docs/metrics.md'), 'utf8');
  const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8');
  const sections = [...runbook.matchAll(/^## (.*)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(' ', '-'));
  for (const { expr } of all) {
    for (const [name] of expr.matchAll(/\b[a-z]+(?::[a-z0-9]+)*(?:_[a-z]+)+\b(?!\()/g)) {
      const metric = name.replace(/_(?:bucket|count)$/, '');
      if (name !== 'group_left') t.ok(metrics.includes(`| \`${metric}\` |`), `${name} exists`);
    }
    for (const [record] of expr.matchAll(/\b[a-z]+(?::[a-z0-9]+)+\b/g)) t.ok(records.has(record), record);
  }
  for (const { alert, labels, annotations } of rules) {
    const [file, section = ''] = annotations.runbook.split('#');
    t.equal(file, 'docs/runbook.md');
    t.ok(sections.includes(section), `${alert} leads to ${section}`);
    t.match(labels.severity, /^(page|ticket)$/);
  }
  t.ok(rules.length > 10);
});

t.test('the runbook names each alert', async (t) => {
  const runbook = readFileSync(join(root, 'docs/runbook.md'), 'utf8');
  for (const { alert } of rules) t.match(runbook, `\`${alert}\``);
});

t.test('each alert has a test in which it fires', async (t) => {
  const files = testFiles.map((name) => parse(readFileSync(join(folder, name), 'utf8'))) as {
    readonly tests: { readonly alert_rule_test: { readonly alertname: string; readonly exp_alerts: unknown[] }[] }[];
  }[];
  const cases = files.flatMap(({ tests }) => tests).flatMap(({ alert_rule_test: of }) => of);
  const fired = new Set(cases.filter(({ exp_alerts: raised }) => raised.length > 0).map(({ alertname }) => alertname));
  for (const { alert } of rules) t.ok(fired.has(alert), alert);
});
