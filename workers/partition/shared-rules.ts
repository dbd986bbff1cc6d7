/**
 * Compiled limits, shared: programs give the same limits to many cards, and compiled they take several times the memory
 * of the card's own row.
 */
import { LRUCache } from 'lru-cache';
import type { Limits, Rules } from '../../engine/core/rules.js';
import { compileRules } from '../../engine/core/rules.js';

/** Characters of the limits that are recognized when they come again: about 10,000 kinds, or a few long lists. */
const textMax = 2 ** 20;

const known = new LRUCache<string, Rules>({ maxSize: textMax, sizeCalculation: (_rules, text) => text.length });

/** As compileRules(), but for the same limits the same rules, as long as they are remembered. */
export function sharedRules(limits: Limits | null): Rules | null {
  if (limits === null) return null;
  const text = JSON.stringify(limits);
  const shared = known.get(text);
  if (shared !== undefined) return shared;
  const rules = compileRules(limits);
  if (rules !== null) known.set(text, rules);
  return rules;
}
