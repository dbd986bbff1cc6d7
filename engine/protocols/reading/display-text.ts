/** Texts that are only ever shown. Nothing in one declines a purchase: what may not be kept is taken out of it. */
import { maskPansInText } from '../../../platform/masking/redact.js';

/** Control characters that part words become a space. */
const breaks = /[\t\n\v\f\r\u0085\u2028\u2029]/g;
/**
 * Characters that are invisible or turn the text around them: controls, direction marks, overrides and isolates (Trojan
 * Source, CVE-2021-42574), invisible spaces and tags. The joiners of Indic scripts and emoji stay.
 */
const invisible =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
/** A half of a pair has no UTF-8. */
const loneSurrogates = /\p{Cs}/gu;

/** A text as it is kept: cleaned, its card numbers masked, then cut. '' when nothing is left of it. */
export function displayText(text: string, lengthMax: number): string {
  const clean = text.replace(breaks, ' ').replace(invisible, '').replace(loneSurrogates, '\ufffd');
  // Masked before it is cut: half of a card number would no longer be known for one.
  const safe = maskPansInText(clean);
  if (safe.length <= lengthMax) return safe;
  return [...safe].slice(0, lengthMax).join('');
}
