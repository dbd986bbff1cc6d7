/**
 * The control of every benchmark: a bare uWebSockets.js server that answers each POST with the bytes it got, and does
 * nothing else. What it reaches on a machine, beside the same generator, is what HTTP itself costs there; the engine's
 * speed is stated as a share of it.
 *
 * A process of its own: `node dist/bench/echo.js`, CONTROL_PORT (0: any free port), prints `listening <port>`.
 */
import uWS from 'uWebSockets.js';

const host = '127.0.0.1';
const { CONTROL_PORT } = process.env;
const port = Number(CONTROL_PORT ?? 0);
/** The engine's own limit of a body, so that the control is bounded alike. */
const bodyBytesMax = 64 * 1024;

uWS
  .App()
  .post('/*', (response) => {
    let body: Buffer | null = null;
    let done = false;
    response.onAborted(() => {
      done = true;
    });
    response.onData((chunk, isLast) => {
      if (done) return;
      if (body !== null || !isLast) {
        // The chunk is detached when this callback ends: copy it while more is to come.
        const copy = Buffer.from(new Uint8Array(chunk).slice().buffer);
        body = body === null ? copy : Buffer.concat([body, copy]);
        if (body.length > bodyBytesMax) {
          done = true;
          response.close();
          return;
        }
      }
      if (!isLast) return;
      done = true;
      response.cork(() => {
        response.writeHeader('content-type', 'application/json').end(body ?? chunk);
      });
    });
  })
  .listen(host, port, (socket) => {
    if (socket === false) {
      process.stderr.write(`echo: cannot listen on ${host}:${port}\n`);
      process.exit(1);
    }
    process.stdout.write(`listening ${uWS.us_socket_local_port(socket)}\n`);
  });

// Started by a benchmark that may be killed: when the pipe from its parent closes, the control has no purpose left.
if (process.argv.includes('--tethered')) process.stdin.on('end', () => process.exit(0)).resume();
