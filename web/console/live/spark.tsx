/** A course as a line of 15 minutes, beside the number that it leads to. */
const width = 120;
const height = 28;

export function Spark({ values, least = 0 }: { readonly values: readonly (number | null)[]; readonly least?: number }) {
  const most = Math.max(...values.map((value) => value ?? least), least + 1e-9);
  const step = width / Math.max(values.length - 1, 1);
  let line = '';
  let isBroken = true;
  for (const [at, value] of values.entries()) {
    if (value === null) {
      isBroken = true;
      continue;
    }
    const y = height - 1 - ((value - least) / (most - least)) * (height - 2);
    line += `${isBroken ? 'M' : 'L'}${(at * step).toFixed(1)} ${y.toFixed(1)}`;
    isBroken = false;
  }
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={line} />
    </svg>
  );
}
