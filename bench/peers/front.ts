/** The front of every peer that is not Fastify's: the engine's own HTTP library, authentication and bounds. */
import uWS from 'uWebSockets.js';
import { BasicAuth } from '../../engine/transports/http/basic-auth.js';
import { answerText, type Peer, readQuestion } from './question.js';

/** The engine's own limit of a body. */
const bodyBytesMax = 64 * 1024;

export interface FrontOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Serves until the process ends. Resolves when it listens. */
export function serveFront(peer: Peer, options: FrontOptions): Promise<void> {
  const auth = new BasicAuth(options.user, [options.password]);
  const app = uWS.App().post('/v1/authorizations', (response, request) => {
    const startedMs = performance.now();
    const isAllowed = auth.accepts(request.getHeader('authorization'));
    let aborted = false;
    let body: Buffer = Buffer.alloc(0);
    response.onAborted(() => {
      aborted = true;
    });
    const answer = (status: string, text: string): void => {
      if (aborted) return;
      response.cork(() => {
        response.writeStatus(status).writeHeader('content-type', 'application/json').end(text);
      });
    };
    response.onData((chunk, isLast) => {
      if (aborted) return;
      body = Buffer.concat([body, Buffer.from(chunk)]);
      if (body.length > bodyBytesMax) {
        aborted = true;
        response.close();
        return;
      }
      if (!isLast) return;
      if (!isAllowed) return answer('401 Unauthorized', '{}');
      const question = readQuestion(body.toString('utf8'));
      if (question === null) return answer('400 Bad Request', '{}');
      peer.authorize(question).then(
        (outcome) => {
          const text = answerText(question, outcome, performance.now() - startedMs);
          answer(outcome.conflict ? '409 Conflict' : '200 OK', text);
        },
        (error: unknown) => {
          process.stderr.write(`${String(error)}\n`);
          answer('503 Service Unavailable', '{}');
        },
      );
    });
  });
  return new Promise((resolve, reject) => {
    app.listen(options.host, options.port, (socket) => {
      if (socket === false) reject(new Error(`cannot listen on ${options.host}:${options.port}`));
      else resolve();
    });
  });
}
