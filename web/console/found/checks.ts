/** Checks of a decision in words. Pure, so that tests read it without a browser. */
import { dateTimeText, moneyText } from '../../kit/format.js';
import { language, type MessageKey, t, textOf } from '../../kit/messages.js';

export type CheckNumbers = Readonly<Record<string, string | number | boolean | null>>;
export interface Check {
  readonly reason: string;
  readonly detail: string;
  readonly passed: boolean | null;
  readonly numbers: CheckNumbers;
}

/** What was checked, and the numbers that it had. */
export function wordsOf({ reason, detail, passed, numbers: n }: Check, currency: string): [what: string, how: string] {
  const money = (name: string) => moneyText(Number(n[name] ?? 0), currency, language.value);
  const values = Object.fromEntries(Object.entries(n).map(([name, value]) => [name, String(value ?? '–')]));
  const key = `check.${reason}` as MessageKey;
  if (reason === 'limit_exceeded') return limitWords(detail, n, money);
  if (reason === 'insufficient_funds') {
    return [t('check.insufficient_funds'), compared(passed, money('amount'), money('available'))];
  }
  if (reason === 'amount_invalid') {
    const isOfBooks = n['total'] !== undefined;
    const how = isOfBooks
      ? compared(passed, money('total'), money('bound'))
      : n['amount'] === null
        ? ''
        : money('amount');
    return [t('check.amount_invalid'), how];
  }
  if (reason === 'verification_failed') {
    const [level = '', , what = ''] = detail.split('.');
    const named = { level: textOf('level', level) ?? level, what: textOf('verification', what) ?? what };
    return [t(key, named), t('check.verificationHow', values)];
  }
  if (reason.endsWith('_blocked')) return [t(key, values), listWords(n)];
  const how = textOf('checkHow', reason);
  const given = Object.keys(n).length > 0 && how !== null;
  return [t(key), given ? t(`checkHow.${reason}` as MessageKey, values) : ''];
}

function compared(passed: boolean | null, left: string, right: string): string {
  if (passed === null) return t('check.notReached', { numbers: `${left} / ${right}` });
  return `${left} ${passed ? '≤' : '>'} ${right}`;
}

function limitWords(detail: string, n: CheckNumbers, money: (name: string) => string): [string, string] {
  if (n['isUsed'] !== undefined) return [t('check.singleUse'), t(n['isUsed'] === true ? 'check.used' : 'check.unused')];
  // A rolling window has its number before what it limits.
  const [level = '', window = '', ...rest] = detail.split('.');
  const what = rest.at(-1) ?? '';
  const name = t('check.limit', {
    level: textOf('level', level) ?? level,
    window: textOf('limitWindow', window) ?? window,
    what: what === '' ? '' : (textOf('limitOf', what) ?? what),
  });
  if (n['limit'] === undefined) return [name, ''];
  const shown = (key: string) => (what === 'count' ? String(n[key]) : money(key));
  if (n['total'] !== undefined) return [name, `${shown('total')} ${signOf(n)} ${shown('limit')}`];
  const sum = `${shown('used')} + ${shown('added')} ${signOf(n)} ${shown('limit')}`;
  const end = n['endsAtMs'];
  const until = typeof end === 'number' ? t('check.until', { end: dateTimeText(end, language.value) }) : '';
  return [name, `${sum} ${until}`.trim()];
}

function signOf(n: CheckNumbers): string {
  const total = n['total'] === undefined ? Number(n['used']) + Number(n['added']) : Number(n['total']);
  return total > Number(n['limit']) && n['added'] !== 0 ? '>' : '≤';
}

/** Which lists there were, and which entry matched. */
function listWords(n: CheckNumbers): string {
  if (n['declinedBy'] === 'lock') return t('check.locked', { merchant: String(n['lockedTo'] || '–') });
  const lists = ['card', 'user', 'account'].filter((level) => (n[level] ?? null) !== null);
  if (lists.length === 0) return t('check.noList');
  const named = lists.map((level) =>
    t(n[level] === 'block' ? 'check.blockList' : 'check.allowList', { level: textOf('level', level) ?? level }),
  );
  const entry = n['entry'];
  // Of recurring purchases there is nothing to list.
  if (entry === undefined) return named.join(', ');
  return [named.join(', '), entry === null ? t('check.noEntry') : t('check.entry', { entry: String(entry) })].join(
    ': ',
  );
}
