/** Ports of `make cluster`: nginx has those of `make run`; engines and APIs have their own above them. */
import { consoleAddress, type DeploySettings, SettingError } from './settings.js';

export interface EnginePorts {
  readonly auth: number;
  readonly ops: number;
  readonly peer: number;
}

export interface ApiPorts {
  readonly api: number;
  readonly ops: number;
  /** Null: CONSOLE_HOST is not set. */
  readonly console: number | null;
}

export interface ClusterPorts {
  readonly engines: readonly EnginePorts[];
  readonly apis: readonly ApiPorts[];
  /** Lines for a person about ports that are not the base plus 100 plus the number. */
  readonly moved: readonly string[];
}

type BasePorts = Pick<DeploySettings, 'authPort' | 'opsPort' | 'apiPort' | 'apiOpsPort' | 'consoleHost'>;

/** Process n listens on a base plus 100 plus n. Ops ports that would meet the others begin at 200. */
export function clusterPorts(base: BasePorts, engineCount: number, apiCount: number): ClusterPorts {
  const opsOffset = offsetOfOps(base.authPort, base.opsPort, engineCount);
  const apiOpsOffset = offsetOfOps(base.apiPort, base.apiOpsPort, apiCount);
  const engines = upTo(engineCount).map((n) => ({
    auth: base.authPort + 100 + n,
    ops: base.opsPort + opsOffset + n,
    peer: base.authPort + 300 + n,
  }));
  const consolePort = consoleAddress(base)?.port ?? null;
  const apis = upTo(apiCount).map((n) => ({
    api: base.apiPort + 100 + n,
    ops: base.apiOpsPort + apiOpsOffset + n,
    // Above those of the APIs, which a console beside API_PORT would meet.
    console: consolePort === null ? null : consolePort + 300 + n,
  }));
  const { authPort, opsPort, apiPort } = base;
  const own = [...engines, ...apis].flatMap((ports): (number | null)[] => Object.values(ports));
  checkApart([authPort, opsPort, apiPort, consolePort, ...own].filter((port) => port !== null));
  const moved = [
    ...(opsOffset === 100 ? [] : [`the engines' ops ports are OPS_PORT+200+n: OPS_PORT+100+n meets AUTH_PORT+100+n`]),
    ...(apiOpsOffset === 100
      ? []
      : [`the APIs' ops ports are API_OPS_PORT+200+n: API_OPS_PORT+100+n meets API_PORT+100+n`]),
  ];
  return { engines, apis, moved };
}

function offsetOfOps(base: number, ops: number, count: number): number {
  return Math.abs(base - ops) < count ? 200 : 100;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function checkApart(ports: readonly number[]): void {
  const twice = ports.find((port, index) => ports.indexOf(port) !== index);
  if (twice !== undefined) {
    throw new SettingError(
      `port ${twice} would be used twice: set AUTH_PORT, OPS_PORT, API_PORT, API_OPS_PORT and CONSOLE_HOST so ` +
        'that the ports above them (+101, +201 and +301 on, one for each process) are apart',
    );
  }
  if (ports.some((port) => port > 65_535)) {
    throw new SettingError('AUTH_PORT, OPS_PORT, API_PORT and API_OPS_PORT must leave room for ports 300 above them');
  }
}
