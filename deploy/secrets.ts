/** Secrets of the demo: taken from the environment where given, else made once and kept in DATA_DIR, mode 0600. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from './private-file.js';

export interface DemoSecrets {
  readonly PROCESSOR_USER: string;
  readonly PROCESSOR_PASSWORD: string;
  readonly ENGINE_TOKEN: string;
  readonly JWT_SECRET: string;
  readonly PAN_KEY: string;
  /** Each opens its protocol: with demo data, so that the simulator can play it; else '' unless it is given. */
  readonly LITHIC_SECRET: string;
  readonly STRIPE_SECRET: string;
}

export async function demoSecrets(
  dataDir: string,
  environment: Readonly<Record<string, string | undefined>>,
  isDemo: boolean,
): Promise<DemoSecrets> {
  const path = join(dataDir, 'secrets.json');
  const text = await readFile(path, 'utf8').catch(() => '{}');
  const kept = JSON.parse(text) as Partial<DemoSecrets>;
  const random = (name: keyof DemoSecrets, bytes: number, prefix = '') =>
    kept[name] ?? prefix + randomBytes(bytes).toString(prefix === '' ? 'base64url' : 'base64');
  const made: DemoSecrets = {
    PROCESSOR_USER: kept.PROCESSOR_USER ?? 'processor',
    PROCESSOR_PASSWORD: random('PROCESSOR_PASSWORD', 24),
    ENGINE_TOKEN: random('ENGINE_TOKEN', 32),
    JWT_SECRET: random('JWT_SECRET', 48),
    PAN_KEY: random('PAN_KEY', 32),
    // Standard Webhooks: Base64 behind a prefix.
    LITHIC_SECRET: random('LITHIC_SECRET', 24, 'whsec_'),
    STRIPE_SECRET: random('STRIPE_SECRET', 24, 'whsec_'),
  };
  await writePrivateFile(path, `${JSON.stringify(made, null, 2)}\n`);
  const names = Object.keys(made) as (keyof DemoSecrets)[];
  const opensProtocol = (name: string) => name === 'LITHIC_SECRET' || name === 'STRIPE_SECRET';
  return Object.fromEntries(
    names.map((name) => [name, environment[name] || (opensProtocol(name) && !isDemo ? '' : made[name])]),
  ) as unknown as DemoSecrets;
}
