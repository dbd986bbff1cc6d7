/**
 * The report as one HTML page that needs nothing but itself: uPlot is copied in, no request leaves it. Percentile plots
 * on logarithmic axes, bars beside the controls, every table, what it was measured on and how to repeat it.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  type FigureName,
  figureNames,
  figures,
  mergedHistogram,
  type ScenarioResult,
  type SuiteResult,
  spreadOf,
} from './figures.js';
import { formatFigure, remarks } from './table.js';

export async function renderPage(result: SuiteResult): Promise<string> {
  const require = createRequire(import.meta.url);
  const script = await readFile(require.resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = await readFile(require.resolve('uplot/dist/uPlot.min.css'), 'utf8');
  const { machine } = result;
  const plots = result.scenarios.map(plotData);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Atlanticfrewaycard benchmarks, ${html(machine.date.slice(0, 16).replace('T', ' '))} UTC,
${html(machine.commit)}</title>
<style>${style}
${pageStyle}</style>
</head>
<body>
<header>
<h1>Atlanticfrewaycard benchmarks</h1>
<p>${html(machine.date.slice(0, 16).replace('T', ' '))} UTC, commit <code>${html(machine.commit)}</code></p>
</header>
<main>
${result.warnings.map((warning) => `<p class="warning">${html(warning)}</p>`).join('\n')}
${overview(result)}
${result.scenarios.map((scenario, index) => section(scenario, index, plots[index]!.length > 0)).join('\n')}
${about(result)}
</main>
<script>${script}</script>
<script>const plots = ${JSON.stringify(plots).replaceAll('<', '\\u003c')};
${pageScript}</script>
</body>
</html>
`;
}

interface Plot {
  readonly name: string;
  readonly control: boolean;
  /** Rarity and milliseconds, see Latency.curve(). */
  readonly x: readonly number[];
  readonly y: readonly number[];
}

function plotData({ series }: ScenarioResult): Plot[] {
  return series.flatMap((one) => {
    const curve = mergedHistogram(one)?.curve() ?? [];
    if (curve.length < 2) return [];
    const { name, control } = one;
    return [{ name, control, x: curve.map(({ rarity }) => round(rarity)), y: curve.map(({ ms }) => round(ms)) }];
  });
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** All goals at a glance. */
function overview({ scenarios }: SuiteResult): string {
  const rows = scenarios.flatMap(({ name, goals }) =>
    goals.map(({ text, metCount, roundCount }) => {
      const state = metCount * 5 >= roundCount * 3 ? 'met' : 'missed';
      return (
        `<tr class="${state}"><td><a href="#${html(name)}">${html(name)}</a></td><td>${html(text)}</td>` +
        `<td>${metCount} of ${roundCount} rounds</td></tr>`
      );
    }),
  );
  if (rows.length === 0) return '';
  return `<section><h2>Goals</h2><p>A goal counts as met when three of five rounds meet it.</p>
<table><thead><tr><th>scenario</th><th>goal</th><th>met in</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></section>`;
}

function section(scenario: ScenarioResult, index: number, hasPlot: boolean): string {
  return `<section id="${html(scenario.name)}">
<h2>${html(scenario.title)}</h2>
${bars(scenario)}
${hasPlot ? `<div class="plot" id="plot-${index}"></div>` : ''}
<div class="scroll">${table(scenario)}</div>
<ul>${remarks(scenario)
    .map((remark) => `<li>${html(remark)}</li>`)
    .join('')}</ul>
${Object.entries(scenario.details ?? {})
  .map(([title, text]) => `<details><summary>${html(title)}</summary><pre>${html(text)}</pre></details>`)
  .join('\n')}
<p class="repeat">Repeat: <code>${html(scenario.command ?? `make bench SCENARIOS=${scenario.name}`)}</code></p>
</section>`;
}

/** Answers per second as bars, with the range of the rounds, beside the controls. */
function bars({ series }: ScenarioResult): string {
  const spreads = series.map((one) => ({ ...one, spread: spreadOf(one.samples, 'perSecond') }));
  const most = Math.max(0, ...spreads.map(({ spread }) => spread?.max ?? 0));
  if (most === 0) return '';
  const rows = spreads.map(({ name, control, spread }) => {
    if (spread === null) return '';
    const width = (value: number) => ((value / most) * 100).toFixed(2);
    return `<div class="bar ${control ? 'control' : 'engine'}"><span class="name">${html(name)}</span>
<span class="track"><span class="fill" style="width:${width(spread.median)}%"></span><span class="range"
style="left:${width(spread.min)}%;width:${width(spread.max - spread.min)}%"></span></span>
<span class="value">${formatFigure('perSecond', spread.median)}/s</span></div>`;
  });
  return `<div class="bars">${rows.join('')}</div>`;
}

function table({ series }: ScenarioResult): string {
  const columns = figureNames.filter((name) => series.some(({ samples }) => spreadOf(samples, name) !== null));
  const head = columns.map((column) => `<th>${html(figures[column].title)}</th>`).join('');
  const rows = series.map(({ name, control, samples }) => {
    const cells = columns.map((column) => cell(column, spreadOf(samples, column)));
    return `<tr class="${control ? 'control' : 'engine'}"><th>${html(name)}</th>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function cell(column: FigureName, spread: ReturnType<typeof spreadOf>): string {
  if (spread === null) return '<td>–</td>';
  const range = `${formatFigure(column, spread.min)} to ${formatFigure(column, spread.max)} in ${spread.count} rounds`;
  return `<td title="${html(range)}">${formatFigure(column, spread.median)}</td>`;
}

function about({ machine, versions, command }: SuiteResult): string {
  const rows: [string, string][] = [
    ['machine', `${machine.cpu}, ${machine.coreCount} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`],
    ['system', machine.kernel],
    ['Node.js', machine.node],
    ...Object.entries(versions),
    ['load average before', machine.loadAverage.toFixed(2)],
    ['commit', machine.commit],
    ['repeat all', command],
  ];
  return `<section id="about"><h2>What it was measured on</h2>
<table class="about"><tbody>
${rows.map(([name, value]) => `<tr><th>${html(name)}</th><td>${html(value)}</td></tr>`).join('')}</tbody></table>
<p>Generator, servers and databases share the cores. Open loops count each latency from the instant at which its
request was due, by a schedule fixed in advance; closed loops from when it was sent. Tables show medians over the
rounds; hold the pointer over a figure for its range. CPU is per answer, from the operating system's accounting:
<em>front</em> is the server's main thread, <em>worker</em> the busiest of its other threads, <em>other threads</em>
what remains of the process (journal, shipper, collector, compiler), <em>database</em> all of its processes. The .hgrm
files beside this page are read by HdrHistogram's plotter.</p></section>`;
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #fff; --line: #d9dee5; --engine: #0b6bcb;
--control: #9aa5b1; --good: #1a7f4b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b1; --paper: #14181f; --line: #2c343f;
--engine: #5aa9ff; --control: #66717f; --good: #4cc38a; --bad: #ff8a80; } }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header, main { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
h1 { margin: 28px 0 0; font-size: 26px; } header p { margin: 4px 0 20px; color: var(--soft); }
section { border-top: 1px solid var(--line); padding: 8px 0 20px; } h2 { font-size: 18px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, .about td, section > table td, section > table th { text-align: left; } thead th { color: var(--soft);
font-weight: 500; }
tr.control th, tr.control td { color: var(--soft); } tr.met td:last-child { color: var(--good); }
tr.missed td:last-child { color: var(--bad); }
.about td { white-space: normal; } .scroll { overflow-x: auto; } .warning { color: var(--bad); }
ul { color: var(--soft); font-size: 13px; padding-left: 18px; } .repeat { font-size: 13px; color: var(--soft); }
.bars { display: grid; gap: 5px; margin: 12px 0; } .bar { display: grid; grid-template-columns: 260px 1fr 110px;
gap: 10px; align-items: center; font-size: 13px; }
.track { position: relative; height: 14px; background: color-mix(in srgb, var(--line) 45%, transparent); }
.fill { position: absolute; inset: 0 auto 0 0; background: var(--engine); }
.control .fill { background: var(--control); } .range { position: absolute; top: 6px; height: 2px; min-width: 1px;
background: var(--ink); } .value { text-align: right; font-variant-numeric: tabular-nums; }
.plot { margin: 16px 0; } .u-legend { font-size: 12px; } a { color: inherit; }
@media (max-width: 700px) { .bar { grid-template-columns: 130px 1fr 80px; } }`;

/** The x axis is how rare a latency is: each factor of ten one nine more. */
const pageScript = `
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
const ink = dark ? '#9aa5b1' : '#5b6675', grid = dark ? '#2c343f' : '#e6e9ee';
const engineColors = ['#0b6bcb', '#d9480f', '#1a7f4b', '#8e44ad', '#b58900'], controlColors =
  ['#9aa5b1', '#c2a878', '#8fb3a4', '#b39ac2', '#c29a9a', '#7f8c9b'];
function percentile(rarity) { return rarity <= 1 ? '0' : String(Number((100 * (1 - 1 / rarity)).toPrecision(
  Math.max(2, Math.ceil(Math.log10(rarity)) + 2)))); }
plots.forEach((plot, index) => {
  const element = document.getElementById('plot-' + index);
  if (!element || plot.length === 0) return;
  const xs = [...new Set(plot.flatMap(({ x }) => x))].sort((left, right) => left - right);
  const columns = plot.map(({ x, y }) => { const at = new Map(x.map((value, i) => [value, y[i]]));
  return xs.map((value) => at.get(value) ?? null); });
  let engines = 0, controls = 0;
  const series = plot.map(({ name, control }) => ({ label: name, width: control ? 1.25 : 2,
    dash: control ? [5, 4] : undefined, spanGaps: false, points: { show: false },
    stroke: control ? controlColors[controls++ % controlColors.length] : engineColors[engines++ % engineColors.length],
    value: (_, ms) => ms == null ? '' : ms + ' ms' }));
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const chart = new uPlot({ width: element.clientWidth, height: 320, scales: { x: { time: false, distr: 3 },
  y: { distr: 3 } },
    axes: [{ ...axis, label: 'percentile', values: (_, ticks) => ticks.map((tick) =>
    tick == null || Math.abs(Math.log10(tick) % 1) > 1e-9 ? null : percentile(tick)) },
           { ...axis, label: 'milliseconds', size: 60, values: (_, ticks) => ticks.map((tick) => tick == null || 
           ![1, 2, 5].includes(Number(tick.toExponential()[0])) ? null : String(tick)) }],
    series: [{ label: 'percentile', value: (_, rarity) => rarity == null ? '' : percentile(rarity) }, ...series] }, 
    [xs, ...columns], element);
  addEventListener('resize', () => chart.setSize({ width: element.clientWidth, height: 320 }));
});`;
