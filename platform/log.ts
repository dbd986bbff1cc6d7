/**
 * Structured logs of every process, and the only importer of pino. Every line passes the card-data mask once more: a
 * card number in an error message must not reach a disk. Fields that carry secrets are never written, whatever the
 * caller logs.
 */
import { type Logger, pino } from 'pino';
import { maskCardData } from './masking/redact.js';

export type Log = Logger;

const secretFields = ['password', 'newPassword', 'token', 'refreshToken', 'invitation', 'reset', 'authorization'];

/**
 * @param level pino's: trace … fatal, silent
 * @param write takes each line, masked
 */
export function createLog(level: string, name: string, write: (line: string) => void = toStandardOutput): Log {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid, name },
      redact: { paths: secretFields.flatMap((field) => [field, `*.${field}`]), censor: '[masked]' },
    },
    { write: (line: string) => write(maskCardData(line)) },
  );
}

function toStandardOutput(line: string): void {
  process.stdout.write(line);
}
