/**
 * File descriptors: how many this process may have, and how many of them each port's connections may take. Without a
 * bound idle connections take the last one, and then neither the journal nor the databases can be opened.
 */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config/variables.js';

/**
 * True when the process (EMFILE) or the machine (ENFILE) has no file descriptor left, which passes: nothing was opened
 * or changed.
 */
export function isOutOfDescriptors(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'EMFILE' || code === 'ENFILE';
}

/** The limit of open files of this process. Node.js has raised it to the hard limit when it started. */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    if (soft !== undefined) return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    // Not Linux.
  }
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = Number(userLimits?.open_files?.soft);
  return Number.isFinite(soft) ? soft : Number.POSITIVE_INFINITY;
}

export interface ConnectionBounds {
  /** Most connections of the port. */
  readonly max: number;
  /** Most of one address. */
  readonly perAddressMax: number;
}

export interface DescriptorBudget {
  /** The limit of open files. */
  readonly limit: number;
  /** What the process needs beside the connections of this port. */
  readonly reserve: number;
  /** Name of the variable that sets the bound. */
  readonly variable: string;
  /** What it was set to. */
  readonly max: number | undefined;
  readonly perAddressMax: number | undefined;
}

/** Each costs memory in the kernel and here: more than this must be asked for. */
const defaultMax = 65_536;
/** A port with fewer is of no use. */
const leastMax = 32;
/** One address leaves the rest to others. */
const addressShare = 0.75;

/** Bounds of a port that fit the limit of open files. @throws ConfigError when that is too low for what is asked */
export function connectionBounds({
  limit,
  reserve,
  variable,
  max: asked,
  perAddressMax,
}: DescriptorBudget): ConnectionBounds {
  const available = limit - reserve;
  if (available < Math.max(leastMax, asked ?? 0)) {
    const wanted = asked === undefined ? `at least ${leastMax}` : `${variable}=${asked}`;
    throw new ConfigError(
      `the limit of open files is ${limit}; ${reserve} are needed for journal, databases and other ports, and ` +
        `${wanted} for connections: raise the limit to ${reserve + (asked ?? leastMax)} or more (ulimit -n, ` +
        `LimitNOFILE)${asked === undefined ? '' : `, or lower ${variable}`}`,
    );
  }
  const max = asked ?? Math.min(defaultMax, available);
  return { max, perAddressMax: Math.min(max, perAddressMax ?? Math.ceil(max * addressShare)) };
}
