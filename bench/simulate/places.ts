/** Where the processes answer and how the simulator signs in: by options, environment, or what make run keeps. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { localUrl, readSettings } from '../../deploy/settings.js';
import { repositoryRoot } from '../../sql/repository-root.js';
import type { Credentials } from './networks/port.js';

export interface Places {
  readonly authUrl: string;
  readonly opsUrl: string;
  readonly apiUrl: string;
  readonly engineToken: string | null;
  readonly credentials: Credentials;
  /** For the tokens of card numbers, newest first. */
  readonly panKeys: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws SettingError when the environment names no port */
export function readPlaces(
  given: { readonly authUrl?: string; readonly opsUrl?: string; readonly apiUrl?: string },
  environment: Environment,
): Places {
  const settings = readSettings(environment);
  const { DATA_DIR } = environment;
  const kept = keptSecrets(DATA_DIR ? resolve(DATA_DIR) : join(repositoryRoot(), '.data'));
  // The newest of several.
  const panKeys = (environment['PAN_KEY'] || kept['PAN_KEY'] || '').split(',').filter((key) => key !== '');
  const secret = (name: string) => ((environment[name] || kept[name]) ?? '').split(',')[0]?.trim() || null;
  return {
    authUrl: given.authUrl ?? localUrl(settings.host, settings.authPort),
    opsUrl: given.opsUrl ?? localUrl(settings.opsHost, settings.opsPort),
    apiUrl: given.apiUrl ?? localUrl(settings.host, settings.apiPort),
    panKeys,
    engineToken: secret('ENGINE_TOKEN'),
    credentials: {
      user: environment['PROCESSOR_USER'] || kept['PROCESSOR_USER'] || 'processor',
      password: secret('PROCESSOR_PASSWORD') ?? '',
      marqetaSecret: secret('MARQETA_WEBHOOK_SECRET'),
      lithicSecret: secret('LITHIC_SECRET'),
      stripeSecret: secret('STRIPE_SECRET'),
    },
  };
}

/** Of the demo: make run keeps them in its folder, where only its owner reads them. */
function keptSecrets(dataDir: string): Environment {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'secrets.json'), 'utf8')) as Environment;
  } catch {
    return {};
  }
}
