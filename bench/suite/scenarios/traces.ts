/**
 * What OpenTelemetry's spans cost an engine at full load, about 50,000 messages a second. One engine has none, one
 * traces a message in 1,000, and one so many that the bound a second is reached.
 */
import { OtlpReceiver } from '../../../deploy/testing/otlp-receiver.js';
import { goal, measure, plainTraffic, type Scenario, warmUp } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleOf } from '../sample.js';

const connectionCount = 256;

type Way = readonly [name: string, env: Readonly<Record<string, string>>, samples: Sample[]];

export const traces: Scenario = {
  name: 'traces',
  title: 'An engine at full load without spans and with them',
  seconds: 90,
  engine: 'any',
  async run(bench) {
    const receiver = await OtlpReceiver.start();
    bench.ends.add(async () => receiver.stop());
    const ways: Way[] = [
      ['no traces', {}, []],
      ['1 of 1,000', { TRACE_URL: receiver.url, TRACE_EVERY: '1000' }, []],
      ['200 a second', { TRACE_URL: receiver.url, TRACE_EVERY: '10' }, []],
    ];
    for (let round = 1; round <= bench.scale.roundCount; round++) {
      // Forward and backward by turns: a machine that grows slower must not look like the cost of the last one.
      for (const [name, env, samples] of round % 2 === 1 ? ways : ways.toReversed()) {
        await bench.engineWith(env);
        await warmUp(bench);
        const traffic = plainTraffic(bench);
        const load = await measure(bench, bench.stack.engine, { pace: { kind: 'closed' }, connectionCount, traffic });
        const sample = sampleOf(load);
        samples.push(sample);
        bench.log(`round ${round}, ${name}: ${Math.round(sample.figures.perSecond ?? 0)}/s`);
      }
    }
    const series: Series[] = ways.map(([name, , samples]) => ({ name, control: false, samples }));
    const [without, usual] = series;
    return {
      settings: { connections: connectionCount, traffic: 'plain authorizations' },
      series,
      goals: [
        goal(
          'with 1 of 1,000 at least 99 % of the answers without',
          usual!.samples,
          ({ perSecond = 0 }, round) => perSecond >= 0.99 * (without!.samples[round]!.figures.perSecond ?? 0),
        ),
      ],
      notes: [`${receiver.spans.length} spans arrived.`],
    };
  },
};
