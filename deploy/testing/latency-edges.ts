/** Which latency histograms of a scrape lack one of the edges that dashboards and alerts count on. */

/** Seconds. */
const edges = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

/** @returns names of histograms in seconds and what they lack; and how many there are in all */
export function latencyEdges(scrape: string): { readonly count: number; readonly lacking: readonly string[] } {
  const bounds = new Map<string, Set<number>>();
  for (const [, name, labels] of scrape.matchAll(/^([a-z_]+_seconds)_bucket\{([^}]*)\} /gm)) {
    // prom-client's own, of garbage collections.
    if (name!.startsWith('nodejs_')) continue;
    const seen = bounds.get(name!) ?? new Set<number>();
    seen.add(Number(/le="([^"]+)"/.exec(labels!)?.[1]));
    bounds.set(name!, seen);
  }
  const lacking = [...bounds].flatMap(([name, seen]) =>
    edges.filter((edge) => !seen.has(edge)).map((edge) => `${name} lacks ${edge}`),
  );
  return { count: bounds.size, lacking };
}
