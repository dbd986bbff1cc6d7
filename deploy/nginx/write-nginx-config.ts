/** `npm run nginx-config`: prints the configuration of nginx for these addresses, or writes it into a file. */
import { writeFileSync } from 'node:fs';
import { nginxConfig } from './nginx-config.js';
import { readNginxArguments } from './read-nginx-arguments.js';

try {
  const { into, ...settings } = readNginxArguments(process.argv.slice(2));
  writeFileSync(into ?? process.stdout.fd, nginxConfig(settings));
} catch (error) {
  console.error(`nginx-config: ${(error as Error).message}`);
  process.exitCode = 1;
}
