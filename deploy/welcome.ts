/** What `make run` and `make cluster` print when everything is ready: where it listens, and what to try first. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { ClusterPorts } from './cluster-ports.js';
import { demoCardToken, demoEmail, demoOperatorEmail, demoPassword } from './demo.js';
import { writePrivateFile } from './private-file.js';
import type { DemoSecrets } from './secrets.js';
import { consoleAddress, type DeploySettings, localUrl } from './settings.js';

type ProcessorSecrets = Pick<DemoSecrets, 'PROCESSOR_USER' | 'PROCESSOR_PASSWORD'>;

function userAndPassword({ PROCESSOR_USER, PROCESSOR_PASSWORD }: ProcessorSecrets): string {
  // The newest of several.
  return `${PROCESSOR_USER}:${PROCESSOR_PASSWORD.split(',')[0]}`;
}

/** One word for a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Writes the processor's credentials as a configuration of curl, which only its owner can read. @returns its path */
export async function writeCurlCredentials(dataDir: string, secrets: ProcessorSecrets): Promise<string> {
  const path = join(dataDir, 'processor.curl');
  const escaped = userAndPassword(secrets).replaceAll(/["\\]/g, '\\$&');
  await writePrivateFile(path, `user = "${escaped}"\n`);
  return path;
}

/** Where one engine and one API answer. */
export function stackPlaces(settings: DeploySettings): string {
  const { host, opsHost, authPort, opsPort, apiPort, apiOpsPort } = settings;
  const [ops, apiOps] = [localUrl(opsHost, opsPort), localUrl(opsHost, apiOpsPort)];
  return `  authorization port  ${localUrl(host, authPort)}/v1/authorizations
  operations          ${ops}/health   ${ops}/metrics
  console             ${consoleUrl(settings)}/console
  app                 ${localUrl(host, apiPort)}/app
  account API         ${localUrl(host, apiPort)}/api/docs
  its operations      ${apiOps}/health   ${apiOps}/metrics`;
}

function consoleUrl(settings: DeploySettings): string {
  const { host, port } = consoleAddress(settings) ?? { host: settings.host, port: settings.apiPort };
  return localUrl(host, port);
}

/** Where nginx answers for several engines and APIs, and where each of them does. */
export function clusterPlaces(settings: DeploySettings, ports: ClusterPorts): string {
  const { host, opsHost, authPort, opsPort, apiPort } = settings;
  return [
    `  authorization port  ${localUrl(host, authPort)}/v1/authorizations   (nginx)`,
    `  console             ${consoleUrl(settings)}/console   (nginx)`,
    `  app                 ${localUrl(host, apiPort)}/app   (nginx)`,
    `  account API         ${localUrl(host, apiPort)}/api/docs   (nginx)`,
    `  engines together    ${localUrl(opsHost, opsPort)}/admin/engines   (nginx)`,
    ...ports.engines.map(({ auth, ops }, index) => {
      return `  engine ${index + 1}            ${localUrl(host, auth)}   ${localUrl(opsHost, ops)}/health`;
    }),
    ...ports.apis.map(({ api, ops }, index) => {
      return `  api ${index + 1}               ${localUrl(host, api)}   ${localUrl(opsHost, ops)}/health`;
    }),
    ...ports.moved.map((line) => `  ${line}`),
  ].join('\n');
}

/**
 * @param places lines that say where to find what
 * @param credentialsFile named instead of the processor's password, since what is no terminal may be a log; null: print
 *   the password
 */
export function welcome(
  settings: DeploySettings,
  places: string,
  secrets: ProcessorSecrets,
  credentialsFile: string | null,
): string {
  const authUrl = localUrl(settings.host, settings.authPort);
  const apiUrl = localUrl(settings.host, settings.apiPort);
  const question = {
    // A new id each time this is printed: pasting it twice asks the same question and gets the same answer.
    id: `demo-${randomUUID()}`,
    type: 'authorization',
    card: demoCardToken,
    amount: 1250,
    currency: 'USD',
    merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    channel: 'chip',
  };
  const credentials =
    credentialsFile === null ? `-u ${quoted(userAndPassword(secrets))}` : `-K ${quoted(credentialsFile)}`;
  const demo = settings.isDemo
    ? `  demo login          ${demoEmail} / ${demoPassword}
  demo operator       ${demoOperatorEmail} / ${demoPassword}
  demo cards          card_demo, card_demo_frozen, card_demo_limited

ask for one authorization:
  curl -s ${credentials} ${authUrl}/v1/authorizations \\
    -H 'content-type: application/json' -d '${JSON.stringify(question)}'

play a card network, or see what it can play:
  npm run simulate -- story hotel
  npm run simulate -- --list

sign in:
  curl -s ${apiUrl}/api/auth/login -H 'content-type: application/json' \\
    -d '{"email":"${demoEmail}","password":"${demoPassword}"}'
`
    : `  no demo data        DEMO=true adds them; npm run operator adds an operator
`;
  return `
ready
${places}
${demo}
Ctrl-C stops everything; the data stay in ${settings.dataDir}
`;
}
