/** A hold is released by any engine, whichever owns its partition. */
import t from 'tap';
import { testToken } from '../testing/engine-process.js';
import { accountId, accounts, card, type Engine, severalEngines, untilSpread } from '../testing/several-engines.js';

/** What is decided is of interest here, not how fast. */
const slow = { DEADLINE_MS: '3000' };

async function release(engine: Engine, body: object): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${engine.place.opsPort}/admin/releases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${testToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

t.test('each engine releases holds of all partitions, once, and both at once release no more', async (t) => {
  const { start } = await severalEngines(t);
  const engines = (await Promise.all([start(slow), start(slow)])) as [Engine, Engine];
  await untilSpread(engines);
  for (let account = 1; account <= accounts; account++) {
    const [asked, other] = account % 2 === 0 ? engines : [engines[1], engines[0]];
    t.equal((await asked.client.authorize(`hold-${account}`, card(account), 500)).status, 200);
    const body = { original: `hold-${account}`, card: card(account) };
    const answers = await Promise.all([
      release(other, { id: `a-${account}`, ...body }),
      release(asked, { id: `b-${account}`, ...body }),
      release(other, { id: `a-${account}`, ...body }),
    ]);
    for (const { status, json } of answers) t.match([status, json], [200, { approved: true }], accountId(account));
    t.equal(answers[0]!.json['approvedAmount'], answers[2]!.json['approvedAmount'], 'a repeat has the same answer');
    const released = answers.slice(0, 2).map(({ json }) => json['approvedAmount'] as number);
    t.equal(released[0]! + released[1]!, 500, `account ${account}: released once`);
    t.equal(answers[1]!.json['available'] ?? 0, 100_000, `account ${account}`);
  }
});
