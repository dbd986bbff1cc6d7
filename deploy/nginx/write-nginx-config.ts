/** `npm run nginx-config`: prints the configuration of nginx for these addresses. */
import { nginxConfig } from './nginx-config.js';
import { readNginxArguments } from './read-nginx-arguments.js';

try {
  process.stdout.write(nginxConfig(readNginxArguments(process.argv.slice(2))));
} catch (error) {
  console.error(`nginx-config: ${(error as Error).message}`);
  process.exitCode = 1;
}
