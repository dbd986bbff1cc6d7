/** API keys: who may move money or decide about customers without a person; a new key is shown once. */
import { useSignal } from '@preact/signals';
import { Button, Field } from '../../kit/controls.js';
import { Table, Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { Empty, Failed, Loading } from '../../kit/states.js';
import { Confirm, Fault, may, Needs, type Role, useAct, word } from '../act/acting.js';

interface Key {
  readonly id: string;
  readonly name: string;
  readonly hint: string;
  readonly scopes: readonly string[];
  readonly createdAt: string;
  readonly lastUsedAt: string | null;
  readonly expiresAt: string | null;
}

const makers: readonly Role[] = ['admin'];
const scopes = ['funding:write', 'customers:write'] as const;

export default function Keys() {
  const { value, error, reload } = useResource<{ data: readonly Key[] }>(may(makers) ? '/api/keys?limit=200' : null);
  return (
    <div class="stack">
      <h1>{t('keys.pageTitle')}</h1>
      {may(makers) ? <Maker onMade={reload} /> : <Needs roles={makers} />}
      {may(makers) && value === undefined && (error === null ? <Loading /> : <Failed error={error} retry={reload} />)}
      {value?.data.length === 0 && <Empty>{t('keys.none')}</Empty>}
      {value !== undefined && value.data.length > 0 && <List keys={value.data} onRevoked={reload} />}
    </div>
  );
}

function Maker({ onMade }: { readonly onMade: () => void }) {
  const act = useAct();
  const name = useSignal('');
  const chosen = useSignal<readonly string[]>(['funding:write']);
  const made = useSignal<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const answer = await act.run<{ key: string }>('POST', '/api/keys', {
      name: name.value.trim(),
      scopes: chosen.value,
    });
    if (answer === undefined) return;
    made.value = answer.key;
    name.value = '';
    onMade();
  };
  const isChosen = (scope: string) => chosen.value.includes(scope);
  const toggle = (scope: string) => {
    chosen.value = isChosen(scope) ? chosen.value.filter((one) => one !== scope) : [...chosen.value, scope];
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <Field
        label={t('keys.name')}
        name="key-name"
        required
        maxLength={200}
        value={name.value}
        onInput={(value) => {
          name.value = value;
        }}
      />
      <fieldset class="stack">
        <legend>{t('keys.scopes')}</legend>
        {scopes.map((scope) => (
          <label key={scope}>
            <input type="checkbox" name={scope} checked={isChosen(scope)} onChange={() => toggle(scope)} />{' '}
            {word('scope', scope)}
          </label>
        ))}
      </fieldset>
      <div>
        <Button
          type="submit"
          look="main"
          isDisabled={act.isBusy || name.value.trim() === '' || chosen.value.length === 0}
        >
          {t('keys.make')}
        </Button>
      </div>
      {made.value !== null && (
        <p role="status">
          {t('keys.shownOnce')} <code class="whole">{made.value}</code>
        </p>
      )}
      <Fault error={act.error} />
    </form>
  );
}

function List({ keys, onRevoked }: { readonly keys: readonly Key[]; readonly onRevoked: () => void }) {
  const act = useAct();
  const chosen = useSignal<Key | null>(null);
  const revoke = async (id: string) => {
    await act.run('DELETE', `/api/keys/${id}`);
    chosen.value = null;
    onRevoked();
  };
  return (
    <div class="stack">
      <Table
        caption={t('keys.pageTitle')}
        rows={keys}
        rowKey={({ id }) => id}
        columns={[
          { title: t('keys.name'), cell: ({ name, hint }) => `${name} …${hint.slice(-4)}` },
          { title: t('keys.scopes'), cell: (key) => key.scopes.map((scope) => word('scope', scope)).join(', ') },
          {
            title: t('keys.lastUsed'),
            cell: ({ lastUsedAt }) => (lastUsedAt === null ? '–' : <Time atMs={Date.parse(lastUsedAt)} withDate />),
          },
          {
            title: t('keys.revoke'),
            cell: (key) => (
              <Button
                onClick={() => {
                  chosen.value = key;
                }}
              >
                {t('keys.revoke')}
              </Button>
            ),
          },
        ]}
      />
      {chosen.value !== null && (
        <section class="panel" aria-label={t('keys.revoke')}>
          <Confirm
            key={chosen.value.id}
            word={chosen.value.name}
            button={t('keys.revoke')}
            isBusy={act.isBusy}
            onConfirm={() => void revoke(chosen.value!.id)}
          >
            {t('keys.revokeEffect', { name: chosen.value.name })}
          </Confirm>
        </section>
      )}
      <Fault error={act.error} />
    </div>
  );
}
