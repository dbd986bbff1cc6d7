/** The last decisions as they come. `p` holds them, `j` and `k` move, Enter opens one. */
import { batch, signal } from '@preact/signals';
import type { LiveDecision } from '../../../api/live/live-shape.js';
import { Button } from '../../kit/controls.js';
import { Duration, Money, Time, Verdict } from '../../kit/data.js';
import { useKeys } from '../../kit/keys.js';
import { decisions } from '../../kit/live.js';
import { t, textOf } from '../../kit/messages.js';
import { go, href } from '../../kit/router.js';

const shown = 24;
/** What was there when the list was held; null: it follows the stream. */
const held = signal<readonly LiveDecision[] | null>(null);
const selectedId = signal<string | null>(null);

const rows = () => (held.value ?? decisions.value).slice(0, shown);
const pathOf = ({ id }: LiveDecision) => `/decisions/${encodeURIComponent(id)}`;

function toggle(): void {
  held.value = held.value === null ? decisions.value : null;
}

/** Moving holds the list: a row must not slip away under the cursor. */
function move(by: number): void {
  batch(() => {
    held.value ??= decisions.value;
    const list = rows();
    const at = list.findIndex(({ id }) => id === selectedId.value);
    selectedId.value = list[Math.min(Math.max(at + by, 0), list.length - 1)]?.id ?? null;
  });
}

function open(): void {
  const selected = rows().find(({ id }) => id === selectedId.value);
  if (selected !== undefined) go(pathOf(selected));
}

export function Decisions() {
  useKeys([
    { keys: 'p', title: 'live.pause', run: toggle },
    { keys: 'j', title: 'keys.next', run: () => move(1) },
    { keys: 'k', title: 'keys.previous', run: () => move(-1) },
    { keys: 'Enter', title: 'keys.open', run: open },
  ]);
  const isHeld = held.value !== null;
  const newest = held.value?.[0];
  const more = newest === undefined ? 0 : decisions.value.findIndex(({ id }) => id === newest.id);
  const list = rows();
  return (
    <div class="panel">
      <div class="row spread">
        <h2 id="decisions-title">{t('live.last')}</h2>
        <div class="row">
          {isHeld && <span class="warn">{t('live.paused', { count: more < 0 ? '200+' : more })}</span>}
          <Button look="plain" onClick={toggle}>
            {t(isHeld ? 'live.resume' : 'live.pause')} <kbd>p</kbd>
          </Button>
        </div>
      </div>
      {list.length === 0 ? (
        <p class="soft">{t('live.empty')}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard
        <section class="table" aria-labelledby="decisions-title" tabIndex={0}>
          <table class="decisions">
            <tbody>
              {list.map((decision) => (
                <Row key={decision.id} decision={decision} isSelected={decision.id === selectedId.value} />
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

function Row({ decision, isSelected }: { readonly decision: LiveDecision; readonly isSelected: boolean }) {
  const { approved, atMs, amount, currency, merchant, reason, detail, card, tookMs } = decision;
  const why = textOf('reason', reason) ?? reason;
  return (
    <tr class={isSelected ? 'selected' : ''}>
      <td>
        <a href={href(pathOf(decision))}>
          <Time atMs={atMs} precise />
        </a>
      </td>
      <td>
        <Verdict approved={approved} word={t(approved ? 'word.approved' : 'word.declined')} />
      </td>
      <td class="number">
        <Money minor={amount} currency={currency} />
      </td>
      <td class="what">
        {!approved && <span class="decline">{detail === undefined ? why : `${why}: ${detail}`} </span>}
        {merchant !== null && (
          <span class={approved ? '' : 'soft'}>
            {merchant.name} <span class="soft">{`${merchant.mcc} ${merchant.country}`}</span>
          </span>
        )}
      </td>
      <td class="soft card">
        {t('word.card')} <code>{card}</code>
      </td>
      <td class="number">{tookMs === null ? '–' : <Duration ms={tookMs} />}</td>
    </tr>
  );
}
