/**
 * Sign-in: register, login, refresh, logout. Their answers carry tokens, so none of them is kept for a repeated key.
 */
import { passwordLengthMax, passwordLengthMin } from '../auth/password-rules.js';
import type { SignedIn } from '../auth/sign-in.js';
import { checkCurrency, checkEmail, checkName, checkTimeZone } from '../http/fields.js';
import { invalid } from '../http/problem.js';
import { route } from '../http/route.js';
import { Currency, closed, Email, Kind, Name, NoContent, type Static, Type } from '../http/schemas.js';
import type { Services } from '../services.js';
import { deviceOf } from './device.js';
import { showUser, User } from './user-schema.js';

/** Length here; what else a password must be is said by auth/password-rules.ts. */
export const NewPassword = Type.String({ minLength: passwordLengthMin, maxLength: passwordLengthMax });
export const GivenPassword = Type.String({ minLength: 1, maxLength: 200 });
const RefreshToken = Type.String({ minLength: 1, maxLength: 200 });

const Registration = closed(
  {
    email: Email,
    password: NewPassword,
    name: Name,
    kind: Kind,
    company: Type.Optional(Name),
    currency: Type.Optional(Currency),
    timeZone: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  },
  {
    title: 'Registration',
    examples: [
      { email: 'ada@example.com', password: 'a violet otter reads maps', name: 'Ada Lovelace', kind: 'personal' },
    ],
  },
);
export const SignInAnswer = closed(
  { token: Type.String(), refreshToken: Type.String(), user: User },
  { title: 'SignedIn' },
);
export const Credentials = closed(
  { email: Email, password: GivenPassword },
  {
    title: 'Credentials',
    examples: [{ email: 'test@example.com', password: 'password123' }],
  },
);
const RefreshBody = closed({ refreshToken: RefreshToken }, { title: 'RefreshToken' });

const common = { method: 'POST', access: 'public', tag: 'sign-in' } as const;

export function authRoutes({ signIn }: Services) {
  return [
    route({
      ...common,
      url: '/api/auth/register',
      operationId: 'register',
      errors: [409],
      summary: 'Open a customer with one account, and sign in',
      schemas: { body: Registration, responses: { 201: SignInAnswer } },
      handler: async (request) => showSignedIn(await signIn.register(registrationOf(request.body), deviceOf(request))),
    }),
    route({
      ...common,
      url: '/api/auth/login',
      operationId: 'signIn',
      errors: [401, 403],
      summary: 'Sign in',
      schemas: { body: Credentials, responses: { 200: SignInAnswer } },
      handler: async (request) => {
        const { email, password } = request.body;
        return showSignedIn(await signIn.login(email, password, deviceOf(request)));
      },
    }),
    route({
      ...common,
      url: '/api/auth/refresh',
      operationId: 'refresh',
      errors: [401],
      summary: 'Trade a refresh token for new tokens; for ten seconds a repeat gets the same refresh token',
      schemas: { body: RefreshBody, responses: { 200: SignInAnswer } },
      handler: async (request) => showSignedIn(await signIn.refresh(request.body.refreshToken, deviceOf(request))),
    }),
    route({
      ...common,
      url: '/api/auth/logout',
      operationId: 'signOut',
      summary: 'End the session of a refresh token',
      schemas: { body: RefreshBody, responses: { 204: NoContent } },
      handler: async (request) => {
        await signIn.logout(request.body.refreshToken, deviceOf(request));
        return null;
      },
    }),
  ];
}

function registrationOf(body: Static<typeof Registration>) {
  const { email, password, name, kind, company, currency = 'USD', timeZone = 'UTC' } = body;
  if (kind === 'business' && company === undefined) throw invalid('company', 'is missing: a business has a name');
  if (kind === 'personal' && company !== undefined) throw invalid('company', 'is for kind business only');
  return {
    email: checkEmail('email', email),
    password,
    name: checkName('name', name),
    kind,
    companyName: company === undefined ? null : checkName('company', company),
    currency: checkCurrency('currency', currency),
    timeZone: checkTimeZone('timeZone', timeZone),
  };
}

export function showSignedIn({ token, refreshToken, user }: SignedIn): Static<typeof SignInAnswer> {
  return { token, refreshToken, user: showUser(user) };
}
