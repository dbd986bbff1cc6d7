/**
 * Structured logs of the engine. Everything that goes out passes the card-data mask once more: a card
 * number in an error message or a field name we forgot must not reach a disk.
 */
import { type Logger, pino } from 'pino';
import { maskCardData } from '../platform/masking/redact.js';

export type Log = Logger;

/** @param level pino's: trace … fatal, silent */
export function createLog(level: string, name: string): Log {
  return pino(
    { name, level, base: { pid: process.pid, name } },
    { write: (line: string) => void process.stdout.write(maskCardData(line)) },
  );
}
