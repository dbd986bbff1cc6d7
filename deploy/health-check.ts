/**
 * The HEALTHCHECK of the image, which has no curl: exit code 0 while the process of this container is ready. Which one
 * it is says the command line of process 1. A container that migrates has no port, and is healthy while it runs.
 */
import { readFile } from 'node:fs/promises';

const timeoutMs = 2_500;

const command = await readFile('/proc/1/cmdline', 'utf8');
const { OPS_PORT = '8081', API_PORT = '3000' } = process.env;
const port = command.includes('engine/main.js') ? OPS_PORT : command.includes('api/main.js') ? API_PORT : null;
if (port !== null) {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(timeoutMs) }).catch(
    () => null,
  );
  if (response?.status !== 200) {
    console.error(response === null ? `nothing answers on port ${port}` : await response.text());
    process.exitCode = 1;
  }
}
