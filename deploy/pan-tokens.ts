/**
 * `npm run pan-tokens`: prints the card tokens that stand for card numbers on ISO 8583 links. The numbers come by the
 * standard input, one on each line: arguments of a process are seen by others. Nothing is kept.
 */
import { createInterface } from 'node:readline';
import { ConfigError, Variables } from '../platform/config/variables.js';
import { PanKeys, panKeysOf } from '../platform/masking/hidden-ids.js';

try {
  const keys = new PanKeys(panKeysOf(new Variables(process.env).list('PAN_KEY', true), []));
  let lineNumber = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    lineNumber++;
    const pan = line.trim();
    if (!/^[0-9]{8,19}$/.test(pan)) throw new ConfigError(`line ${lineNumber} is no card number: 8 to 19 digits`);
    console.log(keys.panTokens(pan)[0]);
  }
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
