/** The form of signing in. A console asks for the code of an authenticator too. */
import { useSignal } from '@preact/signals';
import { type ApiError, signIn } from './api.js';
import { Button, Field } from './controls.js';
import { type MessageKey, t } from './messages.js';
import { problemText } from './states.js';

interface SignInProps {
  readonly name: MessageKey;
  readonly asksCode?: boolean;
}

export function SignIn({ name, asksCode = false }: SignInProps) {
  const email = useSignal('');
  const password = useSignal('');
  const totp = useSignal('');
  const isBusy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (isBusy.value) return;
    isBusy.value = true;
    error.value = null;
    try {
      const code = totp.value.trim();
      await signIn({ email: email.value, password: password.value, ...(code === '' ? {} : { totp: code }) });
    } catch (failed) {
      error.value = failed as ApiError;
    } finally {
      isBusy.value = false;
    }
  };
  const set = (field: { value: string }) => (value: string) => {
    field.value = value;
  };
  return (
    <form class="stack" onSubmit={submit}>
      <h1>
        {t(name)}: {t('signIn.title')}
      </h1>
      <Field
        label={t('signIn.email')}
        name="email"
        type="email"
        autocomplete="username"
        required
        value={email.value}
        onInput={set(email)}
      />
      <Field
        label={t('signIn.password')}
        name="password"
        type="password"
        autocomplete="current-password"
        required
        value={password.value}
        onInput={set(password)}
      />
      {asksCode && (
        <Field
          label={t('signIn.totp')}
          hint={t('signIn.totpHint')}
          name="totp"
          inputMode="numeric"
          autocomplete="one-time-code"
          pattern="[0-9]{6}"
          value={totp.value}
          onInput={set(totp)}
        />
      )}
      {error.value !== null && (
        <p class="decline" role="alert">
          {problemText(error.value)}
        </p>
      )}
      <Button type="submit" look="main" isDisabled={isBusy.value}>
        {t('signIn.submit')}
      </Button>
    </form>
  );
}
