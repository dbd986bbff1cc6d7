/** Latency over 15 minutes on a logarithmic scale; pointing at it shows the values. The only importer of uplot. */
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { durationText, timeText } from '../../kit/format.js';
import { points } from '../../kit/live.js';
import { language, t } from '../../kit/messages.js';
import { theme } from '../../kit/theme.js';

const height = 220;

export default function LatencyChart() {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const { value: chosen } = theme;
  const { value: spoken } = language;
  useEffect(() => {
    // Kept: the reference is empty before an observer that is on its way learns that the page has left.
    const box = place.current!;
    const made = make(box);
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height }));
    resized.observe(box);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const redraw = (): void => made.redraw();
    scheme.addEventListener('change', redraw);
    return () => {
      scheme.removeEventListener('change', redraw);
      resized.disconnect();
      made.destroy();
    };
  }, [chosen, spoken]);
  useSignalEffect(() => {
    const data = dataOf();
    chart.current?.setData(data);
  });
  return <div ref={place} class="chart" />;
}

function dataOf(): uPlot.AlignedData {
  const { atMs, p50, p99, p999 } = points.value;
  return [atMs.map((at) => at / 1000), [...p50], [...p99], [...p999]];
}

function make(place: HTMLDivElement): uPlot {
  const colour = (name: string) => () => getComputedStyle(place).getPropertyValue(name);
  const ms = (value: number | null) => (value === null ? '–' : durationText(value, language.value));
  const line = (label: string, stroke: string, width: number, dash: number[] = []): uPlot.Series => ({
    label,
    stroke: colour(stroke),
    width,
    dash,
    points: { show: false },
    value: (_plot, value) => ms(value),
  });
  const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line') }, ticks: { show: false } };
  return new uPlot(
    {
      width: place.clientWidth,
      height,
      // Its legend has the words of the lines, and the values under the pointer.
      legend: { live: true, markers: { dash: (_plot, series) => (series === 3 ? 'dotted' : 'solid') } },
      cursor: { y: false },
      scales: {
        y: { distr: 3, range: (_plot, least, most) => [Math.min(least ?? 0.1, 0.1), Math.max(most ?? 10, 10)] },
      },
      series: [
        {
          label: t('live.time'),
          value: (_plot, value) => (value === null ? '–' : timeText(value * 1000, language.value)),
        },
        line('p50', '--soft', 1),
        line('p99', '--ink', 2),
        line('p99.9', '--ink', 1, [2, 3]),
      ],
      axes: [
        { ...axis, values: (_plot, values) => values.map((at) => timeText(at * 1000, language.value).slice(0, 5)) },
        { ...axis, size: 60, values: (_plot, values) => values.map((value) => (value === null ? '' : ms(value))) },
      ],
    },
    dataOf(),
    place,
  );
}
