/** The people of a company, for those who manage it: who is here, who may do what, and whom they have invited. */
import { useSignal } from '@preact/signals';
import { call } from '../../kit/api.js';
import { Button, Field, Select } from '../../kit/controls.js';
import { Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { Failed, Forbidden, Loading, NotReadAgain } from '../../kit/states.js';
import { ActionError, Done, into, me, post, useAction } from '../parts.js';
import type { Effect, List } from '../shapes.js';
import { effectText } from './card.js';

const roles = ['owner', 'admin', 'member'] as const;
type Role = (typeof roles)[number];

interface Member {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly status: 'active' | 'frozen' | 'closed';
  readonly version: number;
}

interface Invitation {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly expiresAt: string;
}

/** Only owners make and change owners. */
const rolesToGive = () => (me().role === 'owner' ? roles : roles.filter((role) => role !== 'owner'));
const roleOptions = () => rolesToGive().map((role) => [role, t(`role.${role}`)] as const);

export default function People() {
  const { companyId, role } = me();
  if (companyId === undefined || role === 'member') return <Forbidden />;
  return (
    <div class="stack">
      <h1>{t('people.title')}</h1>
      <Members path={`/api/companies/${companyId}/users`} />
      <Invitations path={`/api/companies/${companyId}/invitations`} />
    </div>
  );
}

/** A company has a bounded number of people; those beyond the first pages are found by programs. */
const membersShown = 200;

function Members({ path }: { readonly path: string }) {
  const members = useResource<List<Member>>(`${path}?limit=${membersShown}`);
  if (members.value === undefined) {
    return members.error === null ? <Loading /> : <Failed error={members.error} retry={members.reload} />;
  }
  const { data, next } = members.value;
  return (
    <section class="stack tight" aria-label={t('people.title')}>
      <NotReadAgain error={members.error} readAtMs={members.readAtMs} retry={members.reload} />
      <ul class="columns">
        {data.map((member) => (
          <li key={member.id} class="panel stack tight">
            <MemberCard member={member} reload={members.reload} />
          </li>
        ))}
      </ul>
      {next !== null && <p class="soft">{t('people.more', { count: membersShown })}</p>}
    </section>
  );
}

function MemberCard({ member, reload }: { readonly member: Member; readonly reload: () => void }) {
  const { id, name, email, role, status, version } = member;
  const action = useAction();
  const effect = useSignal<Effect | null>(null);
  const isMe = id === me().id;
  const mayChange = !isMe && status !== 'closed' && (role !== 'owner' || me().role === 'owner');
  const change = (body: object) =>
    action.run(async () => {
      const headers = { 'if-match': `"${version}"` };
      effect.value = await call<Effect>('PATCH', `/api/users/${id}`, { body, headers });
      reload();
    });
  return (
    <>
      <h2>{name}</h2>
      <p class="soft">{email}</p>
      <p>
        {t(`role.${role}`)} · {t(`cardStatus.${status}`)}
        {isMe && ` · ${t('people.you')}`}
      </p>
      {mayChange && (
        <>
          <Select
            label={t('people.role')}
            name={`role-${id}`}
            value={role}
            options={roleOptions()}
            onChange={(next) => change({ role: next })}
          />
          <div class="row">
            <Button
              isDisabled={action.isBusy}
              onClick={() => change({ status: status === 'frozen' ? 'active' : 'frozen' })}
            >
              {t(status === 'frozen' ? 'people.letIn' : 'people.suspend')}
            </Button>
            {status !== 'frozen' && <span class="soft small">{t('people.suspendEffect')}</span>}
          </div>
        </>
      )}
      <Done>{effect.value !== null && effectText(effect.value)}</Done>
      <ActionError action={action} />
    </>
  );
}

function Invitations({ path }: { readonly path: string }) {
  const invitations = useResource<List<Invitation>>(path);
  const action = useAction();
  const withdraw = (id: string) =>
    action.run(async () => {
      await call('DELETE', `/api/invitations/${id}`);
      invitations.reload();
    });
  return (
    <section class="stack tight">
      <h2>{t('people.invited')}</h2>
      {invitations.value === undefined && invitations.error !== null && (
        <Failed error={invitations.error} retry={invitations.reload} />
      )}
      <NotReadAgain error={invitations.error} readAtMs={invitations.readAtMs} retry={invitations.reload} />
      {invitations.value?.data.length === 0 && <p class="soft">{t('people.noneInvited')}</p>}
      <ul class="stack tight">
        {invitations.value?.data.map(({ id, name, email, role, expiresAt }) => (
          <li key={id} class="row spread">
            <span>
              {name} <span class="soft">{email}</span> · {t(`role.${role}`)} ·{' '}
              <span class="soft small">
                {t('people.until')} <Time atMs={Date.parse(expiresAt)} withDate />
              </span>
            </span>
            <Button isDisabled={action.isBusy} onClick={() => withdraw(id)}>
              {t('people.withdraw')}
            </Button>
          </li>
        ))}
      </ul>
      <ActionError action={action} />
      <Invite path={path} reload={invitations.reload} />
    </section>
  );
}

function Invite({ path, reload }: { readonly path: string; readonly reload: () => void }) {
  const name = useSignal('');
  const email = useSignal('');
  const role = useSignal<string>('member');
  const sent = useSignal('');
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    action.run(async () => {
      await post(path, { name: name.value, email: email.value, role: role.value });
      sent.value = email.value;
      name.value = '';
      email.value = '';
      reload();
    });
  };
  return (
    <form class="panel stack narrow" onSubmit={submit}>
      <h2>{t('people.invite')}</h2>
      <Field
        label={t('profile.name')}
        name="invite-name"
        required
        maxLength={200}
        value={name.value}
        fault={action.fields['name']}
        onInput={into(name)}
      />
      <Field
        label={t('signIn.email')}
        name="invite-email"
        type="email"
        required
        maxLength={254}
        value={email.value}
        fault={action.fields['email']}
        onInput={into(email)}
      />
      <Select
        label={t('people.role')}
        name="invite-role"
        value={role.value}
        options={roleOptions()}
        onChange={into(role)}
      />
      <ActionError action={action} />
      <Done>{sent.value !== '' && t('people.sent', { email: sent.value })}</Done>
      <div>
        <Button type="submit" look="main" isDisabled={action.isBusy}>
          {t('people.send')}
        </Button>
      </div>
    </form>
  );
}
