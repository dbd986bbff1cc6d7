/** What a person sees before signing in: sign-in, sign-up, a forgotten password, and the links of our mails. */
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { call, signIn } from '../kit/api.js';
import { Button, Field, Select } from '../kit/controls.js';
import { type MessageKey, t } from '../kit/messages.js';
import { currentPath, go, href } from '../kit/router.js';
import { SignIn } from '../kit/sign-in.js';
import { art, artTypes } from './art.js';
import { ActionError, Done, into, useAction } from './parts.js';

const currencies = ['USD', 'EUR', 'GBP', 'CHF', 'JPY'] as const;

export function Entrance() {
  const path = currentPath();
  if (path === '/accept') return <FromLink title="accept.title" field="invitation" path="/api/auth/accept" />;
  if (path === '/reset') return <FromLink title="reset.title" field="reset" path="/api/auth/password/reset" />;
  if (path === '/sign-up') return <SignUp />;
  if (path === '/forgot') return <Forgot />;
  return (
    <>
      <Art />
      <SignIn name="name.app" />
      <p class="row spread">
        <a href={href('/sign-up')}>{t('signUp.title')}</a>
        <a href={href('/forgot')}>{t('forgot.title')}</a>
      </p>
    </>
  );
}

/** Says nothing that the words do not say. */
function Art() {
  const [avif, webp] = artTypes;
  const srcset = (type: string) =>
    art
      .filter((file) => file.type === type)
      .map(({ url, width }) => `${url} ${width}w`)
      .join(', ');
  const jpeg = art.filter(({ type }) => type === 'jpeg');
  return (
    <picture>
      <source type="image/avif" srcset={srcset(avif)} sizes="(max-width: 392px) 90vw, 360px" />
      <source type="image/webp" srcset={srcset(webp)} sizes="(max-width: 392px) 90vw, 360px" />
      <img class="art" src={jpeg[0]?.url} srcset={srcset('jpeg')} sizes="360px" width={360} height={180} alt="" />
    </picture>
  );
}

interface TextProps {
  readonly label: MessageKey;
  readonly name: string;
  readonly type?: 'text' | 'email' | 'password';
  readonly autocomplete: string;
  readonly field: { value: string };
  readonly fault: string | undefined;
  readonly hint?: MessageKey;
}

function Text({ label, name, type = 'text', autocomplete, field, fault, hint }: TextProps) {
  return (
    <Field
      label={t(label)}
      name={name}
      type={type}
      autocomplete={autocomplete}
      required
      value={field.value}
      fault={fault}
      hint={hint === undefined ? undefined : t(hint)}
      onInput={into(field)}
    />
  );
}

interface FormProps {
  readonly title: MessageKey;
  readonly action: ReturnType<typeof useAction>;
  readonly submit: () => Promise<void>;
  readonly children: ComponentChildren;
}

function Form({ title, action, submit, children }: FormProps) {
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        action.run(submit);
      }}
    >
      <h1>{t(title)}</h1>
      {children}
      <ActionError action={action} />
      <Button type="submit" look="main" isDisabled={action.isBusy}>
        {t(title)}
      </Button>
      <a href={href('/')}>{t('signIn.title')}</a>
    </form>
  );
}

async function register(form: Readonly<Record<string, string>> & Record<'email' | 'password', string>): Promise<void> {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const body = { ...form, timeZone };
  const { refreshToken } = await call<{ refreshToken: string }>('POST', '/api/auth/register', { body });
  // The page has a session of its own, whose tokens no script reads.
  await call('POST', '/api/auth/logout', { body: { refreshToken } });
  await signIn({ email: form.email, password: form.password });
}

function SignUp() {
  const kind = useSignal<string>('personal');
  const company = useSignal('');
  const name = useSignal('');
  const email = useSignal('');
  const password = useSignal('');
  const currency = useSignal<string>('USD');
  const action = useAction();
  const submit = async () => {
    await register({
      kind: kind.value,
      name: name.value,
      email: email.value,
      password: password.value,
      currency: currency.value,
      ...(kind.value === 'business' ? { company: company.value } : {}),
    });
    go('/', { replace: true });
  };
  const { fields } = action;
  return (
    <Form title="signUp.title" action={action} submit={submit}>
      <Select
        label={t('signUp.kind')}
        name="kind"
        value={kind.value}
        options={(['personal', 'business'] as const).map((one) => [one, t(`kind.${one}`)] as const)}
        onChange={into(kind)}
      />
      {kind.value === 'business' && (
        <Text
          label="signUp.company"
          name="company"
          autocomplete="organization"
          field={company}
          fault={fields['company']}
        />
      )}
      <Text label="profile.name" name="name" autocomplete="name" field={name} fault={fields['name']} />
      <Text
        label="signIn.email"
        name="email"
        type="email"
        autocomplete="username"
        field={email}
        fault={fields['email']}
      />
      <Text
        label="signIn.password"
        name="password"
        type="password"
        autocomplete="new-password"
        field={password}
        fault={fields['password']}
        hint="signUp.passwordHint"
      />
      <Select
        label={t('signUp.currency')}
        name="currency"
        value={currency.value}
        options={currencies.map((one) => [one, one] as const)}
        onChange={into(currency)}
      />
    </Form>
  );
}

function Forgot() {
  const email = useSignal('');
  const isSent = useSignal(false);
  const action = useAction();
  const submit = async () => {
    await call('POST', '/api/auth/password/reset', { body: { email: email.value } });
    isSent.value = true;
  };
  return (
    <Form title="forgot.title" action={action} submit={submit}>
      <Text
        label="signIn.email"
        name="email"
        type="email"
        autocomplete="username"
        field={email}
        fault={action.fields['email']}
      />
      <Done>{isSent.value && t('forgot.sent')}</Done>
    </Form>
  );
}

interface FromLinkProps {
  readonly title: MessageKey;
  readonly field: 'invitation' | 'reset';
  readonly path: string;
}

/** The secret of a mail's link stands behind its `#`, which no server sees. */
function FromLink({ title, field, path }: FromLinkProps) {
  const password = useSignal('');
  const action = useAction();
  const submit = async () => {
    const secret = new URLSearchParams(location.hash.slice(1)).get(field) ?? '';
    const name = field === 'reset' ? 'newPassword' : 'password';
    const answer = await call<{ user: { email: string }; refreshToken: string } | undefined>('POST', path, {
      body: { [field]: secret, [name]: password.value },
    });
    if (answer !== undefined) {
      await call('POST', '/api/auth/logout', { body: { refreshToken: answer.refreshToken } });
      await signIn({ email: answer.user.email, password: password.value });
    }
    go('/', { replace: true });
  };
  return (
    <Form title={title} action={action} submit={submit}>
      <Text
        label="profile.newPassword"
        name="password"
        type="password"
        autocomplete="new-password"
        field={password}
        fault={action.fields['newPassword'] ?? action.fields['password']}
        hint="signUp.passwordHint"
      />
    </Form>
  );
}
