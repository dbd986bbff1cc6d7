/** Who am I here: picture, name, password, and where I am signed in. Managers of a company set its logo. */
import { useSignal } from '@preact/signals';
import { call, session, signOut } from '../../kit/api.js';
import { Button, Field } from '../../kit/controls.js';
import { Time } from '../../kit/data.js';
import { t } from '../../kit/messages.js';
import { useResource } from '../../kit/resource.js';
import { href } from '../../kit/router.js';
import { Failed, Loading } from '../../kit/states.js';
import { uploadImage } from '../images.js';
import { ActionError, Done, into, me, Picture, useAction } from '../parts.js';
import type { Company, Image, List, Session, User } from '../shapes.js';

/** Puts a changed person into the page's session. */
function remember(user: User): void {
  session.value = { ...session.value!, user };
}

export default function Profile() {
  const user = me();
  return (
    <div class="stack">
      <h1>{t('profile.title')}</h1>
      <p class="soft">{user.email}</p>
      <div class="columns">
        <section class="panel stack">
          <h2>{t('profile.picture')}</h2>
          <Upload
            path="/api/me/picture"
            image={user.picture}
            name={user.name}
            changed={(picture) => {
              const { picture: _, ...rest } = me();
              remember(picture === undefined ? rest : { ...rest, picture });
            }}
          />
        </section>
        {user.companyId !== undefined && <OwnCompany id={user.companyId} isManager={user.role !== 'member'} />}
        <NameForm user={user} />
        <PasswordForm />
      </div>
      <Sessions />
    </div>
  );
}

interface UploadProps {
  readonly path: string;
  readonly image: Image | undefined;
  readonly name: string;
  readonly changed: (image: Image | undefined) => void;
}

function Upload({ path, image, name, changed }: UploadProps) {
  const action = useAction();
  const choose = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file === undefined) return;
    action.run(async () => {
      changed(await uploadImage(path, file));
      input.value = '';
    });
  };
  const remove = () =>
    action.run(async () => {
      await call('DELETE', path);
      changed(undefined);
    });
  return (
    <>
      <div class="row">
        <Picture image={image} name={name} size={96} />
        <label class="field">
          {t('profile.choose')}
          <input
            type="file"
            accept="image/jpeg,image/png,image/webp,image/avif"
            disabled={action.isBusy}
            onChange={choose}
          />
        </label>
      </div>
      <p class="soft small">{t('profile.imageHint')}</p>
      <ActionError action={action} />
      {image !== undefined && (
        <div>
          <Button onClick={remove} isDisabled={action.isBusy}>
            {t('profile.removeImage')}
          </Button>
        </div>
      )}
    </>
  );
}

function OwnCompany({ id, isManager }: { readonly id: string; readonly isManager: boolean }) {
  const company = useResource<Company>(`/api/companies/${id}`);
  if (company.value === undefined) return <Loading lines={2} />;
  const { name, logo } = company.value;
  return (
    <section class="panel stack">
      <h2>{t('profile.company', { name })}</h2>
      {isManager ? (
        <Upload path={`/api/companies/${id}/logo`} image={logo} name={name} changed={company.reload} />
      ) : (
        <Picture image={logo} name={name} size={96} />
      )}
      {isManager && <a href={href('/people')}>{t('people.title')}</a>}
    </section>
  );
}

function NameForm({ user }: { readonly user: User }) {
  const name = useSignal(user.name);
  const isDone = useSignal(false);
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    action.run(async () => {
      remember(await call<User>('PATCH', '/api/me', { body: { name: name.value } }));
      isDone.value = true;
    });
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <h2>{t('profile.name')}</h2>
      <Field
        label={t('profile.name')}
        name="name"
        autocomplete="name"
        required
        maxLength={200}
        value={name.value}
        fault={action.fields['name']}
        onInput={into(name)}
      />
      <ActionError action={action} />
      <Done>{isDone.value && t('profile.saved')}</Done>
      <div>
        <Button type="submit" isDisabled={action.isBusy}>
          {t('limits.save')}
        </Button>
      </div>
    </form>
  );
}

function PasswordForm() {
  const password = useSignal('');
  const newPassword = useSignal('');
  const action = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    action.run(async () => {
      await call('POST', '/api/auth/password', {
        body: { password: password.value, newPassword: newPassword.value },
      });
      await signOut();
    });
  };
  return (
    <form class="panel stack" onSubmit={submit}>
      <h2>{t('profile.password')}</h2>
      <p class="soft">{t('profile.passwordEffect')}</p>
      <input
        class="unseen"
        type="email"
        name="email"
        autocomplete="username"
        value={me().email}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      <Field
        label={t('profile.oldPassword')}
        name="password"
        type="password"
        autocomplete="current-password"
        required
        value={password.value}
        fault={action.fields['password']}
        onInput={into(password)}
      />
      <Field
        label={t('profile.newPassword')}
        hint={t('signUp.passwordHint')}
        name="newPassword"
        type="password"
        autocomplete="new-password"
        required
        minLength={12}
        value={newPassword.value}
        fault={action.fields['newPassword']}
        onInput={into(newPassword)}
      />
      <ActionError action={action} />
      <div>
        <Button type="submit" isDisabled={action.isBusy}>
          {t('profile.password')}
        </Button>
      </div>
    </form>
  );
}

function Sessions() {
  const sessions = useResource<List<Session>>('/api/sessions?limit=50');
  const action = useAction();
  const end = (id: string) =>
    action.run(async () => {
      await call('DELETE', `/api/sessions/${id}`);
      sessions.reload();
    });
  return (
    <section class="stack tight">
      <h2>{t('profile.sessions')}</h2>
      {sessions.error !== null && <Failed error={sessions.error} retry={sessions.reload} />}
      <ActionError action={action} />
      <ul class="rows">
        {sessions.value?.data.map(({ id, current, device, address, lastSeenAt }) => (
          <li key={id} class="row spread">
            <span class="device">
              {device ?? t('profile.unknownDevice')} <span class="soft">{address}</span>
            </span>
            <span class="row">
              <span class="soft">
                <Time atMs={Date.parse(lastSeenAt)} withDate />
              </span>
              {current ? (
                <span>{t('profile.thisSession')}</span>
              ) : (
                <Button onClick={() => end(id)} isDisabled={action.isBusy}>
                  {t('profile.endSession')}
                </Button>
              )}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
