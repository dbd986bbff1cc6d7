/** Which requests are traced, and how traces continue. */
import t from 'tap';
import { noSpansDropped, readTraceparent, type SpanTimes, type TraceIds, Traces, writeTraceparent } from './traces.js';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';

t.test('a traceparent is read as W3C says, and a wrong one is ignored', async (t) => {
  t.same(readTraceparent(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, isSampled: true });
  t.match(readTraceparent(`00-${trace}-${span}-00`), { isSampled: false });
  t.match(readTraceparent(`01-${trace}-${span}-03-more`), { isSampled: true }, 'a later version');
  for (const wrong of [
    '',
    `ff-${trace}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-011`,
    'x'.repeat(10_000),
  ]) {
    t.equal(readTraceparent(wrong), null, wrong.slice(0, 80));
  }
  const ids = { traceId: trace, spanId: span, parentId: '' };
  t.match(readTraceparent(writeTraceparent(ids, true)), { traceId: trace, spanId: span, isSampled: true });
});

function traces(every: number) {
  const added: { ids: TraceIds; span: SpanTimes }[] = [];
  let count = 0;
  const sink = {
    dropped: noSpansDropped,
    newTraceId: () => trace,
    newSpanId: () => String(++count).padStart(16, '0'),
    add: (ids: TraceIds, span: SpanTimes) => void added.push({ ids, span }),
    close: async () => undefined,
  };
  return { added, traces: new Traces(sink, every) };
}

const times = (endMs: number): SpanTimes => ({
  ...{ name: 'a', kind: 'server', startMs: endMs - 1, endMs, attributes: {}, failure: '' },
});

t.test('one request of so many is drawn', async (t) => {
  const { traces: drawing } = traces(100);
  t.equal(Array.from({ length: 1000 }, () => drawing.draw()).filter(Boolean).length, 10);
});

t.test('a request continues the trace of its client, and its parts hang below it', async (t) => {
  const { added, traces: continued } = traces(1);
  const ids = continued.begin({ traceId: 'a'.repeat(32), spanId: span, isSampled: true });
  continued.add(ids, times(5000), [times(4999)]);
  t.match(added, [
    { ids: { traceId: 'a'.repeat(32), parentId: span, spanId: ids.spanId } },
    { ids: { traceId: 'a'.repeat(32), parentId: ids.spanId } },
  ]);
});

t.test('a second has 200 traces at most, and the next one has its own', async (t) => {
  const { added, traces: bounded } = traces(1);
  for (let index = 0; index < 250; index++) bounded.add(bounded.begin(null), times(5000), []);
  t.same([added.length, bounded.dropped], [200, 50]);
  bounded.add(bounded.begin(null), times(6000), []);
  t.equal(added.length, 201);
});
