/** The pages that the `type` of a problem leads to: every error code, and what to do about it. */
import type { FastifyInstance } from 'fastify';
import { problemCodes, problemsPath } from '../../platform/problems/problem-codes.js';
import { notFound } from './problem.js';

export function registerProblemPages(app: FastifyInstance): void {
  const list = Object.keys(problemCodes).map(
    (code) => `<dt><a href="${problemsPath}/${code}">${code}</a></dt>${meaningOf(code)}`,
  );
  const index = page('Errors of Atlanticfrewaycard', `<dl>${list.join('\n')}</dl>`);
  app.get(problemsPath, async (_request, reply) => reply.type(htmlType).send(index));
  app.get(`${problemsPath}/:code`, async (request, reply) => {
    const { code } = request.params as { code: string };
    if (!Object.hasOwn(problemCodes, code)) throw notFound();
    const more = `<p><a href="${problemsPath}">All errors</a></p>`;
    return reply.type(htmlType).send(page(code, `<dl>${meaningOf(code)}</dl>${more}`));
  });
}

const htmlType = 'text/html; charset=utf-8';

/** Only texts of ours: the table has backquotes around code, and no other markup. */
function meaningOf(code: string): string {
  const text = problemCodes[code]!.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<dd>${text.replaceAll(/`([^`]+)`/g, '<code>$1</code>')}</dd>`;
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1>
${content}
</body></html>
`;
}
